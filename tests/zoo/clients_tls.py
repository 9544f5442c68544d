"""Clients for the rows of TLS and HTTP/2: Python's ssl, a reader of frames, and the library h2."""

import pathlib
import socket
import ssl
import struct
import subprocess
import time

from clients_end import LAST
from running import ZOO
from site_under_test import IDLE, NotApplicable, TIMEOUT, UPLOAD, answer, said


def close_notify(request, idle):
    """Wants an end that OpenSSL accepts: one with close_notify."""

    def client(site):
        connection = site.connect()
        try:
            connection.sendall(request)
            answer(connection)
            connection.settimeout(IDLE if idle else TIMEOUT)
            while connection.recv(4096):
                pass
            return False, "close_notify"
        except TimeoutError as late:
            if idle:
                raise NotApplicable from late
            return True, said(late)
        except OSError as error:
            return True, said(error)
        finally:
            connection.close()

    return client


def close_notify_answered(site):
    """Answers close_notify, and wants no reset after it."""
    connection = site.connect()
    try:
        connection.sendall(LAST)
        answer(connection)
        while connection.recv(4096):
            pass
    except ssl.SSLEOFError as missing:
        raise NotApplicable from missing
    except OSError as error:
        return True, said(error)
    try:
        plain = connection.unwrap()
        time.sleep(0.15)
        wrong = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return wrong != 0, f"SO_ERROR {wrong}"
    except OSError as error:
        return True, said(error)


def alert(prepare):
    """Wants a handshake that must fail to end in an alert, which OpenSSL then names."""

    def client(site):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(site.certificate)
        prepare(context)
        try:
            with context.wrap_socket(site.tcp(), server_hostname="127.0.0.1"):
                raise NotApplicable
        except OSError as error:
            return "ALERT" not in said(error).upper().replace("_ALERT", " ALERT"), said(error)

    return client


def unknown_protocol(context):
    context.set_alpn_protocols(["linger-probe"])


def old_version(context):
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.maximum_version = ssl.TLSVersion.TLSv1_1


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + bytes([4, 0]) + bytes(4)
GOAWAY = 7
# From HPACK's static table: method GET, path /, and an authority.
GET = bytes([0x82, 0x84, 0x41, 9]) + b"127.0.0.1"
SCHEMES = {False: b"\x86", True: b"\x87"}


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def http2_get(site):
    return frame(1, 5, 1, SCHEMES[site.tls] + GET)


def http2_garbage(_):
    """A PING of one byte."""
    return frame(6, 0, 0, b"\0")


def goes_away(what, idle):
    """Wants a GOAWAY before the end."""

    def client(site):
        connection = site.connect("h2") if site.tls else site.tcp()
        connection.settimeout(IDLE if idle else TIMEOUT)
        received, kinds = b"", []
        try:
            connection.sendall(PREFACE + what(site))
            while some := connection.recv(65536):
                received += some
                while len(received) >= 9 + int.from_bytes(received[:3], "big"):
                    length = 9 + int.from_bytes(received[:3], "big")
                    kinds.append(received[3])
                    received = received[length:]
        except TimeoutError as late:
            if idle and GOAWAY not in kinds:
                raise NotApplicable from late
        except OSError as error:
            return GOAWAY not in kinds, f"frames {kinds}, {said(error)}"
        finally:
            connection.close()
        return GOAWAY not in kinds, f"frames {kinds}"

    return client


def http2_upload(site):
    """Runs http2_upload.py, because the library h2 tells how the stream ended.

    Debian's curl 7.88 loses a response before RST_STREAM(NO_ERROR), which RFC 9113 §8.1 forbids, and Node takes
    CANCEL for a good end.
    """
    program = pathlib.Path(__file__).with_name("http2_upload.py")
    command = [ZOO / "venv" / "bin" / "python", program, str(site.port), site.certificate if site.tls else "-"]
    done = subprocess.run([*command, str(UPLOAD)], capture_output=True, text=True, check=False)
    return done.returncode != 0, (done.stdout + done.stderr).strip().splitlines()[-1]
