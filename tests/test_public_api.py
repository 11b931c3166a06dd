"""The API page lists every public name with a first sentence, and the site expands each once."""

from types import ModuleType

import pytest
from public_api import api_page

import allophone


def test_every_public_name_is_listed_and_expanded_once():
    page = api_page(allophone)
    for name in allophone.__all__:
        if not name.startswith("__"):
            assert page.count(f"| `{name}` |") == 1
            assert page.splitlines().count(f"::: allophone.{name}") == 1


def test_functions_classes_and_errors_are_told_apart():
    page = api_page(allophone)
    functions, classes, errors = (page.index(f"## {title}") for title in ("Functions", "Classes", "Errors"))
    assert functions < page.index("| `sweep` |") < classes < page.index("| `Frontier` |") < errors
    assert errors < page.index("| `AllophoneError` |")


def test_a_public_name_without_a_docstring_is_refused():
    module = ModuleType("package")
    module.__all__ = ["silent"]
    module.silent = lambda: None
    with pytest.raises(ValueError, match="silent has no docstring"):
        api_page(module)
