def app(environ, start_response):
    status, body = "200 OK", b"hello\n"
    if environ["REQUEST_METHOD"] == "PUT":
        status, body = "413 Payload Too Large", b"big\n"
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
