"""Clients by plain sockets that look at a connection's end, and at the answer to a wrong request."""

import contextlib
import http.client
import io
import socket
import ssl

from site_under_test import IDLE, NotApplicable, answer, head, said


def to_the_end(site, request, then=lambda connection: None):
    """Wants a response and then an end without an error."""
    connection = site.connect()
    try:
        connection.sendall(request)
        then(connection)
        status = answer(connection).status
        try:
            while connection.recv(4096):
                pass
        except ssl.SSLEOFError:
            # The rows of TLS judge this.
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
    """Wants the answer that the first request alone would have."""
    lost, saw = to_the_end(site, LAST + head() + head())
    return lost or saw.startswith("400"), saw


def close_half_closed(site):
    if site.tls:
        return close_half_closed_tls(site)
    return to_the_end(site, LAST, lambda connection: connection.shutdown(socket.SHUT_WR))


def close_half_closed_tls(site):
    """Sends close_notify and a FIN behind the request, then reads.

    The session is in memory, because one on a socket reads while it sends close_notify, and drops a response that it
    finds.
    """
    tcp, incoming, outgoing = site.tcp(), ssl.MemoryBIO(), ssl.MemoryBIO()
    session = site.context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")

    def step(what, reads=True):
        while True:
            try:
                return what()
            except ssl.SSLWantReadError:
                if not reads:
                    return None
            finally:
                if outgoing.pending:
                    tcp.sendall(outgoing.read())
            if some := tcp.recv(65536):
                incoming.write(some)
            else:
                incoming.write_eof()

    received = b""
    try:
        step(session.do_handshake)
        step(lambda: session.write(LAST))
        step(session.unwrap, reads=False)
        # If the connection is gone, the next read fails.
        with contextlib.suppress(OSError):
            tcp.shutdown(socket.SHUT_WR)
        while some := step(lambda: session.read(65536)):
            received += some
    except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
        pass
    except OSError as error:
        return True, said(error)
    finally:
        tcp.close()
    try:
        return False, str(answer(Received(received)).status)
    except (OSError, http.client.HTTPException) as error:
        return True, said(error)


class Received(io.BytesIO):
    """The part of a socket that Python's parser of responses needs."""

    def makefile(self, _):
        return self


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
    """Wants an answer that says that the request is wrong."""

    def client(site):
        connection = site.connect()
        try:
            # A request that is refused half-way may be answered all the same.
            with contextlib.suppress(OSError):
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
