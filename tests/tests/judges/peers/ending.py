"""What the judges in Python share: how a connection ended, as its client's kernel tells, and a line for the test."""

import collections
import select
import socket

FIN, RESET, SILENCE = "FIN", "reset", "silence"
# In seconds.
PATIENCE = 20
# More than a server reads before it refuses something, and less than a drain takes.
MORE = 256 << 10


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def is_reset(connection, is_half_closed=False):
    """Sends one byte more. If the server has let go of the connection, its kernel answers with a reset."""
    poll = select.poll()
    # Errors only, which poll always tells.
    poll.register(connection, 0)
    try:
        if not is_half_closed:
            connection.send(b"\0")
    except OSError:
        return True
    return any(what & select.POLLERR for _, what in poll.poll(10))


def end_of(connection, is_half_closed=False, read=None):
    """Reads to the end, and says which one it was."""
    read = read or (lambda: connection.recv(65536))
    try:
        while read():
            pass
    except TimeoutError:
        return SILENCE
    except OSError:
        return RESET
    return RESET if is_reset(connection, is_half_closed) else FIN


def judge(row, tries, wants):
    """Makes these tries, and prints how many saw what they want. What they saw is for those who look for a reason."""
    seen = [one() for one in tries]
    good = sum(what[-1] == FIN and wants(*what[:-1]) for what in seen)
    shown = [f"{count} x {what}" for what, count in collections.Counter(map(str, seen)).items()]
    print(row, good, len(seen), " ".join(shown), sep="\t", flush=True)
