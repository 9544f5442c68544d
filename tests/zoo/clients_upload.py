"""Clients whose uploads are refused: Python's http.client, plain sockets and curl.

Each client takes a `Site` and returns whether it lost what the row is about, and what it saw. No client shares code
with the probe. `clients_by_row` names the client of each row.
"""

import http.client
import io
import select
import ssl
import subprocess
import time

from site_under_test import TIMEOUT, UPLOAD, ZEROS, answer, head, said


def python_upload(body):
    """http.client, which raises when a write fails, and does not read the response then."""

    def client(site):
        connection = site.http()
        data, fields = body()
        try:
            connection.request("PUT", "/", body=data, headers=fields)
            response = connection.getresponse()
            response.read()
            return False, str(response.status)
        except (OSError, http.client.HTTPException) as error:
            return True, said(error)
        finally:
            connection.close()

    return client


def whole():
    return bytes(UPLOAD), {}


def chunked():
    return (ZEROS for _ in range(UPLOAD // len(ZEROS))), {}


def slow():
    def pieces():
        for _ in range(20):
            yield bytes(16 << 10)
            time.sleep(0.15)

    return pieces(), {"Content-Length": str(20 * (16 << 10))}


def writes_then_reads(site, stops=lambda connection: False):
    """Writes until that fails or `stops` says so, then reads what there is."""
    connection = site.connect()
    try:
        connection.sendall(head("PUT", f"Content-Length: {UPLOAD}"))
        try:
            for _ in range(UPLOAD // len(ZEROS)):
                if stops(connection):
                    break
                connection.sendall(ZEROS)
        except OSError:
            pass
        return False, str(answer(connection, "PUT").status)
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)
    finally:
        connection.close()


def asks_first(site):
    """Sends Expect: 100-continue, waits a second, and uploads if no final answer has come. A failed write is a loss."""
    connection = site.connect()
    try:
        connection.sendall(head("PUT", f"Content-Length: {UPLOAD}", "Expect: 100-continue"))
        received = what_is_there(connection)
        if b"\r\n\r\n" not in received or received.endswith(b"\r\n\r\n") and received[9:12] == b"100":
            for _ in range(UPLOAD // len(ZEROS)):
                connection.sendall(ZEROS)
        return False, str(answer(Ahead(received, connection), "PUT").status)
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)
    finally:
        connection.close()


def what_is_there(connection):
    """Waits a second for something to arrive, and reads all that is there then."""
    received = b""
    connection.settimeout(1)
    try:
        while some := connection.recv(65536):
            received += some
            connection.setblocking(False)
    # The rows of TLS judge an end without close_notify.
    except (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLEOFError):
        pass
    connection.settimeout(TIMEOUT)
    return received


class Ahead(io.RawIOBase):
    """A connection of which something has been read already, for Python's parser of responses."""

    def __init__(self, received, connection):
        super().__init__()
        self.received, self.connection = received, connection

    def readable(self):
        return True

    def readinto(self, buffer):
        some = self.received[: len(buffer)] or self.connection.recv(len(buffer))
        self.received = self.received[len(buffer) :]
        buffer[: len(some)] = some
        return len(some)

    def makefile(self, _):
        return io.BufferedReader(self)


def curl_upload(*options):
    """curl, which reads while it writes."""

    def client(site):
        command = ["curl", "-sS", "--cacert", site.certificate, "-T", site.upload, "-m", str(TIMEOUT)]
        # Without this, curl would add the file's name to the target.
        command += ["--request-target", "/", "-o", "/dev/null", "-H", "Expect:"]
        command += ["-w", "%{http_version} %{http_code}", *options]
        done = subprocess.run([*command, site.url()], capture_output=True, check=False)
        said = done.stdout.decode() + " " + done.stderr.decode().strip()
        return done.returncode != 0, f"exit {done.returncode}, {said}"

    return client


def reads_while_writing(site):
    """curl. It gives up if a write fails before it has read; then a client that goes on reading decides."""
    lost, saw = curl_upload("--http1.1")(site)
    if not saw.startswith("exit 55"):
        return lost, saw
    lost, read = reads_on(site)
    return lost, f"{saw}; sockets that read on: {read}"


def reads_on(site):
    """Stops writing as soon as there is something to read, or when a write fails, and reads."""
    return writes_then_reads(site, lambda connection: select.select([connection], [], [], 0)[0])
