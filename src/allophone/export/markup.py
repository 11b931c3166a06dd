"""Tables as Markdown and LaTeX: every cell escaped, since names and texts of a run may hold any character."""

from __future__ import annotations

from collections.abc import Sequence

from allophone.report.tables import Table

__all__ = ["latex_table", "latex_text", "markdown_rows", "markdown_table", "markdown_text"]

_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|#~"} | {"<": "&lt;", "&": "&amp;"})
_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "→": r"$\rightarrow$",
        "±": r"$\pm$",
    }
)


def markdown_text(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return " ".join(text.translate(_MARKDOWN).split())


def latex_text(text: str) -> str:
    """Return a text that LaTeX sets as it is, on one line."""
    return " ".join(text.translate(_LATEX).split())


def markdown_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table, numbers to the right."""
    right = _right(rows, len(columns))
    lines = [[markdown_text(cell) for cell in row] for row in (columns, *rows)]
    lines.insert(1, ["---:" if one else "---" for one in right])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_table(table: Table) -> str:
    """Return a table with its title and notes as Markdown."""
    notes = "\n".join(f"- {markdown_text(note)}" for note in table.notes)
    return f"### {markdown_text(table.title)}\n\n{markdown_rows(table.columns, table.rows)}\n\n{notes}".rstrip() + "\n"


def latex_table(table: Table) -> str:
    """Return a table as a ``table`` environment with ``booktabs`` rules; rows that stand back are grey (``xcolor``).

    The title is its caption; the notes stand above it as comments, to be used as one likes.
    """
    notes = [f"% {' '.join(note.split())}" for note in table.notes]
    layout = "".join("r" if one else "l" for one in _right(table.rows, len(table.columns)))
    rows = [
        " & ".join(rf"\textcolor{{gray}}{{{latex_text(cell)}}}" if muted else latex_text(cell) for cell in row) + r" \\"
        for row, muted in zip(table.rows, table.muted, strict=True)
    ]
    lines = [
        r"% \usepackage{booktabs,xcolor}",
        *notes,
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(table.title)}}}",
        rf"\begin{{tabular}}{{{layout}}}",
        r"\toprule",
        " & ".join(map(latex_text, table.columns)) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _right(rows: Sequence[Sequence[str]], n_columns: int) -> list[bool]:
    """Which columns hold numbers only."""
    return [
        bool(rows) and all(not row[column] or row[column][0] in "+-0123456789" for row in rows)
        for column in range(n_columns)
    ]
