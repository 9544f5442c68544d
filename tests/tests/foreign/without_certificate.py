"""Sends without the client certificate that the server wants, and prints how often the alert says so.

Arguments: HOST AUTHORITY PORT TRIES SIZE.
"""

import socket
import ssl
import sys

host, authority = sys.argv[1:3]
port, tries, size = map(int, sys.argv[3:6])
context = ssl.create_default_context(cafile=authority)
head = b"PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size
told = 0
for _ in range(tries):
    try:
        tcp = socket.create_connection((host, port), timeout=60)
        with context.wrap_socket(tcp, server_hostname="localhost") as tls:
            tls.sendall(head + b"x" * size)
            tls.recv(100)
    except OSError as error:
        told += "certificate required" in str(error).replace("_", " ").lower()
print(told)
