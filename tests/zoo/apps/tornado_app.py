import asyncio
import sys

from tornado.web import Application, RequestHandler, stream_request_body


@stream_request_body
class Hello(RequestHandler):
    def prepare(self):
        if self.request.method == "PUT":
            self.set_status(413)
            self.finish("big\n")

    def data_received(self, chunk):
        pass

    def get(self):
        self.write("hello\n")


async def main():
    pair = {"certfile": sys.argv[2], "keyfile": sys.argv[3]} if sys.argv[2:] else None
    Application([("/", Hello)]).listen(int(sys.argv[1]), "127.0.0.1", ssl_options=pair)
    await asyncio.Event().wait()


asyncio.run(main())
