import pytest

from allophone.diagnosis.diagnose import diagnose
from allophone.records.point import EmotionSetting
from allophone.report.answers import answer_pairs, diagnosis_lines
from allophone.report.diagnosis import diagnosis_table
from emotion_builders import write_emotion_run

N = 80


def at(duration_s, model="tiny.en", **knobs):
    return EmotionSetting(model=model, duration_s=duration_s, **knobs)


def wrong(every, **changes):
    return [{"correct": index % every != 0, **changes} for index in range(N)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    rows = {at(2.0): wrong(3), at(3.0): wrong(3, executed_flops=3_000_000_000)}
    rows |= {at(1.0): wrong(2, executed_flops=1_000_000_000)}
    rows |= {at(2.0, unfrozen_layers=1): wrong(5), at(2.0, lora_rank=8): wrong(4)}
    rows |= {at(2.0, "base"): wrong(7, executed_flops=8_000_000_000)}
    return diagnose(write_emotion_run(tmp_path_factory.mktemp("e") / "r", rows), margin=0.05)


def test_changes_are_told_in_points_of_uar_where_more_is_better(found):
    table = diagnosis_table(found)
    rows = {row[0]: row for row in table.rows}
    # every third of 80 wrong is 27, every seventh 12: (27 - 12) / 80 of both classes alike
    assert "pays: base, +18.7 points" in rows["model"][-1]
    assert rows["duration_s"][2].startswith("1 s (0.50) | 2 s (here) | 3 s (1.50)")
    assert table.title.startswith("tiny.en, 2 s, frozen (the centre of the plan): UAR 66.3 %")
    assert found.axes[0].moves[0].change.estimate < 0  # inside, lower is better


def test_every_question_has_an_answer(found):
    answers = dict(answer_pairs(found))
    assert [question.partition(":")[0] for question in answers] == [
        *("Capacity", "Duration", "Adaptation", "Depth or rank", "Dominated"),
    ]
    capacity, duration, adaptation, depth, dominated = answers.values()
    assert capacity.startswith("Yes. model base: +18.7 points [")
    assert duration.startswith("No optimum but a plateau from 2 s")
    assert "recordings are longer than 2 s" in duration
    assert adaptation.startswith("Not measured")  # the rows' trainings are of one size
    assert "tiny.en, 2 s, top 1 over tiny.en, 2 s, rank 8 (1 times the parameters)" in depth
    assert dominated.startswith("Yes, by")


def test_lines(found):
    assert diagnosis_lines(found)[0].startswith("Binding: model. base: +18.7 points")


def test_a_run_with_little_in_it(tmp_path):
    few = diagnose(write_emotion_run(tmp_path / "r", {at(2.0): wrong(3)[:8], at(1.0): wrong(2)[:8]}))
    answers = dict(answer_pairs(few))
    assert [answer.partition(":")[0].partition(".")[0] for answer in answers.values()] == [
        *("Not measured", "Not measured", "Not measured", "Not measured", "Undecided"),
    ]
