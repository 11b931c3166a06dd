from allophone.frontier.pareto import Frontier
from allophone.ledger.throughput_record import ThroughputPass, ThroughputRecord, write_throughput
from allophone.records.point import OperatingPoint
from allophone.report.tables import frontier_table
from builders import write_run

TINY = OperatingPoint(model="tiny.en")
BASE = OperatingPoint(model="base")


def table_of(tmp_path, **changes):
    worse = {"hits": 8, "substitutions": 1, "deletions": 1, "insertions": 3}
    speakers = [{"speaker": f"s{index}"} for index in range(30)]
    rows = {TINY: speakers, BASE: [{**worse, **speaker} for speaker in speakers]}
    return frontier_table(Frontier.from_run(write_run(tmp_path / "r", rows, **changes)))


def test_cells_are_what_people_read(tmp_path):
    table = table_of(tmp_path)
    cells = dict(zip(table.columns, table.rows[1], strict=True))
    assert cells == {
        "point": BASE.title,
        "WER %": "50.00",  # 5 errors over 10 words
        "RTF": "0.100",
        "p95 latency s": "1.000",
        "GFLOPs/utt.": "40.0",
        "peak MB": "300",
        "perfect %": "0.0",
        "worse %": "100.0",
        "of peak %": "25",  # 0.25 s of 1 s
        "S/D/I": "30/30/90",
        "by": TINY.title,
        "verdict": "dominated (p > 0.99)",
    }
    assert table.muted == (False, True)


def test_a_relative_table_never_says_wer(tmp_path):
    table = table_of(tmp_path, relative_to="base-full-s1-int8-b5")
    assert "WER" not in table.title
    assert not any("WER" in column for column in table.columns)
    assert "relative to base" in table.title


def test_throughput_is_shown_as_audio_seconds_a_second(tmp_path):
    rows = {TINY: [{"speaker": f"s{index}"} for index in range(30)]}
    run = write_run(tmp_path / "r", rows)
    passes = tuple(
        ThroughputPass(point=TINY.name, round=turn, workers=2, batch_size=1, wall_s=wall_s)
        for turn, wall_s in enumerate((4.0, 5.0, 10.0))
    )
    write_throughput(run, ThroughputRecord(jobs=0, batch_size=0, minutes=1, utterances=(0,), audio_s=60, passes=passes))
    column = "RTFx, many at once"
    plain = frontier_table(Frontier.from_run(run))
    assert plain.rows[0][plain.columns.index(column)] == "12.0"  # 60 s in 5 s
    compared = frontier_table(Frontier.from_run(run, "rtf_throughput"))
    shown = compared.rows[0][compared.columns.index(column)]
    value, low, high = (float(part.strip("[],")) for part in shown.split())
    assert low <= 6
    assert high >= 15
    assert value == 12
    assert "from files to texts" in " ".join(compared.notes)
