"""Clients of the example server `metrics`, which end their connections in all kinds of ways, again and again."""
import socket, ssl, struct

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE
TLS.set_alpn_protocols(["http/1.1"])

GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: %s\r\n\r\n"
UPLOAD_BYTES = 1 << 20


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def tls(address):
    return TLS.wrap_socket(connect(address), server_hostname="localhost")


def answered(client):
    """Reads to the end of a small answer."""
    seen = b""
    while b"hello\n" not in seen:
        part = client.recv(1 << 16)
        assert part, seen
        seen += part


def keeps(address):
    """Has its answer, and keeps the connection open: it is served."""
    client = tls(address)
    client.sendall(GET % (b"/", b"keep-alive"))
    answered(client)
    return client


def lingers(address):
    """Has its answer, and does not close what the server has closed: it lingers."""
    client = tls(address)
    client.sendall(GET % (b"/", b"close"))
    answered(client)
    return client


def uploads(address):
    """Sends an upload that is refused: the rest of it is drained."""
    with tls(address) as client:
        client.sendall(b"PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % UPLOAD_BYTES)
        client.sendall(bytes(UPLOAD_BYTES))
        while client.recv(1 << 16):
            pass


def resets(address):
    """Resets its connection in the middle of an answer, which is lost."""
    client = tls(address)
    client.sendall(GET % (b"/download", b"close"))
    client.recv(1000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def is_not_tls(address):
    """Fails in its handshake."""
    with connect(address) as client:
        client.sendall(GET % (b"/", b"close"))
        while client.recv(1 << 16):
            pass


def run(address, enough):
    """Goes on until there is enough of it."""
    served = keeps(address)
    lingering = []
    while not enough.is_set():
        # More than may linger: the oldest are evicted.
        lingering += [lingers(address) for _ in range(8)]
        for client in lingering[:-8]:
            client.close()
        del lingering[:-8]
        for act in [uploads, resets, is_not_tls]:
            act(address)
        enough.wait(0.2)
    for client in [served, *lingering]:
        client.close()
