from itertools import product
from pathlib import Path

import pytest

from allophone.errors import InfeasibleError
from allophone.frontier.recommend import recommend
from allophone.frontier.relaxation import relaxations
from allophone.frontier.summarise import summarise_run
from allophone.records.point import OperatingPoint
from builders import write_run

FAST, SLOW = OperatingPoint(model="tiny.en"), OperatingPoint(model="base", beam_size=5)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """FAST: WER 30 %, RTF 0.05; SLOW: 10 %, 0.2001."""
    rows = {
        point: [
            {"hits": 10 - wrong, "substitutions": wrong, "latency_s": latency, "speaker": f"s{i % 10}"}
            for i in range(30)
        ]
        for point, wrong, latency in ((FAST, 3, 0.5), (SLOW, 1, 2.001))
    }
    return write_run(tmp_path_factory.mktemp("runs") / "r", rows)


def refusal(run, limits):
    with pytest.raises(InfeasibleError) as caught:
        recommend(run, limits)
    return str(caught.value)


def test_each_limit_that_can_be_relaxed_alone_is_named_with_what_is_enough(run):
    told = refusal(run, {"wer": 0.12, "rtf": 0.1})
    assert (
        "Relaxing one limit is enough: word error rate at most 30.00 % (tiny.en, full context), or real-time factor at "
        "most 0.201 (base, full context, beam 5)."
    ) in told


def test_what_is_enough_is_enough_as_it_stands(run):
    # RTF 0.2001 is shown as 0.200, which would not do
    assert recommend(run, {"wer": 0.12, "rtf": 0.201}).chosen.point == SLOW


def test_that_no_single_limit_is_enough_is_said(run):
    assert "Relaxing one limit alone is not enough." in refusal(run, {"wer": 0.05, "rtf": 0.01})


def test_an_unmeasured_axis_that_could_do_is_named_with_a_command(run):
    cheaper = refusal(run, {"rtf": 0.01})
    command = "allophone sweep corpus --out RUN --extend --models tiny.en,base --axis token_stride=1,2; or with"
    assert command in cheaper
    assert "--axis context=full,fit (its slowest point took 1.0 min)." in cheaper  # 30 x 2.001 s
    better = refusal(run, {"wer": 0.01})
    assert "--extend --models small (its" in better  # beams were varied
    assert "token_stride" not in better


@pytest.mark.parametrize(
    "limits", [dict(zip(("wer", "rtf"), pair, strict=True)) for pair in product((0.05, 0.2), (0.01, 0.1))]
)
def test_a_relaxation_is_the_least_of_all(run, limits):
    points = summarise_run(run).points
    found = relaxations(points, limits)
    for name in limits:
        (other,) = set(limits) - {name}
        enough = [getattr(point, name) for point in points if getattr(point, other) <= limits[other]]
        assert (getattr(found[name], name) if name in found else None) == (min(enough) if enough else None)
