"""The command: a process of its own, stopped by a signal as a supervisor does."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import httpx2
import pytest
from typer.testing import CliRunner

from allophone.cli import app
from allophone.errors import UsageError
from builders import write_wav
from serve_live import FAKE, sound, wait_until


@pytest.fixture(scope="module")
def point(tmp_path_factory):
    path = tmp_path_factory.mktemp("point") / "point.json"
    path.write_text(json.dumps({"schema_version": 1, "point": FAKE.model_dump(), "question": "WER at most 12 %"}))
    return path


@contextmanager
def serving(*arguments):
    command = [sys.executable, "-m", "allophone", "serve", "--port", "0", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, json.loads(process.stderr.readline())["url"]
        finally:
            process.kill()


def test_a_signal_lets_accepted_work_finish_and_refuses_new(point, tmp_path):
    audio = write_wav(tmp_path / "a.wav", sound()).read_bytes()
    ready, told = Event(), Event()

    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
        ready.set()
        assert told.wait(60)
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + audio + b"\r\n--b--\r\n"

    with serving("--point", point) as (process, url), ThreadPoolExecutor(1) as pool:
        address = f"{url}/v1/audio/transcriptions"
        headers = {"content-type": "multipart/form-data; boundary=b"}
        accepted = pool.submit(httpx2.post, address, content=body(), headers=headers, timeout=60)
        try:
            assert ready.wait(30)
            wait_until(lambda: httpx2.get(f"{url}/status").json()["open"] == 1)
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: httpx2.get(f"{url}/ready").json()["status"] == "draining")
            refused = httpx2.post(address, files={"file": b"x"}, data={"model": "whisper-1"}, timeout=60)
        finally:
            told.set()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert accepted.result(60).status_code == 200
        assert accepted.result().json()["text"]
        assert process.wait(30) == 0


def test_the_log_has_what_it_cost_and_not_what_was_said(point, tmp_path):
    audio = write_wav(tmp_path / "hidden-name.wav", sound()).read_bytes()
    with serving("--point", point) as (process, url):
        reply = httpx2.post(
            f"{url}/v1/audio/transcriptions",
            files={"file": ("hidden-name.wav", audio)},
            data={"model": "whisper-1"},
            timeout=60,
        )
        line = json.loads(process.stderr.readline())
    assert reply.json()["allophone"]["reason"] == "chosen: WER at most 12 %"
    assert (line["event"], line["code"], line["id"]) == ("request", 200, reply.headers["x-request-id"])
    assert line["gflops"] > 0
    assert not {"hidden-name", *reply.json()["text"].split()} & set(json.dumps(line).split('"'))


def test_a_new_key_lets_in_and_its_file_holds_a_digest_only(point, tmp_path):
    keys = tmp_path / "keys"
    made = CliRunner().invoke(app, ["serve", "--new-api-key", "--api-key-file", str(keys)]).stdout.strip()
    assert len(made) > 40
    assert made not in keys.read_text()
    with serving("--point", point, "--api-key-file", keys) as (_, url):
        for key, code in ((made, 200), (made[:-1], 401), ("", 401)):
            reply = httpx2.get(f"{url}/v1/models", headers={"authorization": f"Bearer {key}"} if key else {})
            assert reply.status_code == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "base", "--host", "0.0.0.0"], "--without-keys"),
        ([], "give one of"),
        (["--model", "base", "--policy", "p"], "give one of"),
        (["--model", "base", "--threshold", "1"], "only a policy"),
        (["--new-api-key"], "--api-key-file"),
        (["--model", "base", "--api-key-file", "/nowhere"], "/nowhere"),
    ],
)
def test_what_cannot_be_served_is_said_at_once(arguments, said):
    found = CliRunner().invoke(app, ["serve", *arguments])
    assert isinstance(found.exception, UsageError)
    assert said in str(found.exception)


def test_a_taken_port_is_an_error_with_a_remedy(point):
    with serving("--point", point) as (_, url):
        port = url.rpartition(":")[2]
        command = [sys.executable, "-m", "allophone", "serve", "--point", str(point), "--port", port]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 2
    assert "cannot be bound" in found.stderr
    assert "Traceback" not in found.stderr
