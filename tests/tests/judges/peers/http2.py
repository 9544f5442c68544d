"""Broken HTTP/2, in frames of hyperframe and headers of hpack.

Each connection has to end in GOAWAY with a code that RFC 9113 wants there, and in a FIN, although the client keeps
sending. There must be no reset, before the FIN or after it.

Arguments: PORT TRIES AUTHORITY; an empty AUTHORITY means plain TCP.
"""

import functools
import os
import ssl
import struct
import sys

import hpack
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from ending import FIN, MORE, connect, end_of, is_reset, judge

PORT, TRIES, AUTHORITY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
MORE_PINGS = PingFrame(0, b"01234567").serialize() * (MORE // 17)


def session():
    """A connection, and the TCP connection below it."""
    tcp = connect(PORT)
    if not AUTHORITY:
        return tcp, tcp
    context = ssl.create_default_context(cafile=AUTHORITY)
    context.set_alpn_protocols(["h2"])
    below = tcp.dup()
    below.settimeout(tcp.gettimeout())
    return context.wrap_socket(tcp, server_hostname="localhost"), below


def codes_in(received):
    """The codes of the GOAWAY frames among what was received."""
    at, codes = 0, []
    while at + 9 <= len(received):
        frame, length = Frame.parse_frame_header(memoryview(received[at : at + 9]))
        if isinstance(frame, GoAwayFrame) and at + 9 + length <= len(received):
            frame.parse_body(memoryview(received[at + 9 : at + 9 + length]))
            codes.append(ErrorCodes(frame.error_code).name)
        at += 9 + length
    return codes


def converse(payload):
    connection, tcp = session()
    received = bytearray()
    try:
        connection.sendall(PREFACE + payload)
        connection.sendall(MORE_PINGS)
    except OSError:
        pass

    def read():
        try:
            some = connection.recv(65536)
        except ssl.SSLEOFError:
            return b""
        received.extend(some)
        return some

    end = end_of(connection, is_half_closed=True, read=read)
    if end == FIN and is_reset(tcp):
        end = "reset after FIN"
    connection.close()
    tcp.close()
    return ",".join(codes_in(received)), end


def raw(kind, flags, stream, payload, length=None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def fields(method="GET", path="/"):
    names = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    return hpack.Encoder().encode(names)


def headers(stream, flags=("END_HEADERS", "END_STREAM"), data=None):
    return HeadersFrame(stream, data or fields(), flags=flags).serialize()


def setting(number, value):
    return raw(4, 0, 0, struct.pack(">HI", number, value))


def ids(count):
    return range(1, 2 * count, 2)


DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
# The server takes nothing of this upload.
OPEN = headers(1, ["END_HEADERS"], fields("POST", "/waits"))
BLOCK = fields()
# The RFC has a code for each mistake. The library of these servers says PROTOCOL_ERROR of some, and is taken at its word.
FRAME_SIZE = "FRAME_SIZE_ERROR PROTOCOL_ERROR"
# Row, the codes that are right, what the client sends.
ROWS = [
    ("a frame larger than allowed", "FRAME_SIZE_ERROR", raw(DATA, 0, 1, bytes(20000))),
    ("PING of 7 bytes", FRAME_SIZE, raw(PING, 0, 0, bytes(7))),
    ("PING on a stream", "PROTOCOL_ERROR", raw(PING, 0, 1, bytes(8))),
    ("SETTINGS of 5 bytes", FRAME_SIZE, raw(SETTINGS, 0, 0, bytes(5))),
    ("SETTINGS on a stream", "PROTOCOL_ERROR", raw(SETTINGS, 0, 1, bytes(6))),
    ("an acknowledgement of SETTINGS with a payload", FRAME_SIZE, raw(SETTINGS, 1, 0, bytes(6))),
    ("SETTINGS that allow a window of 2 GiB", "FLOW_CONTROL_ERROR PROTOCOL_ERROR", setting(4, 1 << 31)),
    ("SETTINGS that push twice", "PROTOCOL_ERROR", setting(2, 2)),
    ("SETTINGS that allow frames of one byte", "PROTOCOL_ERROR", setting(5, 1)),
    ("DATA on stream 0", "PROTOCOL_ERROR", raw(DATA, 0, 0, bytes(8))),
    ("DATA on a stream that is idle", "PROTOCOL_ERROR", DataFrame(5, b"data").serialize()),
    ("DATA whose padding is longer", "PROTOCOL_ERROR", OPEN + raw(DATA, 8, 1, bytes([9, 0, 0]))),
    # No stream has more than its own window, whose excess would end only the stream.
    ("more DATA than the window", "FLOW_CONTROL_ERROR",
     b"".join(headers(stream, ["END_HEADERS"], fields("POST", "/waits")) + DataFrame(stream, bytes(16384)).serialize() * 3
              for stream in ids(40))),
    ("HEADERS on stream 2", "PROTOCOL_ERROR", headers(2)),
    ("HEADERS on an earlier stream", "PROTOCOL_ERROR STREAM_CLOSED", headers(5) + headers(3)),
    ("HEADERS that cannot be decoded", "COMPRESSION_ERROR PROTOCOL_ERROR", headers(1, data=b"\xff\xff\xff\xff\xff\xff")),
    ("HEADERS that go on in a PING", "PROTOCOL_ERROR", headers(1, [], BLOCK[:3]) + PingFrame(0, bytes(8)).serialize()),
    ("CONTINUATION without HEADERS", "PROTOCOL_ERROR", ContinuationFrame(1, BLOCK).serialize()),
    ("PUSH_PROMISE from a client", "PROTOCOL_ERROR", OPEN + raw(PUSH, 4, 1, struct.pack(">I", 2) + BLOCK)),
    ("RST_STREAM on a stream that is idle", "PROTOCOL_ERROR", RstStreamFrame(7, 8).serialize()),
    ("RST_STREAM of 3 bytes", FRAME_SIZE, raw(RST, 0, 1, bytes(3))),
    ("WINDOW_UPDATE by 0", "PROTOCOL_ERROR", raw(WINDOW, 0, 0, bytes(4))),
    ("WINDOW_UPDATE beyond 2 GiB", "FLOW_CONTROL_ERROR", WindowUpdateFrame(0, (1 << 31) - 1).serialize()),
    ("PRIORITY of 4 bytes", FRAME_SIZE, raw(PRIORITY, 0, 1, bytes(4))),
    ("GOAWAY of 4 bytes", FRAME_SIZE, raw(GOAWAY, 0, 0, bytes(4))),
    ("a flood of RST_STREAM", "ENHANCE_YOUR_CALM",
     b"".join(headers(stream, ["END_HEADERS"]) + RstStreamFrame(stream, 8).serialize() for stream in ids(3000))),
    ("a flood of CONTINUATION", "ENHANCE_YOUR_CALM PROTOCOL_ERROR COMPRESSION_ERROR",
     headers(1, [], BLOCK) + ContinuationFrame(1, hpack.Encoder().encode([("x", "y" * 4000)])).serialize() * 2000),
]


def main():
    for row, wants, payload in ROWS:
        is_right = lambda codes, wants=wants: codes != "" and all(code in wants.split() for code in codes.split(","))
        judge(row, [functools.partial(converse, payload)] * TRIES, is_right)


main()
