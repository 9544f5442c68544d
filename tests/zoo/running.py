"""Starts and stops servers, each in its own process group and on free ports of 127.0.0.1."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ZOO = ROOT / "target" / "zoo"
APPS = ROOT / "tests" / "zoo" / "apps"
# What `linger-probe compare` starts its servers from.
COMPARED = ROOT / "crates" / "linger-probe" / "src" / "compare"
PROBE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "linger-probe"
START = 40


def prepare(upload_bytes):
    """Makes a certificate, a folder to serve, and a file to upload."""
    ground = ZOO / "ground"
    (ground / "www").mkdir(parents=True, exist_ok=True)
    (ground / "www" / "index.html").write_text("hello\n")
    (ground / "upload").write_bytes(bytes(upload_bytes))
    key, certificate = ground / "server-key.pem", ground / "server.pem"
    # Keeps a certificate that is still valid, because another run may be using it.
    if certificate.exists() and time.time() - certificate.stat().st_mtime < 20 * 24 * 3600:
        return
    made = "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=127.0.0.1"
    made += " -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    subprocess.run(
        [*made.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    key.chmod(0o644)
    (ground / "server-both.pem").write_text(certificate.read_text() + key.read_text())


def free_ports():
    with socket.socket() as one, socket.socket() as two:
        for held in (one, two):
            held.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


class Failed(Exception):
    """A server does not start; the message says why."""


@contextlib.contextmanager
def started(server):
    """Runs a server, and gives its two ports."""
    http, https = free_ports()
    folder = ZOO / "run" / server.name.replace(" ", "-").replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = {
        "http": http,
        "https": https,
        "folder": folder,
        "ground": ZOO / "ground",
        "cert": ZOO / "ground" / "server.pem",
        "key": ZOO / "ground" / "server-key.pem",
        "venv": ZOO / "venv" / "bin",
        "apps": APPS,
        "probe": PROBE,
        "modules": "/usr/lib/apache2/modules",
        "user": "User #65534\nGroup #65534" if os.geteuid() == 0 else "",
        **server.settings,
    }

    def filled(text):
        for name, value in names.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    for name, source in server.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(filled(source.read_text()))
    environment = {
        **os.environ,
        "NODE_PATH": str(ZOO / "node" / "node_modules"),
        "PYTHONPATH": str(APPS),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.update({name: filled(value) for name, value in server.environment.items()})
    processes = []
    try:
        with open(folder / "output", "wb") as output:
            for command in server.commands:
                processes.append(
                    subprocess.Popen(
                        [filled(word) for word in command],
                        cwd=folder,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                    )
                )
        ports = [http, https] if server.tls else [http]
        await_listening(ports, processes, folder)
        await_answer(http)
        yield http, https
    finally:
        for process in processes:
            stop(process)


def await_listening(ports, processes, folder):
    deadline = time.monotonic() + START
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                pass
            if any(process.poll() is not None for process in processes) or time.monotonic() > deadline:
                said = (folder / "output").read_text(errors="replace").strip().splitlines()
                raise Failed("; ".join(said[-3:]) or "it says nothing")
            time.sleep(0.05)


def await_answer(port):
    """Waits for any answer, because some servers listen before they are ready."""
    with socket.create_connection(("127.0.0.1", port), START) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(OSError):
            connection.recv(1)


def stop(process):
    """Ends the process's group: by SIGTERM first, by SIGKILL if that does not help."""
    for how, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            return
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        if how == signal.SIGTERM:
            # Processes that it started may live a little longer.
            time.sleep(0.2)
