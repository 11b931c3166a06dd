import importlib.util
import json
import subprocess
import sys
import textwrap

import pytest

from allophone.errors import (
    AudioError,
    CorpusError,
    LedgerError,
    MissingExtraError,
    SpaceError,
    UnknownModelError,
    UsageError,
)
from allophone.frontier.summarise import summarise_run
from allophone.ledger.readers import connect
from allophone.ledger.run_record import read_run
from allophone.sweeps.recognition.run import sweep
from allophone.sweeps.space import SearchSpace
from builders import write_tones

FAKES = ["fake:tiny", "fake:small"]
SPACE = SearchSpace(  # 2 x (full, fit, stride 2) = 6 points
    model=tuple(FAKES), context=("full", "fit"), token_stride=(1, 2), beam_size=(1,)
)


def query(folder, sql):
    with connect(folder) as connection:
        return connection.execute(sql).fetchall()


def test_every_point_has_one_row_an_utterance(tmp_path):
    manifest = write_tones(tmp_path / "c", n=4)
    result = sweep(manifest, out=tmp_path / "r", space=SPACE)
    assert (result.points, result.rows, result.failures) == (6, 24, ())
    assert query(
        tmp_path / "r", "SELECT count(*), count(DISTINCT point), count(DISTINCT utterance_id) FROM measurements"
    ) == [(24, 6, 4)]


def test_the_times_of_a_row_are_what_its_point_alone_would_pay(tmp_path):
    sweep(write_tones(tmp_path / "c", n=2), out=tmp_path / "r", space=SPACE)
    rows = query(
        tmp_path / "r",
        "SELECT latency_s, prepare_s + encode_s + decode_s, encode_s, peak_memory_bytes FROM measurements",
    )
    for latency_s, parts_s, encode_s, peak in rows:
        assert latency_s == pytest.approx(parts_s)
        assert encode_s > 0
        assert peak is None or peak > 10_000_000


def test_bigger_models_and_finer_strides_hear_better_in_the_fake_world(tmp_path):
    sweep(write_tones(tmp_path / "c", n=12), out=tmp_path / "r", space=SPACE)
    wer = {point.name: point.wer for point in summarise_run(tmp_path / "r").points}
    assert wer["fake.small-full-s1-int8-b1"] < wer["fake.tiny-full-s1-int8-b1"] < wer["fake.tiny-full-s2-int8-b1"]


def test_the_same_call_measures_nothing_twice(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r/measurements").iterdir()}
    again = sweep(manifest, out=tmp_path / "r", space=SPACE)
    assert again.engine_s == 0
    assert again.rows == 18
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "r/measurements").iterdir()} == before


def test_a_changed_corpus_is_noticed_and_named(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(lines[:2]) + "\n")
    with pytest.raises(LedgerError, match=r"the corpus changed.*3 utterances then, 2 now"):
        sweep(manifest, out=tmp_path / "r", space=SPACE)


