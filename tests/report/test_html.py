import json
import re

from allophone.records import OperatingPoint
from allophone.report.decision import decide, save_decision
from allophone.report.html import write_report
from builders import write_run

TINY = OperatingPoint(model="tiny.en")
BASE = OperatingPoint(model="base")
ROWS = {
    TINY: [{"hits": 7, "substitutions": 3, "latency_s": 1.0}, {"error": "a.wav: <empty>"}],
    BASE: [{"hits": 9, "substitutions": 1, "latency_s": 2.0}, {"error": "a.wav: <empty>"}],
}


def test_the_report_needs_nothing_beside_it(tmp_path):
    run = write_run(tmp_path / "r", ROWS)
    page = write_report(run).read_text(encoding="utf-8")
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="(?!data:)', page)
    assert TINY.name in page
    assert "dominated" in page
    assert "&lt;empty&gt;" in page  # text from the corpus is escaped
    assert "Plotly.newPlot" in page


def test_the_saved_decision_is_the_one_shown(tmp_path):
    run = write_run(tmp_path / "r", ROWS)
    assert BASE.name in headline(write_report(run))
    save_decision(run, decide(run, {"rtf": 0.15}))
    assert TINY.name in headline(write_report(run))
    assert json.loads((run / "frontier.json").read_text())["costs"] == ["rtf"]


def test_a_decision_for_a_point_that_is_gone_is_not_shown(tmp_path):
    run = write_run(tmp_path / "r", ROWS)
    other = write_run(tmp_path / "other", {OperatingPoint(model="small"): [{}]})
    (run / "decision.json").write_text(decide(other, {}).model_dump_json())
    assert BASE.name in headline(write_report(run))


def headline(path):
    return re.search(r'<p class="point">(.*?)</p>', path.read_text(encoding="utf-8")).group(1)
