"""Ends of WebSockets, as the library websockets sees them.

Arguments: PORT TRIES AUTHORITY; an empty AUTHORITY means plain TCP.
"""

import collections
import functools
import http.client
import ssl
import sys
import threading

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PORT, TRIES, AUTHORITY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
CONTEXT = ssl.create_default_context(cafile=AUTHORITY) if AUTHORITY else None
PART = b"x" * (32 << 10)
# More than any server reads that says goodbye.
MOST_PARTS = 2000


def opened(path):
    scheme = "wss" if AUTHORITY else "ws"
    return connect(f"{scheme}://localhost:{PORT}{path}", ssl=CONTEXT, compression=None, open_timeout=20)


def told(end):
    """The code and the reason of the server's Close frame."""
    return (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "")


def closes(code):
    """The client closes, and the server confirms it."""
    with opened("/echo") as socket:
        socket.send("hello")
        assert socket.recv() == "hello"
        socket.close(code, "done")
        try:
            socket.recv()
        except ConnectionClosed as end:
            return told(end)


def is_told(path, size=len(PART)):
    """The server closes while the client sends."""
    with opened(path) as socket:
        try:
            for _ in range(MOST_PARTS):
                socket.send(b"x" * size)
        except ConnectionClosed as end:
            return told(end)


def stop():
    connection = http.client.HTTPConnection if not CONTEXT else functools.partial(
        http.client.HTTPSConnection, context=CONTEXT
    )
    client = connection("localhost", PORT, timeout=20)
    client.request("GET", "/stop")
    client.getresponse().read()


def away(clients):
    """Clients that all send when the server stops."""
    seen, ready = [], threading.Barrier(clients + 1)

    def client():
        with opened("/until-stop") as socket:
            ready.wait(20)
            try:
                for _ in range(MOST_PARTS):
                    socket.send(PART)
            except ConnectionClosed as end:
                seen.append(told(end))

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait(20)
    stop()
    for thread in threads:
        thread.join(20)
    return seen + [None] * (clients - len(seen))


def tell(row, wants, seen):
    shown = " ".join(f"{count} x {what}" for what, count in collections.Counter(map(str, seen)).items())
    print(f"websockets: {row}", sum(one == wants for one in seen), len(seen), shown, sep="\t", flush=True)


for code in [1000, 1001, 3000, 4999]:
    tell(f"the client closes with {code}", (code, "done"), [closes(code) for _ in range(TRIES)])
tell("the server closes while the client sends", (1008, "enough"), [is_told("/enough") for _ in range(TRIES)])
tell("a message that is too large", (1009, "too large"), [is_told("/small", 1 << 20) for _ in range(TRIES)])
tell("the server stops", (1001, "stopping"), away(10))
