from allophone.frontier.pareto import Frontier
from allophone.frontier.summarise import summarise_run
from allophone.ledger.race_record import Elimination, write_race
from allophone.records.point import EmotionSetting, OperatingPoint
from allophone.report.tables import confusion_table, frontier_table, recall_table
from builders import write_run
from emotion_builders import write_emotion_run

SHORT = EmotionSetting(model="tiny.en", duration_s=1.0)
LONG = EmotionSetting(model="tiny.en", duration_s=2.0)
ROWS = {SHORT: [{}, {"correct": False}] * 12, LONG: [{"latency_s": 0.2}] * 23 + [{"correct": False}]}


def test_uar_is_shown_in_percent_with_its_interval_the_right_way_round(tmp_path):
    table = frontier_table(Frontier.from_run(write_emotion_run(tmp_path / "r", ROWS), "training_gflops"))
    rows = {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert rows[SHORT.title]["UAR %"] == "50.0"
    estimate, ends = rows[LONG.title]["UAR %"].split(" ", 1)
    low, high = (float(end) for end in ends.strip("[]").split(", "))
    assert low < float(estimate) == 95.8 <= high  # (12/12 + 11/12) / 2
    assert rows[LONG.title]["WA %"] == "95.8"
    assert rows[LONG.title]["training GFLOPs"] == "3.00"
    assert table.title.startswith("UAR against compute of a training: 24 utterances")


def test_points_that_a_race_gave_up_are_shown(tmp_path):
    run = write_emotion_run(tmp_path / "r", ROWS, plan="race", cost="rtf")
    write_race(run, 1, [Elimination(SHORT.name, 12, LONG.name, 0.99, 0.5, 0.25)])
    row = next(row for row in frontier_table(Frontier.from_run(run)).rows if row[0] == SHORT.title)
    assert row[1:3] == ("50.0", "0.250")
    assert row[-2:] == (LONG.title, "given up after 12 (dominated, p 0.99)")


def test_confusions_are_shares_of_the_class(tmp_path):
    run = summarise_run(write_emotion_run(tmp_path / "r", ROWS))
    short, long = (confusion_table(point, run.run.labels).rows for point in run.points)
    assert short == (("high", "100", "0", "12"), ("low", "100", "0", "12"))
    assert long == (("high", "100", "0", "12"), ("low", "8", "92", "12"))
    assert [row[0] for row in recall_table(run).rows] == [LONG.title, SHORT.title]
    assert recall_table(run).rows[0] == (LONG.title, "95.8 %", "100", "92")


def test_runs_of_speech_recognition_have_their_own_table(tmp_path):
    run = write_run(tmp_path / "r", {OperatingPoint(model="base"): [{}, {}]})
    assert "WER %" in frontier_table(Frontier.from_run(run)).columns
