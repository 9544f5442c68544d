"""Uploads over HTTP/2 by the library h2, and prints the status and how the stream ended.

http2_upload.py PORT CERTIFICATE BYTES; the certificate "-" means plain TCP. The exit status is 1 if the response is
not whole or the stream ended in an error, which clients then report.
"""

import contextlib
import socket
import ssl
import sys

import h2.connection
import h2.events
import h2.exceptions

PORT, CERTIFICATE, SIZE = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
status, whole, reset, left = None, False, None, SIZE
channel = socket.create_connection(("127.0.0.1", PORT), 10)
if CERTIFICATE != "-":
    context = ssl.create_default_context(cafile=CERTIFICATE)
    context.set_alpn_protocols(["h2"])
    channel = context.wrap_socket(channel, server_hostname="127.0.0.1")
session = h2.connection.H2Connection()
session.initiate_connection()
fields = [(":method", "PUT"), (":scheme", "http" if CERTIFICATE == "-" else "https"), (":path", "/")]
fields += [(":authority", "127.0.0.1"), ("content-length", str(SIZE))]
session.send_headers(1, fields)
why = ""
try:
    while not whole and reset is None:
        while left and status is None and reset is None:
            some = min(left, session.local_flow_control_window(1), session.max_outbound_frame_size)
            if some == 0:
                break
            session.send_data(1, bytes(some), end_stream=some == left)
            left -= some
        # An upload that is refused half-way may be answered all the same.
        with contextlib.suppress(OSError):
            channel.sendall(session.data_to_send())
        received = channel.recv(65536)
        if not received:
            why = "an end"
            break
        for event in session.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                status = dict(event.headers)[b":status"].decode()
            elif isinstance(event, h2.events.DataReceived):
                session.acknowledge_received_data(event.flow_controlled_length, 1)
            elif isinstance(event, h2.events.StreamEnded):
                whole = True
            elif isinstance(event, h2.events.StreamReset):
                reset = reset if reset is not None else int(event.error_code)
    # Looks for a RST_STREAM behind the response.
    channel.settimeout(0.2)
    while reset is None and not why and (received := channel.recv(65536)):
        for event in session.receive_data(received):
            if isinstance(event, h2.events.StreamReset) and reset is None:
                reset = int(event.error_code)
except TimeoutError:
    pass
except (OSError, h2.exceptions.ProtocolError) as error:
    why = repr(error)
print(f"{status or 'no response'}, {'whole' if whole else 'cut'}, RST_STREAM {reset} {why}".strip())
sys.exit(not whole or reset not in (None, 0))
