import pytest

from allophone.errors import SpaceError
from allophone.frontier.pareto import Frontier
from allophone.frontier.price import PRICE, Price, price_run, read_api_price
from allophone.frontier.recommend import recommend
from allophone.frontier.summarise import summarise_run
from allophone.ledger.throughput_record import ThroughputPass, ThroughputRecord, write_throughput
from allophone.measure.blocks import draw_blocks
from allophone.measure.intervals import intervals
from star_runs import BASE, write_star

BEAM = BASE.model_copy(update={"beam_size": 5})


@pytest.mark.parametrize(
    ("text", "price"), [("0.006/min", 0.36), ("0.36/h", 0.36), (" .0001 / second", 0.36), ("1e-2/MINUTE", 0.6)]
)
def test_an_api_s_price_is_read_per_hour_of_audio(text, price):
    assert read_api_price(text) == pytest.approx(price)


@pytest.mark.parametrize("text", ["0.006", "/min", "0.006/day", "-1/h", "free", "nan/h"])
def test_what_is_no_price_is_refused(text):
    with pytest.raises(SpaceError, match="per minute or hour of audio"):
        read_api_price(text)


@pytest.mark.parametrize("prices", [(0.0,), (-1.0,), (float("inf"),), (float("nan"),), (0.4, 0.0)])
def test_a_price_of_zero_is_refused(prices):
    with pytest.raises(SpaceError, match="positive number; at a price of zero"):
        Price(*prices)


def test_break_even_is_the_load_at_which_both_cost_the_same():
    price = Price(0.4, 0.36)
    assert price.break_even == pytest.approx(0.4 / 0.36)
    (line,) = price.explain(0.1)  # 10 hours of audio an hour, at 0.04 each
    assert "costs 0.04 on this machine" in line
    assert "from 1.11 hours of audio an hour on (26.7 a day); it can do 10" in line
    (never,) = price.explain(2.0)  # half an hour of audio an hour, at 0.8 each
    assert "less than this machine costs at any load: it can do 0.5" in never
    assert Price(0.4).explain(0.1) == ["An hour of audio costs 0.04 on this machine."]
    assert "not measured" in Price(0.4, 1).explain(float("nan"))[0]


@pytest.fixture
def run(tmp_path):
    return write_star(tmp_path / "r", {BASE: (2, 10), BEAM: (1, 20)})


def test_without_throughput_the_price_rests_on_the_real_time_factor_and_says_so(run):
    summary = price_run(summarise_run(run), Price(0.5))
    assert [point.price_per_audio_hour for point in summary.points] == pytest.approx([0.05, 0.05])  # RTF is 0.1
    assert "no throughput was measured" in summary.notices[-1]
    resample = draw_blocks(summary.samples.speakers, n_replicates=200)
    price, rtf = (intervals(summary.samples.resample(name, resample)) for name in (PRICE, "rtf"))
    for one, other in zip(price, rtf, strict=True):
        assert (one.low, one.high) == pytest.approx((0.5 * other.low, 0.5 * other.high))


def test_with_throughput_it_rests_on_that(run):
    passes = [
        ThroughputPass(point=point.name, round=turn, wall_s=seconds, workers=2, batch_size=1)
        for turn in range(3)
        for point, seconds in ((BASE, 20.0), (BEAM, 40.0))
    ]
    asked = {"jobs": 0, "batch_size": 0, "minutes": 10.0, "utterances": tuple(range(40))}
    write_throughput(run, ThroughputRecord(audio_s=400.0, passes=tuple(passes), **asked))
    summary = price_run(summarise_run(run), Price(0.5))
    assert [point.price_per_audio_hour for point in summary.points] == pytest.approx([0.025, 0.05])
    assert "measured throughput" in summary.notices[-1]
    assert recommend(summary, {PRICE: 0.03}).chosen.name == BASE.name
    assert [point.name for point in Frontier.from_summary(summary, PRICE).points] == [BASE.name, BEAM.name]


def test_without_a_price_there_is_no_such_cost(run):
    with pytest.raises(SpaceError, match="Give --price-per-hour"):
        Frontier.from_run(run, PRICE)
