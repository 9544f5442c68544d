"""Clients whose uploads are refused: Python's http.client, plain sockets and curl.

Each client takes a `Site` and returns whether the row's loss happened, and what it saw. None of them shares code with
the probe. `clients_by_row` names the client of each row.
"""

import http.client
import select
import socket
import subprocess
import time

from site_under_test import TIMEOUT, UPLOAD, ZEROS, answer, head, said


def python_upload(body):
    """http.client, which raises at a failed write and never looks for the response."""

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


def writes_then_reads(site):
    """Writes until that fails, then reads what there is."""
    connection = site.connect()
    try:
        connection.sendall(head("PUT", f"Content-Length: {UPLOAD}"))
        try:
            for _ in range(UPLOAD // len(ZEROS)):
                connection.sendall(ZEROS)
        except OSError:
            pass
        return False, str(answer(connection, "PUT").status)
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)
    finally:
        connection.close()


def asks_first(site):
    """Expect: 100-continue; waits a second, then sends, and stops at a failed write."""
    connection = site.connect()
    try:
        connection.sendall(head("PUT", f"Content-Length: {UPLOAD}", "Expect: 100-continue"))
        connection.settimeout(1)
        try:
            peeked = connection.recv(12, socket.MSG_PEEK) if not site.tls else connection.read(12)
        except TimeoutError:
            peeked = b""
        connection.settimeout(TIMEOUT)
        if peeked[9:12] in (b"", b"100"):
            for _ in range(UPLOAD // len(ZEROS)):
                connection.sendall(ZEROS)
            if site.tls and peeked:
                return read_status(connection)
            return False, str(answer(connection, "PUT").status)
        if site.tls:
            return False, peeked[9:12].decode()
        return False, str(answer(connection, "PUT").status)
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)
    finally:
        connection.close()


def read_status(connection):
    """The final status behind `100 Continue`, whose first bytes are read already."""
    received = b""
    while b"\r\n\r\nHTTP/1.1 " not in received or received.count(b"\r\n\r\n") < 2:
        some = connection.recv(4096)
        if not some:
            return True, "an end without a response"
        received += some
    return False, received.split(b"\r\n\r\nHTTP/1.1 ")[1][:3].decode()


def curl_upload(*options):
    """curl, which reads while it writes."""

    def client(site):
        command = ["curl", "-sS", "--cacert", site.certificate, "-T", site.upload, "-m", str(TIMEOUT)]
        # Without a target of its own, curl would add the file's name.
        command += ["--request-target", "/", "-o", "/dev/null", "-H", "Expect:"]
        command += ["-w", "%{http_version} %{http_code}", *options]
        done = subprocess.run([*command, site.url()], capture_output=True, check=False)
        said = done.stdout.decode() + " " + done.stderr.decode().strip()
        return done.returncode != 0, f"exit {done.returncode}, {said}"

    return client


def reads_while_writing(site):
    """curl. Where its own write fails before it has read, which is fatal to curl, a client that reads on tells."""
    lost, saw = curl_upload("--http1.1")(site)
    if not saw.startswith("exit 55"):
        return lost, saw
    lost, read = reads_on(site)
    return lost, f"{saw}; sockets that read on: {read}"


def reads_on(site):
    """Reads whatever is there before each write, and after a write that fails."""
    connection = site.connect()
    try:
        connection.sendall(head("PUT", f"Content-Length: {UPLOAD}"))
        try:
            for _ in range(UPLOAD // len(ZEROS)):
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(ZEROS)
        except OSError:
            pass
        return False, str(answer(connection, "PUT").status)
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)
    finally:
        connection.close()
