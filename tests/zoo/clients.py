"""What clients other than the probe see, row by row: Python's own HTTP and TLS, plain sockets, and curl.

Each client takes a `Site` and returns whether the row's loss happened, and what it saw. None of them shares code
with the probe. `CLIENTS` names the client of each row.
"""

import dataclasses
import http.client
import socket
import ssl
import subprocess
import time

UPLOAD = 32 << 20
TIMEOUT = 10
IDLE = 5
ZEROS = bytes(64 << 10)


@dataclasses.dataclass
class Site:
    """A server's address, and the certificate to trust where it speaks TLS."""

    port: int
    tls: bool
    certificate: str
    # A file of UPLOAD bytes.
    upload: str

    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/"

    def context(self):
        return ssl.create_default_context(cafile=self.certificate)

    def tcp(self):
        opened = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def connect(self, *protocols):
        """A connection; over TLS an end without close_notify is an error, as OpenSSL has it."""
        if not self.tls:
            return self.tcp()
        context = self.context()
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context.wrap_socket(self.tcp(), server_hostname="127.0.0.1", suppress_ragged_eofs=False)

    def http(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=TIMEOUT, context=self.context())
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)


class NotApplicable(Exception):
    """The row says nothing about this server."""


def head(method="GET", *fields):
    return "\r\n".join([f"{method} / HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


def answer(connection, method="GET"):
    """A whole response, by Python's own parser, which raises where there is none."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    response.read()
    return response


def said(error):
    return f"{type(error).__name__}: {error}"


# Refused uploads.


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
    return (ZEROS for _ in range(UPLOAD // len(ZEROS))), {"Transfer-Encoding": "chunked"}


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


# Ends of connections.


def to_the_end(site, request, before=lambda connection: None):
    """A response and then an end that is not an error."""
    connection = site.connect()
    try:
        connection.sendall(request)
        before(connection)
        status = answer(connection).status
        try:
            while connection.recv(4096):
                pass
        except ssl.SSLEOFError:
            # For the rows of TLS.
            pass
        return False, f"{status}, an end"
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)
    finally:
        connection.close()


LAST = head("GET", "Connection: close")


def close_requested(site):
    return to_the_end(site, LAST)


def close_pipelined(site):
    return to_the_end(site, LAST + head() + head())


def close_half_closed(site):
    def half_close(connection):
        if site.tls:
            connection.setblocking(False)
            try:
                connection.unwrap()
            except ssl.SSLWantReadError:
                pass
            connection.settimeout(TIMEOUT)
        # SSLSocket's own method would end the TLS session.
        socket.socket.shutdown(connection, socket.SHUT_WR)

    return to_the_end(site, LAST, half_close)


def close_idle(site):
    connection = site.connect()
    try:
        connection.sendall(head())
        status = answer(connection).status
        connection.settimeout(IDLE)
        try:
            connection.recv(1)
        except ssl.SSLEOFError:
            pass
        except TimeoutError as late:
            raise NotApplicable from late
        return False, f"{status}, an end"
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)
    finally:
        connection.close()


def refused_as_wrong(request):
    """An answer that says that the request is wrong."""

    def client(site):
        connection = site.connect()
        try:
            connection.sendall(request)
            status = answer(connection).status
            if status < 400:
                raise NotApplicable
            return status >= 500, str(status)
        except (OSError, http.client.HTTPException) as error:
            return True, said(error)
        finally:
            connection.close()

    return client


BAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nno colon here\r\n\r\n"
FILLER = b"X-Filler: 0123456789012345678901234567890123456789\r\n"
LARGE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + FILLER * ((64 << 10) // len(FILLER)) + b"\r\n"
