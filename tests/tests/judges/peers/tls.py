"""Conversations over TLS that fail, by tlslite-ng, in the manner of tlsfuzzer.

Each has to end in an alert that its RFC allows there, if it wants one, and in a FIN. Most clients keep sending meanwhile.
There must be no reset, before the FIN or after it.

Arguments: PORT TRIES VERSION, which is 1.2 or 1.3.
"""

import contextlib
import dataclasses
import functools
import os
import socket
import sys
import typing

from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import AlertDescription, ContentType
from tlslite.errors import TLSAbruptCloseError, TLSRemoteAlert
from tlslite.messages import Message

from ending import MORE, connect, end_of, judge

PORT, TRIES, IS_13 = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1.3"
HEAD = b"POST /upload HTTP/1.1\r\nHost: localhost\r\n"
UPLOAD = HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000
LAST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def record(kind, payload, length=None):
    return bytes([kind, 3, 3]) + (length or len(payload)).to_bytes(2, "big") + payload


JUNK = record(ContentType.application_data, os.urandom(1019)) * (MORE // 1024)
# Every alert that has ever been fatal.
ALERTS = [10, 20, 21, 22, 30, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 70, 71, 80, 86]
ALERTS += [109, 110, 112, 113, 115, 116, 120]


@dataclasses.dataclass
class Fault:
    """What a client does wrong: in a flight of the handshake, which is changed, or after it."""

    flight: int = 0
    change: typing.Callable = None
    after: typing.Callable = None
    # Whether a FIN follows; if not, more bytes follow.
    ends: bool = False
    settings: typing.Callable = lambda chosen: None

    def follow(self, tcp):
        # What cannot be sent any more shows in the connection's end.
        with contextlib.suppress(OSError):
            if self.ends:
                tcp.shutdown(socket.SHUT_WR)
            else:
                tcp.sendall(JUNK)


class Wire:
    """A socket for tlslite-ng that has the fault."""

    def __init__(self, fault):
        self.tcp, self.fault, self.flights = connect(PORT), fault, 0

    def send(self, data):
        self.flights += 1
        is_wrong = self.flights == self.fault.flight
        with contextlib.suppress(OSError):
            self.tcp.sendall(self.fault.change(bytes(data)) if is_wrong else data)
        if is_wrong:
            self.fault.follow(self.tcp)
        return len(data)

    sendall = send

    def recv(self, size):
        return self.tcp.recv(size)

    def close(self):
        """tlslite-ng closes a connection at an alert, and would see nothing of its end."""


def settings(fault):
    chosen = HandshakeSettings()
    chosen.minVersion = chosen.maxVersion = (3, 4) if IS_13 else (3, 3)
    # They are quick in Python.
    chosen.eccCurves, chosen.keyShares = ["x25519", "secp256r1"], ["x25519"]
    fault.settings(chosen)
    return chosen


def alert_in(session):
    """Reads records until an alert."""
    while True:
        for result in session._recordLayer.recvRecord():
            if result in (0, 1):
                continue
            header, parser = result
            if header.type == ContentType.alert:
                return parser.bytes[1]
            break


def converse(fault):
    """The alert that came, or None, and how the connection ended."""
    wire = Wire(fault)
    session, alert = TLSConnection(wire), None
    try:
        session.handshakeClientCert(settings=settings(fault), serverName="localhost")
        if fault.after:
            alert = fault.after(session, wire.tcp)
            fault.follow(wire.tcp)
        if alert is None:
            alert = alert_in(session)
    except TLSRemoteAlert as remote:
        alert = remote.description
    except (TLSAbruptCloseError, OSError):
        pass
    end = end_of(wire.tcp, fault.ends)
    wire.tcp.close()
    return (AlertDescription.toRepr(alert) if alert is not None else None), end


def send(kind, payload):
    """Sends a record as it has to be, with a payload that need not be."""

    def sending(session, _):
        for _ in session._recordLayer.sendRecord(Message(kind, bytearray(payload))):
            pass

    return sending


def send_changed(change):
    """Sends an encrypted record that was changed."""

    def sending(session, tcp):
        sent = []
        layer = session._recordLayer._recordSocket
        real, layer.sock = layer.sock, type("Kept", (), {"send": lambda _, data: sent.append(bytes(data)) or len(data)})()
        send(ContentType.application_data, UPLOAD)(session, tcp)
        layer.sock = real
        tcp.sendall(change(b"".join(sent)))

    return sending


def flipped(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def fatal(number):
    return bytes([2, number])


def then(*steps):
    def sending(session, tcp):
        return [step(session, tcp) for step in steps][-1]

    return sending


def raw(payload):
    return lambda _, tcp: tcp.sendall(payload)


def no_common_cipher(chosen):
    chosen.cipherNames = ["aes128ccm_8"] if IS_13 else ["aes128"]


def old_version(chosen):
    chosen.minVersion = chosen.maxVersion = (3, 2)


HELLO = bytes([1, 0, 0, 41, 3, 3]) + bytes(32) + bytes([0, 0, 2, 0x13, 0x01, 1, 0])
SHORT_HELLO = bytes([1, 0, 0, 30]) + HELLO[4:34]
ENCRYPTED = {"unexpected_message", "bad_record_mac", "decode_error", "illegal_parameter"}
NOTHING = {None}
ANY = None
APP, HANDSHAKE, CCS, ALERT = (
    ContentType.application_data, ContentType.handshake, ContentType.change_cipher_spec, ContentType.alert,
)

# Row, alerts that are right, faults.
ROWS = [
    ("no TLS but HTTP", ANY, [Fault(1, lambda _: LAST)]),
    ("no common cipher suite", {"handshake_failure"}, [Fault(1, bytes, settings=no_common_cipher)]),
    ("TLS 1.1", {"protocol_version", "handshake_failure"}, [Fault(1, bytes, settings=old_version)]),
    ("a ClientHello that is cut short", {"decode_error"}, [Fault(1, lambda data: record(HANDSHAKE, SHORT_HELLO))]),
    ("Finished instead of ClientHello", {"unexpected_message"},
     [Fault(1, lambda _: record(HANDSHAKE, bytes([20, 0, 0, 12]) + bytes(12)))]),
    ("application data instead of ClientHello", {"unexpected_message"}, [Fault(1, lambda _: JUNK)]),
    ("a record of 65535 bytes instead of ClientHello", {"record_overflow", "decode_error"},
     [Fault(1, lambda _: record(HANDSHAKE, bytes(65535)))]),
    ("each alert after ClientHello", ANY,
     [Fault(1, lambda data, number=number: data + record(ALERT, fatal(number))) for number in ALERTS]),
    ("half a ClientHello, FIN", NOTHING, [Fault(1, lambda data: data[: len(data) // 2], ends=True)]),
    ("FIN instead of Finished", NOTHING, [Fault(2, lambda data: b"", ends=True)]),
    ("half a Finished, FIN", NOTHING, [Fault(2, lambda data: data[:-10], ends=True)]),
    ("a Finished with a wrong bit", {"bad_record_mac", "decrypt_error"}, [Fault(2, flipped)]),
    ("application data instead of Finished", ENCRYPTED, [Fault(2, lambda data: JUNK)]),
    ("some alerts instead of Finished", ANY,
     [Fault(2, lambda data, number=number: record(ALERT, fatal(number))) for number in ALERTS[::4]]),
    ("a record with a wrong bit", {"bad_record_mac"}, [Fault(after=send_changed(flipped))]),
    ("a record that is too long", {"record_overflow", "bad_record_mac"},
     [Fault(after=raw(record(APP, os.urandom(17 << 10))))]),
    ("a record of an unknown kind", ENCRYPTED, [Fault(after=raw(record(99, os.urandom(64))))]),
    ("a ClientHello in the session", {"unexpected_message", "no_renegotiation", "handshake_failure"},
     [Fault(after=send(HANDSHAKE, HELLO))]),
    ("ChangeCipherSpec in the session", ENCRYPTED, [Fault(after=send(CCS, b"\1"))]),
    ("a Finished in the session", {"unexpected_message"},
     [Fault(after=send(HANDSHAKE, bytes([20, 0, 0, 12]) + bytes(12)))]),
    ("a thousand warnings", ANY, [Fault(after=then(*[send(ALERT, bytes([1, 90]))] * 1000))]),
    ("an empty handshake message", ENCRYPTED, [Fault(after=send(HANDSHAKE, b""))]),
    ("half a record, FIN", ANY, [Fault(after=send_changed(lambda data: data[:-9]), ends=True)]),
    ("each alert in the session", ANY, [Fault(after=send(ALERT, fatal(number))) for number in ALERTS]),
    ("`close_notify`, then more", {"close_notify"}, [Fault(after=send(ALERT, bytes([1, 0])))]),
    ("`close_notify` in an upload, then more", {"close_notify"},
     [Fault(after=then(send(APP, UPLOAD), send(ALERT, bytes([1, 0]))))]),
    ("`close_notify` after the last response, then more", {"close_notify"},
     [Fault(after=then(send(APP, LAST), lambda session, _: alert_in(session)))]),
]


def main():
    for row, wants, faults in ROWS:
        # Of many kinds each is tried once, or, where fewer tries will do, some are.
        tries = faults[:: 1 if TRIES > 1 else 6] if len(faults) > 1 else faults * TRIES
        is_right = lambda alert, wants=wants: wants is None or alert in wants
        judge(row, [functools.partial(converse, fault) for fault in tries], is_right)


main()
