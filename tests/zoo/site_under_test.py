"""The server as its clients see it, and what the clients share."""

import dataclasses
import http.client
import socket
import ssl

UPLOAD = 32 << 20
TIMEOUT = 10
IDLE = 8
ZEROS = bytes(64 << 10)


@dataclasses.dataclass
class Site:
    """A server's address, and the certificate that clients trust over TLS."""

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
        """A connection. Over TLS, an end without close_notify raises an error, as in OpenSSL."""
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
    """The row does not apply to this server."""


def head(method="GET", *fields):
    return "\r\n".join([f"{method} / HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


def answer(connection, method="GET"):
    """A whole response, by Python's own parser, which raises an error if it is not whole."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    response.read()
    return response


def said(error):
    return f"{type(error).__name__}: {error}"
