import re
import shutil
import subprocess

import pytest

from allophone.export.markup import latex_table, latex_text, markdown_rows, markdown_table, markdown_text
from allophone.report.tables import Table

HOSTILE = 'a|b <b>x</b> *y* _z_ `c` [l](u) \\ # & % $ { } ~ ^ "q"\nnext'
TABLE = Table(
    "WER 10 % of a_b", ("point", "WER %"), (("a_1 & b", "10.0 [9, 11]"), ("c|d", "+2")), (False, True), ("50 % {x}",)
)


def test_markdown_shows_a_text_as_it_is():
    shown = markdown_text(HOSTILE)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[|*_`\[\]]", shown)
    assert "<b>" not in shown


def test_a_markdown_table_has_as_many_cells_in_every_line():
    lines = markdown_rows(("x", "n"), [(HOSTILE, "1"), ("b", "+2.0")]).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert lines[1] == "| --- | ---: |"
    assert markdown_rows(("x",), []).splitlines()[1] == "| --- |"
    assert markdown_table(TABLE).startswith("### WER 10 % of a\\_b\n\n| point | WER % |")


def test_latex_escapes_and_greys_what_stands_back():
    text = latex_table(TABLE)
    assert r"a\_1 \& b & 10.0 [9, 11] \\" in text
    assert r"\textcolor{gray}{c\textbar{}d} & \textcolor{gray}{+2} \\" in text
    assert r"\begin{tabular}{lr}" in text
    assert "% 50 % {x}" in text
    assert not re.search(r"(?<!\\)[&%$#_{}~^]", re.sub(r"\\text\w+\{\}|\$\\\w+\$", "", latex_text(HOSTILE + " → ±")))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(tmp_path):
    preamble = r"\documentclass{article}\usepackage{booktabs,xcolor}"
    (tmp_path / "t.tex").write_text(rf"{preamble}\begin{{document}}{latex_table(TABLE)}\end{{document}}")
    subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
