#!/bin/sh
# Starts each example server on a free port, uses it as its first comment says, stops it by Ctrl-C's signal.
# Each step has a time limit; nothing is left running.
set -eu
cd "$(dirname "$0")/.."
log=$(mktemp)
trace=$(mktemp)
server=
stop() {
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
    rm -f "$log" "$trace"
}
trap stop EXIT

start() { # NAME ARGUMENT...
    : >"$log"
    name=$1
    shift
    # In the foreground: else timeout passes a signal on twice, and a second one cuts what is being served.
    timeout --foreground 60 "${CARGO_TARGET_DIR:-target}/debug/examples/$name" 127.0.0.1:0 "$@" >"$log" 2>&1 &
    server=$!
    tries=0
    until grep -q '^listening on ' "$log"; do
        tries=$((tries + 1))
        if [ $tries -gt 300 ] || ! kill -0 "$server"; then
            cat "$log"
            exit 1
        fi
        sleep 0.1
    done
    address=$(sed -n 's/^listening on //p' "$log")
}

await() { # TEXT FILE
    tries=0
    until grep -q "$1" "$2"; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "no '$1' in:"; cat "$2"; exit 1; }
        sleep 0.1
    done
}

finish() { # NAME
    kill -INT "$server"
    wait "$server"
    server=
    grep -q '^Pd' "$log" || { echo "$1 reported no close"; cat "$log"; exit 1; }
    echo "$1: ok"
}

upload() { # URL
    for _ in 1 2 3 4 5; do
        answer=$(head -c 33554432 /dev/zero | curl -sSk --http1.1 -m 20 -H Expect: -T - "$1")
        [ "$answer" = 'too large, said the handler' ] || { echo "$1 answered: $answer"; exit 1; }
    done
}

start axum
upload "http://$address/upload"
curl -sS -m 20 "http://$address/" | grep -q '^hello, 127.0.0.1:' # ConnectInfo
finish axum

# CONFORMANCE 3: what a clean close asks the kernel for, and what it never asks for.
start axum
strace -f -qq -e trace=shutdown,setsockopt,recvfrom -p "$(pgrep -P "$server")" -o "$trace" 2>/dev/null &
tracer=$!
tries=0
until grep -q 'TracerPid:[[:space:]]*[1-9]' "/proc/$(pgrep -P "$server")/status"; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo 'strace does not attach'; exit 1; }
    sleep 0.1
done
upload "http://$address/upload"
finish axum
wait "$tracer"
for expected in 'SHUT_WR' 'MSG_TRUNC'; do
    grep -q "$expected" "$trace" || { echo "no $expected in the trace"; cat "$trace"; exit 1; }
done
# Shutting down the read side, any SO_LINGER or TCP_LINGER2, a read of nothing (which would look like a FIN).
for never in 'SHUT_RD' 'LINGER' 'recvfrom([0-9]*, [^,]*, 0,'; do
    ! grep "$never" "$trace" || { echo "$never in the trace"; exit 1; }
done
echo 'system calls: ok'

start axum_tls
upload "https://$address/upload"
curl -sSk -m 20 "https://$address/" | grep -q '^hello, 127.0.0.1:'
timeout 20 openssl s_client -connect "$address" -alpn h3 </dev/null 2>&1 | grep -qi 'alert no application protocol'
finish axum_tls

certificate=$(mktemp -d)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
    -keyout "$certificate/key.pem" -out "$certificate/cert.pem" 2>/dev/null
start axum_openssl --cert "$certificate/cert.pem" --key "$certificate/key.pem"
upload "https://$address/upload"
timeout 20 openssl s_client -connect "$address" -alpn h3 </dev/null 2>&1 | grep -qi 'alert no application protocol'
finish axum_openssl
rm -r "$certificate"

start hyper
upload "http://$address/"
finish hyper

start hyper_tls
upload "https://$address/"
curl -sSk -m 20 "https://$address/" | grep -qx hello
timeout 20 openssl s_client -connect "$address" -alpn h3 </dev/null 2>&1 | grep -qi 'alert no application protocol'
finish hyper_tls

