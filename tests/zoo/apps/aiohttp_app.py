import ssl
import sys

from aiohttp import web


async def hello(request):
    return web.Response(text="hello\n")


async def refuse(request):
    return web.Response(status=413, text="big\n")


app = web.Application()
app.add_routes([web.get("/", hello), web.put("/", refuse)])
context = None
if sys.argv[2:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[2:])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), ssl_context=context, print=None)
