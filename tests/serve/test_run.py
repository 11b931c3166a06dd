import socket

import uvicorn

from allophone.serve.run import listen


def test_no_reply_waits_for_an_acknowledgement():
    with (
        listen(uvicorn.Config(None, host="127.0.0.1", port=0)) as listener,
        socket.socket() as client,
    ):
        listener.listen()
        client.connect(listener.getsockname())
        with listener.accept()[0] as taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
