import html
import json
import re

from allophone.decide import decide, save_decision
from allophone.diagnosis.diagnose import diagnose
from allophone.frontier.pareto import Frontier
from allophone.records.point import EmotionSetting, OperatingPoint
from allophone.report.answers import answer_pairs, diagnosis_lines
from allophone.report.diagnosis import breakdown_lines, diagnosis_table
from allophone.report.html import write_report
from allophone.report.tables import frontier_table
from builders import write_run
from emotion_builders import write_emotion_run
from star_runs import BASE as STAR
from star_runs import write_star

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
    assert TINY.title in page
    assert "dominated" in page
    assert "&lt;empty&gt;" in page  # text from the corpus is escaped
    assert "Plotly.newPlot" in page


def test_the_saved_decision_is_the_one_shown(tmp_path):
    run = write_run(tmp_path / "r", ROWS)
    assert BASE.title in headline(write_report(run))
    save_decision(run, decide(run, {"rtf": 0.15}), run.parent / "point.json")
    assert TINY.title in headline(write_report(run))
    assert json.loads((run / "frontier.json").read_text())["costs"] == ["rtf"]


def test_a_decision_for_a_point_that_is_gone_is_not_shown(tmp_path):
    run = write_run(tmp_path / "r", ROWS)
    other = write_run(tmp_path / "other", {OperatingPoint(model="small"): [{}]})
    (run / "decision.json").write_text(decide(other, {}).model_dump_json())
    assert BASE.title in headline(write_report(run))


def test_the_recommended_point_is_diagnosed_as_the_command_does(tmp_path):
    run = write_star(tmp_path / "r", {STAR: (3, 10.0), STAR.model_copy(update={"model": "base"}): (1, 40.0)})
    save_decision(run, decide(run, {"executed_gflops": 20.0}), run.parent / "point.json")
    page = html.unescape(write_report(run, "executed_gflops").read_text(encoding="utf-8"))
    section = page[page.index('id="diagnosis"') :]
    found = diagnose(run)
    assert found.base.name == STAR.name
    for line in diagnosis_lines(found)[:3]:  # binding, wasted, next
        head, _, told = line.partition(": ")
        assert f"<dt>{head}</dt><dd>{told[0].upper()}{told[1:]}</dd>" in section
    for question, answer in answer_pairs(found):
        assert f"<dt>{question}</dt><dd>{answer}</dd>" in section
    for row in diagnosis_table(found).rows:
        assert "".join(f"<td>{cell}</td>" for cell in (row[0], row[-1], *row[1:-1])) in section
    for line in breakdown_lines(found):
        assert f">{line}</p>" in section
    assert "base (4.00)" in section  # the dearer setting with its cost


def test_no_diagnosis_where_the_cost_was_not_measured(tmp_path):
    run = write_run(
        tmp_path / "r", {point: [{**row, "peak_memory_bytes": None} for row in rows] for point, rows in ROWS.items()}
    )
    page = write_report(run, "peak_memory_bytes").read_text(encoding="utf-8")
    assert 'id="diagnosis"' not in page


def headline(path):
    return re.search(r'<p class="point">(.*?)</p>', path.read_text(encoding="utf-8")).group(1)


def test_an_emotion_run_has_a_report_of_its_own(tmp_path):
    short, deep = (EmotionSetting(model="tiny.en", duration_s=1.0, unfrozen_layers=k) for k in (0, 2))
    rows = {short: [{"correct": index % 3 > 0} for index in range(40)], deep: [{}] * 40}
    path = write_report(write_emotion_run(tmp_path / "r", rows))
    page = path.read_text(encoding="utf-8")
    assert deep.title in headline(path)
    for part in ("What is taken for what", "Recall of every class", "allophone adapt emotion corpus --model tiny.en"):
        assert part in page
    assert "Depth or rank" in page
    assert "Higher and further left is better" in page
    for part in ("S/D/I", "Its errors", "normaliser"):
        assert part not in page


def test_verdicts_stand_beside_the_points_where_no_narrow_window_cuts_them_off(tmp_path):
    run = write_run(tmp_path / "r", ROWS)
    page = html.unescape(write_report(run).read_text(encoding="utf-8"))
    table = frontier_table(Frontier.from_run(run))
    assert f"<th>point</th><th>verdict</th><th>{table.columns[1]}</th>" in page
    for row in table.rows:
        assert f"<td>{row[0]}</td><td>{row[-1]}</td><td>{row[1]}</td>" in page
    narrow = page.split("@media (max-width: 40rem) {")[1].split("</style>")[0]
    assert "td:first-child { white-space: normal;" in narrow  # long names leave the verdict room


def test_a_report_elsewhere_writes_nothing_into_the_run(tmp_path):
    run = write_run(tmp_path / "r", {OperatingPoint(model="tiny.en"): [{}, {}]})
    before = sorted(path.name for path in run.iterdir())
    assert write_report(run, out=tmp_path / "elsewhere" / "x.html").is_file()
    assert sorted(path.name for path in run.iterdir()) == before
    write_report(run)
    assert {path.name for path in run.iterdir()} - set(before) == {"report.html", "frontier.json"}