def test_a_changed_space_is_noticed_and_named_and_can_be_extended(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    wider = SPACE.model_copy(update={"token_stride": (1, 2, 4)})
    with pytest.raises(LedgerError, match=r"axis 'token_stride' was 1,2 and is 1,2,4 now.*--extend"):
        sweep(manifest, out=tmp_path / "r", space=wider)
    result = sweep(manifest, out=tmp_path / "r", space=wider, extend=True)
    assert (result.points, result.rows) == (8, 24)


def test_an_extension_keeps_the_points_that_a_run_has_and_goes_on_with_them(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    measured = read_run(tmp_path / "r").points
    (tmp_path / "r/measurements" / f"{measured[1].name}.parquet").unlink()
    other = SearchSpace(model=("fake:base",), context=("full",), token_stride=(4,), beam_size=(1,))
    result = sweep(manifest, out=tmp_path / "r", space=other, extend=True)
    run = read_run(tmp_path / "r")
    assert run.points[:-1] == measured
    assert (run.points[-1].model, result.rows) == ("fake:base", 3 * len(run.points))
    assert run.space["token_stride"] == [1, 2, 4]
    assert {point.point for point in summarise_run(tmp_path / "r").points} == set(run.points)


def test_changed_settings_are_noticed_and_named(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2)
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    with pytest.raises(LedgerError, match="'normalizer' was 'english' and is 'basic' now"):
        sweep(manifest, out=tmp_path / "r", space=SPACE, normalizer="basic")


def test_one_bad_recording_is_reported_counted_and_skipped(tmp_path):
    manifest = write_tones(tmp_path / "c", n=4)
    (tmp_path / "c/audio/u1.wav").write_bytes(b"not audio")
    (tmp_path / "c/audio/u2.wav").unlink()
    result = sweep(manifest, out=tmp_path / "r", space=SPACE)
    assert [name for name, _ in result.failures] == ["u1", "u2"]
    summary = summarise_run(tmp_path / "r")
    assert {name for name, _ in summary.failures} == {"u1", "u2"}
    assert {point.n_utterances for point in summary.points} == {2}
    assert "2 recordings could not be read" in " ".join(summary.notices)


def test_failures_of_an_earlier_sitting_are_reported_again(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3)
    (tmp_path / "c/audio/u1.wav").write_bytes(b"")
    sweep(manifest, out=tmp_path / "r", space=SPACE)
    assert [name for name, _ in sweep(manifest, out=tmp_path / "r", space=SPACE).failures] == ["u1"]


def test_strict_stops_at_the_first_bad_recording_and_keeps_the_rest(tmp_path):
    manifest = write_tones(tmp_path / "c", n=4)
    (tmp_path / "c/audio/u2.wav").write_bytes(b"")
    with pytest.raises(AudioError, match=r"u2.*empty"):
        sweep(manifest, out=tmp_path / "r", space=SPACE, strict=True)
    assert query(tmp_path / "r", "SELECT count(DISTINCT utterance_id) FROM measurements WHERE error IS NULL") == [(2,)]


def test_a_corpus_without_one_readable_recording_is_an_error(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2)
    for path in (tmp_path / "c/audio").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match="not one of the 2 recordings could be read"):
        sweep(manifest, out=tmp_path / "r", space=SPACE)


def test_a_missing_reference_is_named_with_the_remedy(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2, references=False)
    with pytest.raises(CorpusError, match=r"'u0' has no reference.*--reference-model"):
        sweep(manifest, out=tmp_path / "r", space=SPACE)


def test_a_reference_model_makes_every_row_relative_to_it(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3, references=False)
    sweep(manifest, out=tmp_path / "r", space=SPACE, reference_model="fake:large-v3")
    name = "fake.large-v3-full-s1-int8-b5"
    assert query(tmp_path / "r", "SELECT DISTINCT relative_to FROM measurements") == [(name,)]
    summary = summarise_run(tmp_path / "r")
    assert summary.run.quality_name == "difference relative to fake.large-v3, full context, beam 5"
    assert "they are not WER" in summary.notices[0]
    assert sum(point.hits for point in summary.points) > 0


def test_references_are_not_transcribed_twice(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3, references=False)
    stages = []
    for _ in range(2):
        stages.append([])
        sweep(
            manifest,
            out=tmp_path / "r",
            space=SPACE,
            reference_model="fake:small",
            progress=lambda now: stages[-1].append(now.stage),
        )
    assert stages[0].count("references") == 3
    assert stages[1] == []


def test_a_torn_reference_file_is_continued(tmp_path):
    manifest = write_tones(tmp_path / "c", n=3, references=False)
    sweep(manifest, out=tmp_path / "a", space=SPACE, reference_model="fake:small")
    (tmp_path / "b").mkdir()
    whole = (tmp_path / "a/references.jsonl").read_bytes()
    (tmp_path / "b/references.jsonl").write_bytes(whole[:-7])
    sweep(manifest, out=tmp_path / "b", space=SPACE, reference_model="fake:small")
    assert (tmp_path / "b/references.jsonl").read_bytes() == whole


def test_progress_ends_at_the_total_and_estimates_the_rest(tmp_path):
    seen = []
    sweep(write_tones(tmp_path / "c", n=3), out=tmp_path / "r", space=SPACE, progress=seen.append)
    assert (seen[-1].done, seen[-1].total, seen[-1].remaining_s) == (18, 18, 0)
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    assert seen[0].remaining_s > 0


def test_parallel_workers_measure_the_same_rows(tmp_path):
    manifest = write_tones(tmp_path / "c", n=4)
    texts = []
    for workers in (1, 2):
        sweep(manifest, out=tmp_path / f"r{workers}", space=SPACE, workers=workers, threads=1)
        texts.append(
            query(tmp_path / f"r{workers}", "SELECT point, utterance_id, hypothesis FROM measurements ORDER BY 1, 2")
        )
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"models": ["tiny-en"]}, UnknownModelError),
        ({"plan": "spiral"}, SpaceError),
        ({"normalizer": "latin"}, SpaceError),
    ],
)
def test_what_is_asked_wrongly_fails_before_anything_is_written(tmp_path, changes, error):
    manifest = write_tones(tmp_path / "c", n=2)
    with pytest.raises(error):
        sweep(manifest, out=tmp_path / "r", **changes)
    assert not (tmp_path / "r").exists()


