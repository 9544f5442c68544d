"""Uploads three times to the port that is the argument, by one connection as long as it lasts."""

import http.client
import sys

client = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
for _ in range(3):
    try:
        client.request("POST", "/nowhere", b"x" * 200_000)
        answer = client.getresponse()
        answer.read()
        print(answer.status)
    except OSError as error:
        print(type(error).__name__)
        client.close()
