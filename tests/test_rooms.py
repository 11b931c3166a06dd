"""The architecture page is read off the package: first sentences of docstrings, and lines that imports only go down."""

from pathlib import Path

import pytest
from rooms import import_levels, room_imports, room_tree

PACKAGE = Path(__file__).parents[1] / "src" / "allophone"


def test_a_room_stands_above_all_it_imports():
    imports = {"cli": {"report", "errors"}, "report": {"errors"}, "errors": set(), "audio": {"errors"}}
    assert import_levels(imports) == [["cli"], ["audio", "report"], ["errors"]]


def test_nothing_has_no_levels():
    assert import_levels({}) == []


def test_a_circle_is_named():
    with pytest.raises(ValueError, match="in a circle: a, b"):
        import_levels({"a": {"b"}, "b": {"a"}, "c": set()})


def test_rooms_of_this_package_have_no_circle_and_the_command_is_on_top():
    levels = import_levels(room_imports(PACKAGE))
    assert levels[0] == ["cli"]
    assert sum(map(len, levels)) == len({room for level in levels for room in level})


def test_every_room_has_a_line_and_folders_in_folders_are_indented(tmp_path):
    for name, text in {
        "__init__.py": '"""The package."""',
        "version.py": "X = 1",
        "errors.py": '"""Every error. And more."""',
        "routing/__init__.py": '"""Routing: which\npoint.\n\nMore."""',
        "routing/network.py": "",
        "routing/published/__init__.py": '"""The ``published`` decider."""',
        "templates/page.html": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert room_tree(tmp_path) == [
        "- `errors` Every error.",
        "- `routing/` Routing: which point.",
        "    - `published/` The `published` decider.",
    ]


def test_a_room_without_a_docstring_is_refused(tmp_path):
    (tmp_path / "empty.py").write_text("X = 1\n")
    with pytest.raises(ValueError, match=r"empty\.py has no docstring"):
        room_tree(tmp_path)
