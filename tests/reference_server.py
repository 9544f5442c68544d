#!/usr/bin/env python3
"""Uses the example `reference_server` as its operator and its clients do. `make examples` runs it.

Needs openssl. Each wait has a bound, and nothing is left running.
"""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

SERVER = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "debug/examples/reference_server")
BOUND = 60
# Without the proxies that the environment may name.
PROBE = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TRUST_ALL = ssl.create_default_context()
TRUST_ALL.check_hostname = False
TRUST_ALL.verify_mode = ssl.CERT_NONE


class Server:
    """A running server. It ends with the `with` block, if it has not before."""

    def __init__(self, *args, inherits=None, descriptors=None):
        self.lines = []
        command = [SERVER, "127.0.0.1:0", "--admin", "127.0.0.1:0", *args]
        if inherits is not None:
            # systemd's protocol: descriptors from 3 on, for the process of this id.
            command = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"', *command]
        if descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$0" "$@"', *command]
        with contextlib.ExitStack() as stack:
            if inherits is not None:
                if inherits.fileno() != 3:
                    with contextlib.suppress(OSError):
                        saved = os.dup(3)
                        stack.callback(os.close, saved)
                        stack.callback(os.dup2, saved, 3)
                    os.dup2(inherits.fileno(), 3)
                os.set_inheritable(3, True)
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                pass_fds=[3] if inherits is not None else [])
        threading.Thread(target=self.read, daemon=True).start()
        self.admin = self.await_lines("listening on ", 1)[0]
        self.address = address(self.await_lines("listening on ", 2)[1])

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def await_lines(self, start, count):
        found = []

        def look():
            found[:] = [line.removeprefix(start) for line in self.lines if line.startswith(start)]
            return len(found) >= count

        until(f"{count} lines {start!r}", look, self)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def get(self, path):
        """Status and body of an answer of the probes."""
        try:
            with PROBE.open(f"http://{self.admin}{path}", timeout=BOUND) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def hang_up(self, expected):
        before = len([line for line in self.lines if line.startswith(expected)])
        self.process.send_signal(signal.SIGHUP)
        return self.await_lines(expected, before + 1)[-1]

    def end(self):
        status = self.process.wait(timeout=BOUND)
        assert status == 0, (status, self.lines)
        return self.await_lines("", 1)[-1]


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def until(what, holds, server=None):
    for _ in range(BOUND * 100):
        if holds():
            return
        time.sleep(0.01)
    sys.exit(f"not within {BOUND} s: {what}: {server.lines if server else ''}")


def connect(server):
    return TRUST_ALL.wrap_socket(socket.create_connection(server.address, timeout=BOUND))


def ask(client, method="GET", path="/", fields=""):
    """Head and body of one answer that has a length."""
    client.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n{fields}\r\n".encode())
    return answer(client)


def answer(client):
    seen = b""
    while b"\r\n\r\n" not in seen:
        part = client.recv(65536)
        assert part, f"no answer: {seen}"
        seen += part
    head, body = seen.split(b"\r\n\r\n", 1)
    length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
    while len(body) < int(length.split(b":")[1]):
        body += client.recv(65536)
    return head.decode().lower(), body.decode()


def make_certificate(folder, name):
    cert, key = os.path.join(folder, f"{name}.crt"), os.path.join(folder, f"{name}.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={name}", "-days", "1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True, timeout=BOUND)
    return cert, key


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


def common_name(server):
    """The subject of the certificate that a new handshake gets."""
    pem = ssl.get_server_certificate(server.address)
    text = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, check=True, capture_output=True,
                          text=True, timeout=BOUND).stdout
    return text.strip().rsplit("=", 1)[1].strip()


def answers_clients():
    with Server() as server:
        for _ in range(5):
            upload = connect(server)
            upload.sendall(b"PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 33554432\r\n\r\n")
            for _ in range(512):
                upload.sendall(bytes(65536))
            head, body = answer(upload)
            assert head.startswith("http/1.1 413") and body == "too large, said the handler\n", (head, body)
        versions = subprocess.run(
            ["curl", "-sk", "-m", str(BOUND), "--http2", "-o", os.devnull, "-w", "%{http_version} %{http_code}",
             "https://%s:%d/" % server.address], capture_output=True, text=True, check=True).stdout
        assert versions == "2 200", versions
        until("the closes are counted", lambda: 'tower_linger_closes_total{listener="public"' in server.get("/metrics")[1], server)
        assert (server.get("/live"), server.get("/ready")) == ((200, "live\n"), (200, "ready\n"))