# A line that is too long, and commands after it; the client reads when it has written them all. And curl's DICT, which
# sends its three commands at once.
start lines
for _ in 1 2 3 4 5; do
    timeout 20 python3 - "$address" <<'PYTHON'
import socket, sys
host, port = sys.argv[1].split(":")
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(b"PING\r\n" + b"x" * 2000 + b"\r\n" + b"PING\r\n" * 2000000)
seen = client.makefile("rb").read()
assert seen == b"+PONG\r\n-ERR Protocol error: too big inline request\r\n", seen
PYTHON
done
answer=$(curl -sS -m 20 "dict://$address/ECHO:hello" | tr -d '\r' | tail -n 3 | tr '\n' ' ')
[ "$answer" = '$5 hello +OK ' ] || { echo "lines answered: $answer"; exit 1; }
idle=$(mktemp)
timeout 20 python3 - "$address" >"$idle" <<'PYTHON' &
import socket, sys
host, port = sys.argv[1].split(":")
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(b"PING\r\n")
print(client.recv(100).decode().strip(), flush=True)
print(client.makefile("rb").read().decode().strip(), flush=True)
PYTHON
client=$!
await '^+PONG$' "$idle"
finish lines
wait "$client"
grep -qx -- '-ERR the server shuts down' "$idle" || { echo 'lines said nothing to its idle client'; cat "$idle"; exit 1; }
rm "$idle"
grep -qx '7 closed: peer_closed 7' "$log" || { echo 'lines lost count'; cat "$log"; exit 1; }

start framed
for _ in 1 2 3 4 5; do
    timeout 20 python3 - "$address" <<'PYTHON'
import socket, struct, sys
host, port = sys.argv[1].split(":")
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(struct.pack(">I", 5) + b"hello")
client.sendall(struct.pack(">I", 32 << 20) + bytes(32 << 20))
seen = client.makefile("rb").read()
assert seen == struct.pack(">I", 7) + b"5 bytes" + struct.pack(">I", 18) + b"frame size too big", seen
PYTHON
done
finish framed
grep -qx '5 closed: peer_closed 5' "$log" || { echo 'framed lost count'; cat "$log"; exit 1; }

start axum_server
upload "http://$address/upload"
finish axum_server

start metrics --metrics 127.0.0.1:0
upload "https://$address/upload"
await '^metrics on ' "$log"
scrape() { curl -sS -m 20 "http://$(sed -n 's/^metrics on //p' "$log")/metrics"; }
# Of whatever outcome: curl closes now and then while a close_notify is unread, which its kernel answers by a reset.
closes() { scrape | awk '/^tower_linger_closes_total\{listener="public"/ { sum += $2 } END { print sum + 0 }'; }
tries=0
until [ "$(closes)" = 5 ]; do
    tries=$((tries + 1))
    [ $tries -lt 100 ] || { echo "not 5 closes in:"; scrape; exit 1; }
    sleep 0.1
done
finish metrics

# A client whose request is not complete when the server is asked to end: its connection is counted, and not forgotten.
start axum_server
mark=$(mktemp)
timeout 40 python3 - "$address" >"$mark" <<'PYTHON' &
import socket, sys, time
host, port = sys.argv[1].split(":")
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(b"GET / HTTP/1.1\r\n")
print("dripping", flush=True)
try:
    while True:
        client.sendall(b"x: y\r\n")
        time.sleep(0.1)
except OSError:
    pass
PYTHON
dripping=$!
await dripping "$mark"
# Accepted after the other one, so that one is accepted, too.
curl -sS -m 20 "http://$address/" | grep -qx hello
kill -INT "$server"
wait "$server"
server=
wait $dripping
grep -q '^2 closed: ' "$log" || { echo 'axum_server lost count'; cat "$log"; exit 1; }
rm "$mark"
echo 'axum_server, dripping client: ok'

start tonic
# An empty HealthCheckRequest; the answer is one field, SERVING.
answer=$(printf '\0\0\0\0\0' | curl -sS -m 20 --http2-prior-knowledge -H 'content-type: application/grpc' \
    -H 'te: trailers' --data-binary @- "http://$address/grpc.health.v1.Health/Check" | od -An -tx1 | tr -d ' \n')