def test_a_corpus_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no such file or folder"):
        sweep(tmp_path / "nothing", out=tmp_path / "r", space=SPACE)


def test_a_script_needs_no_main_guard(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2)
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import allophone
        result = allophone.sweep({str(manifest)!r}, out={str(tmp_path / "r")!r}, models=["fake:tiny"])
        print(result.rows)
        """)
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "8"), done.stderr  # 4 points x 2 utterances


def test_duplicate_ids_are_named(tmp_path):
    manifest = write_tones(tmp_path / "c", n=2)
    row = json.loads(manifest.read_text().splitlines()[0])
    manifest.write_text(manifest.read_text() + json.dumps(row) + "\n")
    with pytest.raises(CorpusError, match="id 'u0' occurs twice"):
        sweep(manifest, out=tmp_path / "r", space=SPACE)


def without_speakers(manifest):
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        del row["speaker"]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def test_speakers_are_inferred_from_voices_and_said_to_be(tmp_path, speech):
    pytest.importorskip("scipy")
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("resemblyzer") is None:
        pytest.skip("torch and Resemblyzer are not installed")
    rows = [{"audio_filepath": str(one.path), "text": one.text} for one in speech[:5]]
    rows[0]["speaker"] = "anna"
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = sweep(manifest, out=tmp_path / "r", space=SPACE, speakers="auto")
    assert any(notice.startswith("4 utterances name no speaker") for notice in result.notices)
    by_utterance = dict(query(tmp_path / "r", "SELECT DISTINCT utterance_index, speaker FROM measurements"))
    assert by_utterance[0] == "anna"
    assert {by_utterance[index] for index in range(1, 5)} <= {"anna", *(f"inferred-{n}" for n in range(1, 5))}
    run = read_run(tmp_path / "r")
    assert "Resemblyzer" in run.speakers
    assert run.n_speakers == len(set(by_utterance.values()))
    assert any("inferred from voices by Resemblyzer" in notice for notice in summarise_run(tmp_path / "r").notices)
    again = sweep(manifest, out=tmp_path / "r", space=SPACE, speakers="auto")
    assert (again.rows, again.engine_s) == (result.rows, 0)
    with pytest.raises(LedgerError, match="'speakers' was 'Resemblyzer"):
        sweep(manifest, out=tmp_path / "r", space=SPACE)


def test_a_corpus_that_names_all_speakers_keeps_them_and_needs_no_encoder(tmp_path, monkeypatch):
    manifest = write_tones(tmp_path / "c", n=3)
    monkeypatch.setattr(
        "allophone.sweeps.recognition.run.require_voice_encoder", lambda: pytest.fail("no voice is heard")
    )
    result = sweep(manifest, out=tmp_path / "r", space=SPACE, speakers="auto")
    assert result.notices == ()
    assert read_run(tmp_path / "r").speakers is None


def test_impossible_speakers_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    manifest = without_speakers(write_tones(tmp_path / "c", n=3))
    with pytest.raises(SpaceError, match="--speakers 'voice': write corpus or auto"):
        sweep(manifest, out=tmp_path / "s", space=SPACE, speakers="voice")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else found(name, *rest)
    )
    with pytest.raises(MissingExtraError, match="--no-deps Resemblyzer"):
        sweep(manifest, out=tmp_path / "s", space=SPACE, speakers="auto")
    assert not (tmp_path / "s").exists()
