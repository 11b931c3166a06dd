import socket
from urllib.parse import urlsplit

import pytest
import uvicorn

from allophone.serve.run import listen, url_of


def test_no_reply_waits_for_an_acknowledgement():
    with (
        listen(uvicorn.Config(None, host="127.0.0.1", port=0)) as listener,
        socket.socket() as client,
    ):
        listener.listen()
        client.connect(listener.getsockname())
        with listener.accept()[0] as taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_address_that_is_told_can_be_asked(host):
    if host == "::1" and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with listen(uvicorn.Config(None, host=host, port=0)) as listener:
        parts = urlsplit(url_of(listener))
        assert (parts.hostname, parts.port) == (host, listener.getsockname()[1])
