def app(environ, start_response):
    status, body = ("413 Payload Too Large", b"big\n") if environ["REQUEST_METHOD"] == "PUT" else ("200 OK", b"hello\n")
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
