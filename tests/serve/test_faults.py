"""What goes wrong, and that the next request is right all the same."""

import gc
import os
import random
import socket
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from io import BytesIO
from threading import Event

import av
import httpx2
import numpy as np
import openai
import pytest

from allophone.serve.keys import add_key, read_keys
from allophone.serve.served_point import ServedPoint
from allophone.serve.settings import ServeSettings
from allophone.transcription.transcriber import Transcriber
from builders import write_wav
from serve_live import FAKE, Live, live_server, sound, wait_until

ADDRESS = "/v1/audio/transcriptions"


def encoded(samples: np.ndarray, codec: str, container: str) -> bytes:
    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=16_000)
        stream.layout = "mono"
        for start in range(0, samples.size, 960):
            frame = av.AudioFrame.from_ndarray(
                (samples[None, start : start + 960] * 32767).astype(np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def wav(tmp_path_factory):
    return write_wav(tmp_path_factory.mktemp("audio") / "a.wav", sound()).read_bytes()


class Held(ServedPoint):
    """The fake point, whose passes wait to be let go, and of which some are made to fail."""

    def __init__(self, workers: int = 1) -> None:
        super().__init__(Transcriber(FAKE), None, workers)
        self.entered, self.go, self.passes, self.fails = Event(), Event(), 0, 0
        self.go.set()

    def run(self, batch):
        self.passes += 1
        self.entered.set()
        assert self.go.wait(60)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("a defect")
        return super().run(batch)


def text(live: Live, wav: bytes, **options) -> str:
    return live.client(**options).audio.transcriptions.create(model="whisper-1", file=("a.wav", wav)).text


def test_too_many_bytes_are_refused_by_what_is_stated_and_by_what_comes(wav):
    with live_server(settings=ServeSettings(max_upload_bytes=50_000)) as live:
        with pytest.raises(openai.APIStatusError) as caught:
            text(live, wav)
        assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
        assert "50000" in caught.value.message
        chunks = (wav[start : start + 1000] for start in range(0, len(wav), 1000))
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        reply = httpx2.post(
            live.url + ADDRESS,
            content=(part for parts in ([head], chunks) for part in parts),
            headers={"content-type": "multipart/form-data; boundary=b"},
            timeout=30,
        )
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")
        assert text(live, write_small()) != ""


def write_small() -> bytes:
    return encoded(sound(1.0), "pcm_s16le", "wav")


def test_uploads_share_a_limit_and_give_it_back(wav):
    settings = ServeSettings(max_upload_bytes=100_000, max_held_bytes=100_000)
    held, told = Event(), Event()

    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + wav[:60_000]
        held.set()
        assert told.wait(60)
        yield b'\r\n--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n'

    with live_server(settings=settings) as live, ThreadPoolExecutor(1) as pool:
        headers = {"content-type": "multipart/form-data; boundary=b"}
        first = pool.submit(httpx2.post, live.url + ADDRESS, content=body(), headers=headers, timeout=60)
        try:
            assert held.wait(30)
            wait_until(lambda: live.service.held.bytes >= 60_000)
            with pytest.raises(openai.RateLimitError) as caught:
                text(live, wav)
            assert caught.value.response.headers["retry-after"]
        finally:
            told.set()
        assert first.result(30).status_code == 400  # cut before its end, as its header says
        assert live.service.held.bytes == 0
        assert text(live, wav)
        assert live.service.held.bytes == 0


def test_a_small_file_that_decodes_to_too_much_is_refused_while_it_is_decoded():
    packed = encoded(np.zeros(600 * 16_000, np.float32), "flac", "flac")
    assert len(packed) < 200_000
    with live_server(settings=ServeSettings(max_audio_s=60.0)) as live:
        with pytest.raises(openai.APIStatusError) as caught:
            text(live, packed)
        assert (caught.value.status_code, caught.value.code) == (413, "audio_too_long")
        assert "60 s" in caught.value.message


def test_an_upload_that_stops_is_given_up(wav):
    with live_server(settings=ServeSettings(max_pause_s=0.2)) as live:
        host, port = live.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(
                b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
                b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
            )
            assert connection.recv(4096).startswith(b"HTTP/1.1 408")
        assert text(live, wav)


def dribble(live: Live, begun: Callable[[], object] = lambda: None) -> bytes:
    """Send a form that does not end, a byte at a time, until there is a reply; return it."""
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        )
        begun()
        connection.settimeout(0.05)
        for _ in range(400):
            try:
                return connection.recv(4096)
            except TimeoutError:
                connection.sendall(b"x")
    pytest.fail("no reply")


def test_an_upload_that_dribbles_is_given_up(wav):
    with live_server(settings=ServeSettings(max_upload_s=0.5)) as live:
        assert dribble(live).startswith(b"HTTP/1.1 408")
        assert text(live, wav)


def test_an_upload_that_dribbles_does_not_keep_a_server_from_stopping():
    with live_server(settings=ServeSettings(max_pause_s=0.5)) as live:

        def stop():
            wait_until(lambda: live.service.held.bytes)
            live.service.draining = True

        assert dribble(live, stop).startswith(b"HTTP/1.1 503")
        wait_until(lambda: not live.service.open_requests)


def test_a_prompt_longer_than_the_decoder_is_cut(wav):
    with live_server() as live:
        assert live.post({"file": ("a.wav", wav)}, {"model": "whisper-1", "prompt": "word " * 9000}).status_code == 200


def test_connections_that_are_cut_leave_nothing_behind(wav, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with live_server() as live:
        expected = text(live, wav)
        threads = threading.active_count()
        handles = len(os.listdir("/proc/self/fd"))
        host, port = live.url.removeprefix("http://").split(":")
        for number in range(100):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + wav[: 300 * number]
                connection.sendall(
                    f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n"
                    "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
                    + body
                )
        wait_until(lambda: live.service.open_requests == 0)
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= handles)
        assert threading.active_count() <= threads + 1  # a decoder's thread may have begun
        assert not list(tmp_path.iterdir())
        assert text(live, wav) == expected


def test_malformed_uploads_are_answered_and_change_nothing(wav):
    kinds = [wav, encoded(sound(), "flac", "flac"), encoded(sound(), "pcm_s16le", "matroska")]
    draw = random.Random(0)
    with live_server(settings=ServeSettings(max_audio_s=120.0)) as live, httpx2.Client(timeout=60) as client:
        expected = text(live, wav)
        seen = {200: 0, 400: 0, 413: 0}
        for number in range(150):
            damaged = bytearray(kinds[number % len(kinds)])
            for _ in range(draw.choice((1, 4, 64))):
                damaged[draw.choice((draw.randrange(64), draw.randrange(len(damaged))))] = draw.randrange(256)
            if number % 5 == 0:
                del damaged[draw.randrange(len(damaged)) :]
            reply = client.post(live.url + ADDRESS, files={"file": bytes(damaged)}, data={"model": "whisper-1"})
            seen[reply.status_code] += 1
            assert reply.status_code == 200 or set(reply.json()["error"]) == {"message", "type", "param", "code"}
        assert seen[200] > 10
        assert seen[400] > 10
        assert text(live, wav) == expected


def test_forms_of_any_bytes_are_answered(wav):
    draw = random.Random(1)
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: '
        b'form-data; name="file"; filename="a"\r\nContent-Type: audio/wav\r\n\r\n' + wav[:4000] + b"\r\n--b--\r\n"
    )
    with live_server() as live, httpx2.Client(timeout=60) as client:
        for _ in range(150):
            damaged = bytearray(form)
            for _ in range(draw.choice((1, 3, 20))):
                damaged[draw.randrange(220)] = draw.randrange(256)
            reply = client.post(
                live.url + ADDRESS,
                content=bytes(damaged),
                headers={"content-type": "multipart/form-data; boundary=b"},
            )
            assert reply.status_code in (200, 400, 404)
            assert reply.status_code == 200 or set(reply.json()["error"]) == {"message", "type", "param", "code"}
        assert text(live, wav)


