import shutil
import subprocess

import numpy as np
import openai
import pytest

from allophone.records.point import OperatingPoint
from builders import write_wav
from serve_live import fake_point, live_server, sound

SPEECH_S = 3.0


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    return write_wav(tmp_path_factory.mktemp("audio") / "a.wav", sound(SPEECH_S)).read_bytes()


@pytest.fixture(scope="module")
def live():
    with live_server() as server:
        yield server


def named(wav: bytes, name: str = "a.wav") -> tuple[str, bytes]:
    return (name, wav)


@pytest.fixture(scope="module")
def text(live, wav):
    found = live.client().audio.transcriptions.create(model="whisper-1", file=named(wav)).text
    assert len(found.split()) > 3
    return found


def test_json_has_text_usage_and_cost(live, wav, text):
    found = live.client().audio.transcriptions.create(model="whisper-1", file=named(wav))
    assert found.text == text
    assert found.usage.type == "duration"
    assert found.usage.seconds == pytest.approx(SPEECH_S)
    cost = found.model_extra["allophone"]
    assert cost["point"] == live.service.served.name
    assert cost["gflops"] > 0
    assert cost["encoder_positions"]["used"] == pytest.approx(50 * SPEECH_S, abs=1)
    assert set(cost["seconds"]) == {"queue", "decode_audio", "prepare", "encode", "generate"}


@pytest.mark.parametrize("style", ["text", "srt", "vtt"])
def test_plain_formats_are_bare_text(live, wav, text, style):
    found = live.client().audio.transcriptions.create(model="whisper-1", file=named(wav), response_format=style)
    assert isinstance(found, str)
    assert text.split()[0] in found
    assert not found.startswith('"')
    assert found.startswith("WEBVTT") == (style == "vtt")
    assert ("-->" in found) == (style != "text")


@pytest.mark.parametrize("granularities", [["segment"], ["word"], ["word", "segment"]])
def test_verbose_json_has_what_was_asked_for(live, wav, text, granularities):
    found = live.client().audio.transcriptions.create(
        model="whisper-1", file=named(wav), response_format="verbose_json", timestamp_granularities=granularities
    )
    assert (found.text, found.language, found.duration) == (text, "english", pytest.approx(SPEECH_S))
    assert (found.segments is not None) == ("segment" in granularities)
    assert (found.words is not None) == ("word" in granularities)
    for segment in found.segments or ():
        assert segment.text == text
        assert None not in segment.model_dump().values()
    assert found.words is None or " ".join(word.word for word in found.words) == text


def test_granularities_without_brackets_count_too(live, wav):
    reply = live.post(
        {"file": named(wav)},
        {"model": "whisper-1", "response_format": "verbose_json", "timestamp_granularities": "word"},
    )
    assert "words" in reply.json()
    assert "segments" not in reply.json()


def test_deltas_joined_are_the_text(live, wav, text):
    events = list(live.client().audio.transcriptions.create(model="whisper-1", file=named(wav), stream=True))
    *deltas, done = events
    assert {event.type for event in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert "".join(event.delta for event in deltas) == done.text == text
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens
    assert done.model_extra["allophone"]["point"] == live.service.served.name


def test_a_long_recording_is_streamed_window_by_window(live, speech, tmp_path):
    audio = write_wav(tmp_path / "long.wav", np.concatenate([one.samples for one in (*speech, *speech)]))
    client = live.client()
    whole = client.audio.transcriptions.create(model="whisper-1", file=audio).text
    *deltas, done = client.audio.transcriptions.create(model="whisper-1", file=audio, stream=True)
    assert len(deltas) > 2
    assert "".join(event.delta for event in deltas) == done.text == whole != ""


def test_the_async_client_gets_the_same(live, wav, text):
    import asyncio

    async def ask() -> tuple[str, str]:
        async with live.async_client() as client:
            whole = await client.audio.transcriptions.create(model="whisper-1", file=named(wav))
            stream = await client.audio.transcriptions.create(model="whisper-1", file=named(wav), stream=True)
            deltas = [event.delta async for event in stream if event.type == "transcript.text.delta"]
        return whole.text, "".join(deltas)

    assert asyncio.run(ask()) == (text, text)


def test_headers_say_what_it_cost(live, wav):
    reply = live.client().audio.transcriptions.with_raw_response.create(
        model="whisper-1", file=named(wav), response_format="text"
    )
    assert reply.headers["x-allophone-point"] == live.service.served.name
    assert float(reply.headers["x-allophone-gflops"]) > 0
    assert float(reply.headers["x-allophone-queue-seconds"]) >= 0
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize("spelling", ["en", "EN", "english", "en-US"])
def test_spellings_of_a_language(live, wav, text, spelling):
    found = live.client().audio.transcriptions.create(model="whisper-1", file=named(wav), language=spelling)
    assert found.text == text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": "0.5"}, "temperature"),
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"language": "klingon"}, "language"),
        ({"language": "de"}, "language"),  # the model knows English only
        ({"response_format": "xml"}, "response_format"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"include[]": "logprobs"}, "include"),
        ({"stream": "perhaps"}, "stream"),
        ({"stream": "true", "response_format": "srt"}, "stream"),
        ({"chunking_strategy[type]": "server_vad"}, "chunking_strategy"),
        ({"known_speaker_names[]": "ann"}, "known_speaker_names"),
        ({"beam_size": "5"}, "beam_size"),
        ({"model": ""}, "model"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(live, wav, fields, param):
    reply = live.post({"file": named(wav)}, {"model": "whisper-1", **fields})
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, param)
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "fields", [{"prompt": ""}, {"temperature": "0"}, {"chunking_strategy": "auto"}, {"stream": "false"}]
)
def test_values_that_ask_for_nothing_are_taken(live, wav, text, fields):
    assert live.post({"file": named(wav)}, {"model": "whisper-1", **fields}).json()["text"] == text


