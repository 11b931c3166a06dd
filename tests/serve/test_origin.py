import pytest

from allophone.serve.api_error import ApiError
from allophone.serve.keys import add_key, read_keys
from allophone.serve.origin import is_loopback, refuse_other_sites
from builders import write_wav
from serve_live import live_server, sound

OTHER_SITES = [
    "https://example.org",
    "http://127.0.0.1.example.org:8000",
    "null",
    "http://",
    "http://[",
    "https://192.168.1.2",
]
ALLOWED = [
    None,
    "http://127.0.0.1:8000",
    "http://localhost:3000",
    "http://[::1]:8000",
    "chrome-extension://abc",
    "tauri://localhost",
]


@pytest.mark.parametrize("origin", OTHER_SITES)
def test_a_page_of_another_site_is_refused(origin):
    with pytest.raises(ApiError, match="another site") as caught:
        refuse_other_sites(origin)
    assert caught.value.status == 403


@pytest.mark.parametrize("origin", ALLOWED)
def test_pages_of_this_machine_and_other_clients_are_let_in(origin):
    refuse_other_sites(origin)


def test_a_form_that_another_site_sends_does_no_work(tmp_path):
    recording = write_wav(tmp_path / "a.wav", sound(1.0)).read_bytes()
    key = add_key(tmp_path / "keys")
    from_elsewhere = {"origin": "https://example.org"}
    with live_server() as live:
        assert live.post({"file": ("a.wav", recording)}, headers=from_elsewhere).status_code == 403
        assert live.get("/v1/models", headers=from_elsewhere).status_code == 403
        assert live.get("/status").json()["transcripts"] == 0
        assert live.post({"file": ("a.wav", recording)}, headers={"origin": live.url}).status_code == 200
    with live_server(everybody=True) as live:
        assert live.post({"file": ("a.wav", recording)}, headers=from_elsewhere).status_code == 200
    with live_server(keys=read_keys(tmp_path / "keys")) as live:
        shown = {**from_elsewhere, "authorization": f"Bearer {key}"}
        assert live.post({"file": ("a.wav", recording)}, headers=shown).status_code == 200


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("a.localhost", True)),
        *(
            ("0.0.0.0", False),
            ("::", False),
            ("192.168.1.2", False),
            ("example.org", False),
            ("127.0.0.1.example.org", False),
            ("", False),
        ),
    ],
)
def test_which_addresses_only_this_machine_reaches(host, loopback):
    assert is_loopback(host) == loopback
