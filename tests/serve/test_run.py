import socket

import pytest
import uvicorn

from allophone.serve.run import is_loopback, listen


def test_no_reply_waits_for_an_acknowledgement():
    with (
        listen(uvicorn.Config(None, host="127.0.0.1", port=0)) as listener,
        socket.socket() as client,
    ):
        listener.listen()
        client.connect(listener.getsockname())
        with listener.accept()[0] as taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)),
        *(("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("example.org", False), ("", False)),
    ],
)
def test_which_addresses_only_this_machine_reaches(host, loopback):
    assert is_loopback(host) == loopback