def test_a_form_that_ends_within_its_file_is_refused_and_gives_its_memory_back(wav):
    content = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + wav[:4000]
    headers = {"content-type": "multipart/form-data; boundary=b"}
    with live_server() as live:
        reply = httpx2.post(live.url + ADDRESS, content=content, headers=headers, timeout=30)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_body")
        gc.collect()  # a file that nobody closed is a warning, and so an error here


def test_a_defect_fails_one_request_is_not_sent_again_and_the_next_is_right(wav):
    served = Held()
    with live_server(served) as live:
        expected = text(live, wav)
        served.fails, before = 1, served.passes
        with pytest.raises(openai.InternalServerError) as caught:
            text(live, wav, max_retries=2)
        assert caught.value.code == "transcription_failed"
        assert served.passes == before + 1
        assert text(live, wav) == expected
        assert "allophone_audio_dropped_seconds_total 3.0" in live.get("/metrics").text


def test_a_defect_in_a_stream_is_an_error_of_the_client(wav):
    served = Held()
    with live_server(served) as live:
        served.fails = 1
        with pytest.raises(openai.APIError, match="a defect"):
            list(live.client().audio.transcriptions.create(model="whisper-1", file=("a", wav), stream=True))
        assert text(live, wav)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_frees_the_work(speech, wav, stream, tmp_path):
    long = write_wav(tmp_path / "long.wav", np.concatenate([one.samples for one in (*speech, *speech, *speech)]))
    served = Held()
    with live_server(served) as live:
        served.entered.clear()
        served.go.clear()
        host, port = live.url.removeprefix("http://").split(":")
        request = httpx2.Request(
            "POST",
            live.url + ADDRESS,
            files={"file": long.read_bytes()},
            data={"model": "whisper-1", "stream": str(stream).lower()},
        )
        head = f"POST {ADDRESS} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in request.headers.items()
        )
        before = served.passes
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(head.encode() + b"\r\n" + request.read())
            assert served.entered.wait(30)
        wait_until(lambda: live.service.open_requests == 0)
        wait_until(lambda: live.service.queue.state().queued_s < live.service.queue.rate.seconds(1e12))
        served.go.set()
        assert text(live, wav)
        assert served.passes == before + 2  # the window that ran, and the next request's
        assert live.service.metrics.total("allophone_requests_cancelled_total") == 1