[ "$answer" = 00000000020801 ] || { echo "tonic answered: $answer"; exit 1; }
finish tonic

start poem
upload "http://$address/upload"
curl -sS -m 20 "http://$address/" | grep -qx hello
finish poem

start salvo
upload "https://$address/upload"
curl -sSk -m 20 "https://$address/" | grep -qx hello
timeout 20 openssl s_client -connect "$address" -alpn h3 </dev/null 2>&1 | grep -qi 'alert no application protocol'
finish salvo

start websocket
# Says bye, goes on talking, and only then reads: echo, Close frame with its code, FIN.
timeout 20 python3 - "$address" <<'PYTHON'
import socket, sys
host, port = sys.argv[1].split(":")
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
               b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
for word in [b"\x81\x83\0\0\0\0bye"] + 20000 * [b"\x81\x85\0\0\0\0hello"]:
    client.sendall(word)
seen = b""
while chunk := client.recv(65536):
    seen += chunk
body = seen.split(b"\r\n\r\n", 1)[1]
assert body.startswith(b"\x81\x03bye\x88") and body[7:9] == (4001).to_bytes(2, "big"), body
PYTHON
finish websocket

# Stopped while clients are connected: each reads code 1001 and answers it.
start websocket
mark=$(mktemp)
timeout 40 python3 - "$address" >"$mark" <<'PYTHON' &
import socket, sys
host, port = sys.argv[1].split(":")
clients = [socket.create_connection((host, int(port)), timeout=20) for _ in range(20)]
for client in clients:
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
seen = [client.recv(65536) for client in clients]
print("connected", flush=True)
for client, seen in zip(clients, seen):
    while b"\x88" not in seen:
        chunk = client.recv(65536)
        assert chunk, "no Close frame"
        seen += chunk
    frame = seen.split(b"\r\n\r\n", 1)[1]
    assert frame[2:4] == (1001).to_bytes(2, "big"), frame
    client.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
    assert client.recv(65536) == b""
    client.close()
PYTHON
clients=$!
await connected "$mark"
kill -INT "$server"
wait $clients
wait "$server"
server=
grep -qx '20 closed: peer_closed 20' "$log" || { echo 'websocket lost count'; cat "$log"; exit 1; }
rm "$mark"
echo 'websocket, stopped: ok'

# A request and an upload that are under way when the server is asked to end are both brought to theirs.
start graceful_shutdown
answer=$(mktemp)
timeout 20 python3 - "$address" "$log" >"$answer" <<'PYTHON' &
import socket, sys, time
host, port = sys.argv[1].split(":")
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(b"PUT /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n" + bytes(65536))
while "shutdown requested" not in open(sys.argv[2]).read():
    print("sending", flush=True)
    time.sleep(0.1)
client.sendall(bytes(33554432 - 65536))
seen = b""
while chunk := client.recv(65536):
    seen += chunk
print(seen.decode().split("\r\n\r\n", 1)[1])
PYTHON
upload=$!
await sending "$answer" # accepted before the next
curl -sS -m 20 "http://$address/slow" >"$answer.slow" &
slow=$!
await '^a slow request has begun' "$log"
kill -TERM "$server"
wait $slow
wait $upload
wait "$server"
server=
grep -qx 'slow, but whole' "$answer.slow" && grep -qx 'too large, said the handler' "$answer" ||
    { echo 'graceful_shutdown lost an answer'; cat "$answer" "$answer.slow" "$log"; exit 1; }
grep -qx '2 closed: peer_closed 2' "$log" || { echo 'graceful_shutdown lost count'; cat "$log"; exit 1; }
rm "$answer" "$answer.slow"
echo 'graceful_shutdown: ok'

