"""docs/api.md: every public name with the first sentence of its docstring; the site shows each in full below."""

from __future__ import annotations

import inspect
from types import ModuleType

from docstrings import first_sentence

__all__ = ["api_page"]


def api_page(package: ModuleType) -> str:
    """Return the page: functions first, then classes, as the package's ``__all__`` lists them.

    Raises:
        ValueError: A public name has no docstring.
    """
    found = {name: getattr(package, name) for name in package.__all__ if not name.startswith("__")}
    functions = {name: one for name, one in found.items() if not inspect.isclass(one)}
    errors = {name: one for name, one in found.items() if inspect.isclass(one) and issubclass(one, Exception)}
    classes = {name: one for name, one in found.items() if name not in functions and name not in errors}
    parts = [
        "# Python API",
        "<!-- Written by scripts/write_docs.py from the docstrings; do not edit. -->",
        f"`import {package.__name__}` defines these names; each loads what it needs when it is first used. The "
        "documentation site shows signatures and arguments below.",
    ]
    for title, members in (("Functions", functions), ("Classes", classes), ("Errors", errors)):
        if members:
            rows = [
                f"| `{name}` | {first_sentence(inspect.getdoc(one) if one.__doc__ else None, name)} |"
                for name, one in members.items()
            ]
            parts += [f"## {title}", "| name | meaning |\n|---|---|\n" + "\n".join(rows)]
            parts += [f"::: {package.__name__}.{name}" for name in members]
    return "\n\n".join(parts) + "\n"
