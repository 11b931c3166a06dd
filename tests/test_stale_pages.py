"""Results say which code wrote them, and what of it has changed since is listed: on a small repository of its own."""

import json
from pathlib import Path

import pytest

from benchmarks.shared.code_digest import CodeTree, code_digest

PACKAGE = {
    "__init__": "",
    "cli/__init__": "import allophone.measure.rates\n",
    "cli/show": "WIDTH = 80\n",
    "measure/__init__": "",
    "measure/rates": "from allophone.measure.counts import total\n\ndef rate(n):\n    return total(n) / n\n",
    "measure/counts": "def total(n):\n    return 2 * n\n",
    "measure/unused": "X = 1\n",
    "models/lazy": "LAZY = 1\n",
    "models/typed": "TYPED = 1\n",
}
BENCHMARK = """'''A page.'''
from typing import TYPE_CHECKING

from allophone.measure.rates import rate
from benchmarks.shared.helper import table
if TYPE_CHECKING:
    from allophone.models.typed import TYPED


def main():
    '''Measure.'''
    from allophone.models import lazy
    from allophone.cli import show
    return table(rate(3))  # three
"""


@pytest.fixture
def root(tmp_path):
    for name, text in PACKAGE.items():
        write(tmp_path / "src/allophone" / f"{name}.py", text)
    write(tmp_path / "benchmarks/room/page.py", BENCHMARK)
    write(tmp_path / "benchmarks/shared/helper.py", "def table(x):\n    return x\n")
    write(tmp_path / "benchmarks/shared/recording.py", "from allophone.measure import unused\n")
    (tmp_path / "docs/results").mkdir(parents=True)
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def record(root, name="page"):
    result = {"benchmark": name, "code": CodeTree(root).code_of("page")}
    (root / f"docs/results/{name}.json").write_text(json.dumps(result), encoding="utf-8")
    return result["code"]


def lines(root):
    return [stale.line() for stale in CodeTree(root).stale_pages()]


def test_the_code_of_a_benchmark_is_what_it_imports_however_deep_and_nothing_else(root):
    found = CodeTree(root).code_of("page")["modules"]
    wanted = {"benchmarks.room.page", "benchmarks.shared.helper"} | {
        f"allophone.{name}" for name in ("measure.rates", "measure.counts", "models.lazy")
    }
    assert set(found) == wanted  # not what shows, what is for type checkers, or what writes results


def test_a_page_is_not_stale_until_code_that_decides_it_changes(root):
    record(root)
    assert lines(root) == []
    edit(root / "src/allophone/cli/show.py", "80", "120")
    edit(root / "src/allophone/measure/unused.py", "1", "2")
    assert lines(root) == []
    edit(root / "src/allophone/measure/counts.py", "2 * n", "3 * n")
    assert lines(root) == ["page: changed since: allophone.measure.counts"]


def test_prose_leaves_a_page_as_it_is(root):
    record(root)
    edit(root / "benchmarks/room/page.py", "# three", "# a number of words")
    edit(root / "benchmarks/room/page.py", "Measure.", "Measure it all.")
    edit(root / "src/allophone/measure/counts.py", "def", "'''Count.'''\n\n__all__ = [\"total\"]\n\n\ndef")
    assert lines(root) == []


def test_a_module_that_moved_unchanged_is_no_change(root):
    record(root)
    (root / "src/allophone/measure/counts.py").rename(root / "src/allophone/models/sums.py")
    edit(root / "src/allophone/measure/rates.py", "allophone.measure.counts", "allophone.models.sums")
    assert lines(root) == []


def test_results_that_name_scripts_without_their_folders_stay_readable(root):
    code = record(root)
    by_stem = {name.removeprefix("benchmarks.shared."): digest for name, digest in code["modules"].items()}
    write(root / "docs/results/page.json", json.dumps({"code": {**code, "modules": by_stem}}))
    assert lines(root) == []
    edit(root / "benchmarks/shared/helper.py", "return x", "return [x]")
    assert lines(root) == ["page: changed since: helper; new: benchmarks.shared.helper"]


def test_what_is_new_and_what_is_gone_is_told(root):
    record(root)
    page = root / "benchmarks/room/page.py"
    edit(page, "benchmarks.shared.helper import table", "allophone.measure.unused import X as table")
    gone = "benchmarks.room.page, benchmarks.shared.helper"
    assert lines(root) == [f"page: changed since: {gone}; new: allophone.measure.unused"]


def test_a_result_without_a_digest_is_unknown_and_so_is_one_whose_script_is_gone(root):
    (root / "docs/results/old.json").write_text("{}", encoding="utf-8")
    record(root)
    (root / "benchmarks/room/page.py").unlink()
    assert lines(root) == ["old: unknown, it states no digest", "page: unknown, its script page is gone"]


def test_a_benchmark_that_starts_another_or_the_command_depends_on_it(root):
    write(root / "benchmarks/starter.py", "COMMAND = ['python', '-m', 'benchmarks.room.page']\n")
    assert "allophone.measure.counts" in CodeTree(root).code_of("starter")["modules"]
    write(root / "benchmarks/caller.py", "COMMAND = ['python', '-m', 'allophone', 'sweep']\n")
    assert set(CodeTree(root).code_of("caller")["modules"]) == {
        "benchmarks.caller",
        "allophone.measure.rates",
        "allophone.measure.counts",
    }


def test_every_benchmark_of_this_repository_has_a_digest():
    tree = CodeTree(Path(__file__).parents[1])
    for script in tree.scripts:
        assert tree.code_of(script)["digest"]
    assert "allophone.measure.bootstrap" in tree.code_of("interval_coverage")["modules"]
    assert "allophone.models.ctranslate2_engine" in tree.code_of("context_tail")["modules"]


def test_equal_trees_have_equal_digests_and_others_do_not():
    assert code_digest("a = 1\n") == code_digest("a = 1  # one\n\n")
    assert code_digest("a = 1\n") != code_digest("a = 2\n")
    assert code_digest("from a import x\n") != code_digest("from a import y\n")
    assert code_digest("def f():\n    'x'\n") != code_digest("def f():\n    return 'x'\n")