# A policy from a file and the environment, read again at SIGHUP; a bad file keeps the old one.
config=$(mktemp)
hang_up() { # TEXT that the server prints then
    kill -HUP "$(pgrep -P "$server")"
    await "$1" "$log"
}
silent_client() { # reads the answer and its end, owes its upload, and stays until the server releases the connection
    timeout 20 python3 - "$address" "$log" <<'PYTHON'
import socket, sys, time
host, port = sys.argv[1].split(":")
closes = lambda: sum(" drained=" in line for line in open(sys.argv[2]))
before = closes()
client = socket.create_connection((host, int(port)), timeout=10)
client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\n")
while client.recv(65536):
    pass
while closes() == before:
    time.sleep(0.05)
PYTHON
}
cat >"$config" <<'TOML'
drain_limit = "10s"
drain_idle_timeout = "200ms"
early_release = 3
TOML
export LINGER_DRAIN_LIMIT_BYTES=64MiB LINGER_EARLY_RELEASE=off
start config --config "$config"
bounds='flush_idle_timeout 10s, flush_limit 60s, drain_idle_timeout 200ms, drain_limit 10s'
await "^policy: $bounds, drain_limit_bytes 64MiB$" "$log"
silent_client
await '^Id-- drained=0' "$log"
printf 'drain_limit = "10s"\n\nwithout_drian = true\n' >"$config"
hang_up "^error: $config:3: there is no setting \"without_drian\": use one of .* (the policy stays as it was)$"
silent_client
[ "$(grep -c '^Id-- drained=0' "$log")" -eq 2 ] || { echo 'a bad file changed the policy'; cat "$log"; exit 1; }
echo 'without_drain = true' >"$config"
hang_up '^policy: .*, drain_limit_bytes 64MiB, without_drain$'
silent_client
await '^Nd-- drained=0' "$log"
kill -INT "$server"
wait "$server"
server=
unset LINGER_DRAIN_LIMIT_BYTES LINGER_EARLY_RELEASE
echo 'config: ok'

# Bad configuration: one line that names the place, the key and the fix.
refused() { # MESSAGE, of what is in the file
    if timeout 20 "${CARGO_TARGET_DIR:-target}/debug/examples/config" 127.0.0.1:0 --config "$config" >"$log" 2>&1; then
        echo "accepted: $(cat "$config")"
        exit 1
    fi
    [ "$(cat "$log")" = "error: $1" ] || { echo "instead of: error: $1"; cat "$log"; exit 1; }
}
keys='flush_idle_timeout, flush_limit, drain_idle_timeout, drain_limit, drain_limit_bytes, drain_min_rate'
keys="$keys, await_close_notify, peer_closes_first, without_half_close, without_drain, early_release, at_limit"
keys="$keys, orphan_timeout, write_idle_timeout"
duration='give it a duration with its unit, such as "30s" or "500ms"'
printf '# A comment.\ndrain_limt = "10s"\n' >"$config"
refused "$config:2: there is no setting \"drain_limt\": use one of $keys"
printf '\n\ndrain_limit = 10\n' >"$config"
refused "$config:3: drain_limit is \"10\": $duration"
echo 'drain_limit_bytes = "plenty"' >"$config"
refused "$config:1: drain_limit_bytes is \"plenty\": give it a size, such as \"64MiB\", or a number of bytes"
echo 'drain_idle_timeout = "40s"' >"$config"
refused "$config: drain_idle_timeout (40s) is over drain_limit (30s): lower drain_idle_timeout or raise drain_limit"
export LINGER_DRAIN_LIMIT=60
echo 'drain_idle_timeout = "20s"' >"$config"
refused "environment: drain_limit is \"60\": $duration"
unset LINGER_DRAIN_LIMIT
rm "$config"
refused "cannot read $config: No such file or directory (os error 2)"
echo 'bad configuration: ok'

# Bad input: one line and a non-zero status, no backtrace.
for wrong in 'axum 192.0.2.1:80' 'axum_tls --cert /nonexistent --key /nonexistent' \
    'axum_tls --cert LICENSE-MIT --key LICENSE-MIT'; do
    set -- $wrong
    name=$1
    shift
    if RUST_BACKTRACE=1 timeout 20 "${CARGO_TARGET_DIR:-target}/debug/examples/$name" "$@" >"$log" 2>&1; then
        echo "$wrong: exit status 0"
        exit 1
    fi
    [ "$(wc -l <"$log")" -eq 1 ] && grep -q '^error: ' "$log" || { echo "$wrong:"; cat "$log"; exit 1; }
done
echo 'bad input: ok'
