"""Uploads by libraries of Python, and prints for each how many of the uploads got the whole refusal.

Arguments: LIBRARY,LIBRARY... URL AUTHORITY SIZE TRIES MESSAGE; an empty AUTHORITY means plain HTTP.
"""

import http.client
import ssl
import sys
import urllib.error
import urllib.request

libraries, url, authority, message = *sys.argv[1:4], sys.argv[6]
size, tries = map(int, sys.argv[4:6])
body = b"x" * size
context = ssl.create_default_context(cafile=authority) if authority else None


def by_http_client():
    host, path = url.split("/", 3)[2:]
    if context:
        client = http.client.HTTPSConnection(host, timeout=60, context=context)
    else:
        client = http.client.HTTPConnection(host, timeout=60)
    client.request("PUT", "/" + path, body)
    answer = client.getresponse()
    return answer.status, answer.read().decode()


def by_urllib():
    request = urllib.request.Request(url, body, method="PUT")
    try:
        answer = urllib.request.urlopen(request, timeout=60, context=context)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    return answer.code, answer.read().decode()


def by_requests():
    import requests

    answer = requests.put(url, data=body, timeout=60, verify=authority or None)
    return answer.status_code, answer.text


uploads = {"http.client": by_http_client, "urllib": by_urllib, "requests": by_requests}
for library in libraries.split(","):
    complete = 0
    for _ in range(tries):
        try:
            complete += uploads[library]() == (413, message)
        except Exception as error:
            print(type(error).__name__, error, file=sys.stderr)
    print(complete)