def reloads():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder, "first")
        config = write(os.path.join(folder, "config.toml"), '[close]\ndrain_limit = "20s"\n')
        with Server("--cert", cert, "--key", key, "--config", config) as server:
            assert common_name(server) == "first"
            second, second_key = make_certificate(folder, "second")
            os.replace(second, cert)
            # A certificate without its key, a key that is unknown, a time without its unit: nothing changes.
            assert "do not go together" in server.hang_up("error: ")
            os.replace(second_key, key)
            for wrong, why in [('[close]\ndrain = "20s"\n', "drain"), ('[close]\ndrain_limit = "20"\n', "drain_limit"),
                               ('[closes]\n', "closes"), ('[limits]\nidle_timeout = 5\n', "idle_timeout")]:
                write(config, wrong)
                line = server.hang_up("error: ")
                assert why in line and line.endswith("(nothing was changed)"), line
            assert common_name(server) == "first"
            write(config, '[close]\ndrain_limit = "15s"\n')
            server.hang_up("reloaded")
            assert common_name(server) == "second"


def web_socket(server):
    client = connect(server)
    head, _ = ask(client, path="/ws", fields="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
    assert head.startswith("http/1.1 101"), head
    client.sendall(b"\x81\x82\0\0\0\0hi")
    assert client.recv(100) == b"\x81\x02hi"
    return client


def ends_with_a_notice():
    with Server("--notice", "2s", "--limit", "30s") as server:
        kept, talking = connect(server), web_socket(server)
        assert "connection: close" not in ask(kept)[0]
        server.process.send_signal(signal.SIGTERM)
        until("not ready", lambda: server.get("/ready") == (503, "stopping\n"), server)
        assert server.get("/live") == (200, "live\n")
        # Kept and new connections still have a request, and are told.
        for client in [kept, connect(server)]:
            assert "connection: close" in ask(client, method="GET")[0]
            assert client.recv(1) == b"", "the end of the connection"
            client.close()
        # Going Away, and a clean end after the client's own Close frame.
        assert talking.recv(100)[2:4] == (1001).to_bytes(2, "big")
        talking.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
        assert talking.recv(1) == b""
        talking.close()
        assert server.end() == "3 closed: peer_closed 3", server.lines


def hands_over_an_inherited_socket():
    """A second instance takes over while clients connect without a pause, each for one request."""
    listener = socket.create_server(("127.0.0.1", 0))
    over, counts = threading.Event(), {"answered": 0, "lost": 0}

    def client():
        while not over.is_set():
            try:
                with TRUST_ALL.wrap_socket(socket.create_connection(listener.getsockname(), timeout=BOUND)) as stream:
                    head, _ = ask(stream, method="GET", fields="Connection: close\r\n")
                counts["answered" if head.startswith("http/1.1 200") else "lost"] += 1
            except (OSError, AssertionError) as error:
                counts["lost"] += 1
                print("lost:", repr(error))

    with Server("--notice", "300ms", inherits=listener) as old:
        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        until("the first answers", lambda: counts["answered"] > 20, old)
        with Server("--notice", "300ms", inherits=listener) as new:
            old.process.send_signal(signal.SIGTERM)
            old.end()
            before = counts["answered"]
            until("answers of the new instance", lambda: counts["answered"] > before + 20, new)
            over.set()
            for thread in threads:
                thread.join()
            new.process.send_signal(signal.SIGTERM)
            new.end()
    listener.close()
    assert counts["lost"] == 0, counts


def survives_a_lack_of_descriptors():
    with tempfile.TemporaryDirectory() as folder:
        config = write(os.path.join(folder, "config.toml"), '[limits]\nmax_connections = "off"\n')
        with Server("--config", config, descriptors=64) as server:
            idle = [socket.create_connection(server.address, timeout=BOUND) for _ in range(100)]
            used = f"/proc/{server.process.pid}/fd"
            until("all descriptors are in use", lambda: len(os.listdir(used)) == 64, server)
            for client in idle:
                client.close()
            assert ask(connect(server))[0].startswith("http/1.1 200")


def says_what_is_wrong():
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as taken:
        cert, _ = make_certificate(folder, "first")
        _, other = make_certificate(folder, "second")
        unknown = write(os.path.join(folder, "unknown.toml"), "[limits]\nidle = \"5s\"\n")
        unitless = write(os.path.join(folder, "unitless.toml"), "[close]\nflush_limit = \"60\"\n")
        wrong = [
            (["127.0.0.1:%d" % taken.getsockname()[1], "--admin", "127.0.0.1:0"], "in use"),
            (["--cert", cert, "--key", other], "do not go together"),
            (["--config", unknown], "idle"),
            (["--config", unitless], "unit"),
        ]
        for args, why in wrong:
            # The environment's backtraces must not get into the error.
            ran = subprocess.run([SERVER, *args], capture_output=True, text=True, timeout=BOUND,
                                 env={**os.environ, "RUST_BACKTRACE": "1"})
            assert ran.returncode == 1, (args, ran)
            lines = ran.stderr.splitlines()
            assert len(lines) == 1 and lines[0].startswith("error: ") and why in lines[0], (args, ran.stderr)


for check in [answers_clients, reloads, ends_with_a_notice, hands_over_an_inherited_socket,
              survives_a_lack_of_descriptors, says_what_is_wrong]:
    check()
    print(f"reference_server, {check.__name__.replace('_', ' ')}: ok")
