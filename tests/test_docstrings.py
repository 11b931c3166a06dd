"""The first sentence of a docstring ends at its full stop, and not at an abbreviation's."""

import pytest
from docstrings import first_sentence


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Load a model.", "Load a model."),
        ("Load a model. And run it.", "Load a model."),
        ("Load a model\n    by name.\n\nMore.", "Load a model by name."),
        ("Load a model, e.g. Whisper's tiny. Run it.", "Load a model, e.g. Whisper's tiny."),
        ("Read ``run.json``. Then stop.", "Read `run.json`."),
        ("Version 1.2 of it", "Version 1.2 of it."),
        ("One | two.", "One \\| two."),
    ],
)
def test_where_it_ends(docstring, sentence):
    assert first_sentence(docstring, "x") == sentence


@pytest.mark.parametrize("docstring", [None, ""])
def test_without_a_docstring_the_thing_is_named(docstring):
    with pytest.raises(ValueError, match="load has no docstring"):
        first_sentence(docstring, "load")