def test_an_unknown_model_is_not_found(live, wav):
    with pytest.raises(openai.NotFoundError) as caught:
        live.client().audio.transcriptions.create(model="gpt-4o-transcribe", file=named(wav))
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("content", [b"", b"not audio at all", b"RIFF\x00\x00\x00\x00WAVE", b"\x00" * 5000])
def test_what_is_no_audio_is_a_bad_request(live, content):
    with pytest.raises(openai.BadRequestError) as caught:
        live.client().audio.transcriptions.create(model="whisper-1", file=named(content))
    assert caught.value.param == "file"


def test_silence_is_an_empty_text(live, tmp_path):
    silent = write_wav(tmp_path / "s.wav", np.zeros(48_000, np.float32))
    found = live.client().audio.transcriptions.create(model="whisper-1", file=silent)
    assert found.text == ""
    assert "silence" in found.model_extra["allophone"]["flags"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a.mp3", "noname", "C:\\x.wav", "a\u0000b.wav", "ü" * 300])
def test_the_name_of_a_file_counts_for_nothing(live, wav, text, name):
    assert live.post({"file": (name, wav, "application/octet-stream")}).json()["text"] == text


def test_models_are_listed(live):
    client = live.client()
    names = [model.id for model in client.models.list()]
    assert names[0] == live.service.served.name
    assert "whisper-1" in names
    assert client.models.retrieve("whisper-1").model_extra["allophone"]["served"] == names[0]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("whisper-2")


def test_a_prompt_spells_names_and_is_billed(live, wav, text):
    word = text.split()[1]
    found = live.client().audio.transcriptions.create(
        model="whisper-1", file=named(wav), prompt=f"we met {word.capitalize()}"
    )
    assert found.text == text.replace(word, word.capitalize())
    alone = live.client().audio.transcriptions.create(model="whisper-1", file=named(wav))
    assert found.model_extra["allophone"]["gflops"] > alone.model_extra["allophone"]["gflops"]


def test_translations_of_a_model_of_many_languages(wav):
    with live_server(fake_point(OperatingPoint(model="fake:tiny"))) as many:
        said = many.post({"file": named(wav)}).json()["text"]
        path, fields = "/v1/audio/translations", {"model": "whisper-1", "response_format": "verbose_json"}
        found = many.post({"file": named(wav)}, fields, path=path).json()
        assert (found["text"], found["task"], found["language"]) == (said.upper(), "translate", "english")
        for style in ("text", "srt", "vtt"):
            fields = {"model": "whisper-1", "response_format": style}
            assert said.split()[0].upper() in many.post({"file": named(wav)}, fields, path=path).text
        for field in ("language", "stream", "beam_size"):
            reply = many.post({"file": named(wav)}, {"model": "whisper-1", field: "en"}, path=path)
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, field)


def test_an_english_model_does_not_translate(live, wav):
    reply = live.post({"file": named(wav)}, path="/v1/audio/translations")
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "model")
    assert "English only" in reply.json()["error"]["message"]


def test_routes_that_are_not_there_answer_in_the_same_shape(live):
    assert set(live.get("/v1/nothing").json()["error"]) == {"message", "type", "param", "code"}


def test_health_and_metrics(live, wav):
    live.post({"file": named(wav)})
    assert live.get("/live").status_code == 200
    ready = live.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    metrics = live.get("/metrics").text
    assert 'allophone_requests_total{code="200",endpoint="transcriptions"}' in metrics
    assert 'allophone_encoder_positions_total{kind="used"}' in metrics
    assert "allophone_audio_dropped_seconds_total 0.0" in metrics


def test_a_body_that_is_no_form_is_a_bad_request(live):
    import httpx2

    for content, kind in (
        (b"{}", "application/json"),
        (b"x", "multipart/form-data"),
        (b"--b\r\n\r\nx", "multipart/form-data; boundary=b"),
    ):
        reply = httpx2.post(
            f"{live.url}/v1/audio/transcriptions", content=content, headers={"content-type": kind}, timeout=30
        )
        assert reply.status_code == 400, kind
        assert reply.json()["error"]["code"] in ("invalid_body", "missing_field")


def test_the_page_needs_nobody_else(live):
    page = live.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text
    assert "innerHTML" not in page.text  # what a recording says is text, never markup


def test_the_page_is_told_what_was_saved(live, wav):
    before = live.get("/status").json()
    live.post({"file": named(wav)})
    after = live.get("/status").json()
    assert after["transcripts"] == before["transcripts"] + 1
    assert after["audio_s"] == pytest.approx(before["audio_s"] + SPEECH_S)
    assert 0 < after["gflops"] < after["reference_gflops"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_shows_what_is_served(live, tmp_path):
    command = ["chromium", "--headless", "--no-sandbox", f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000"]
    shown = subprocess.run([*command, "--dump-dom", live.url], capture_output=True, text=True, timeout=120, check=True)
    assert live.service.served.describe()["title"] in shown.stdout
    assert "saved against the reference" in shown.stdout