def test_a_full_queue_says_when_to_come_again_and_the_next_is_right(wav):
    served = Held()
    with live_server(served, ServeSettings(max_queue_s=0.0)) as live, ThreadPoolExecutor(2) as pool:
        expected = text(live, wav)
        served.entered.clear()
        served.go.clear()
        running = pool.submit(text, live, wav)
        assert served.entered.wait(30)
        wait_until(lambda: live.service.queue.wait_s(bulk=False) == 0)  # it has run longer than was predicted
        waiting = pool.submit(text, live, wav)
        wait_until(lambda: live.service.queue.state().waiting == 1)
        with pytest.raises(openai.RateLimitError) as caught:
            text(live, wav)
        assert 1 <= int(caught.value.response.headers["retry-after"]) <= 120
        assert live.get("/live").status_code == 200
        served.go.set()
        assert running.result(30) == waiting.result(30) == expected
        assert text(live, wav) == expected


def test_what_takes_longer_than_the_client_reads_is_refused_at_once(wav):
    with live_server() as live:
        reply = live.post({"file": wav}, headers={"x-stainless-read-timeout": "0.0000001"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_long_for_timeout")
        assert reply.headers["x-should-retry"] == "false"
        assert live.post({"file": wav}, headers={"x-stainless-read-timeout": "600"}).status_code == 200


def test_a_pass_that_does_not_end_makes_the_server_not_ready(wav):
    served = Held()
    with live_server(served, ServeSettings(stuck_s=0.0)) as live, ThreadPoolExecutor(1) as pool:
        served.entered.clear()
        served.go.clear()
        running = pool.submit(text, live, wav)
        assert served.entered.wait(30)
        reply = live.get("/ready")
        assert (reply.status_code, reply.json()["status"]) == (503, "stuck")
        assert live.get("/live").status_code == 200
        served.go.set()
        running.result(30)
        assert live.get("/ready").status_code == 200


def test_keys_let_in_and_others_do_not(tmp_path, wav):
    keys = [add_key(tmp_path / "keys") for _ in range(2)]
    with live_server(keys=read_keys(tmp_path / "keys")) as live:
        for key in keys:
            assert text(live, wav, api_key=key)
        for key in ("x", "wrong", keys[0][:-1], keys[0] + "x", "ü"):
            headers = {"authorization": f"Bearer {key}".encode()}
            for reply in (live.post({"file": wav}, headers=headers), live.get("/v1/models", headers=headers)):
                assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
        with pytest.raises(openai.AuthenticationError):
            text(live, wav, api_key="wrong")
        assert live.get("/live").status_code == live.get("/ready").status_code == 200
