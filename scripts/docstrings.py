"""The first sentence of a docstring, which says what a thing is in the lists of the documentation."""

from __future__ import annotations

import re

__all__ = ["first_sentence"]


def first_sentence(docstring: str | None, of: str) -> str:
    """Return the first sentence on one line, in Markdown.

    Args:
        docstring: The text, or None where there is none.
        of: What it belongs to, for the error.

    Raises:
        ValueError: There is no docstring.
    """
    if not docstring:
        raise ValueError(f"{of} has no docstring; its first sentence stands in the documentation")
    paragraph = " ".join(docstring.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<!e\.g)(?<!i\.e)\. (?=[A-Z`])", paragraph)[0]
    return sentence.rstrip(".").replace("``", "`").replace("|", "\\|") + "."
