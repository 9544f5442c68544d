import sys

from sanic import Sanic
from sanic.response import text

app = Sanic("zoo")


@app.get("/")
async def hello(request):
    return text("hello\n")


@app.put("/", stream=True)
async def refuse(request):
    return text("big\n", status=413)


if __name__ == "__main__":
    pair = {"cert": sys.argv[2], "key": sys.argv[3]} if sys.argv[2:] else None
    app.run("127.0.0.1", int(sys.argv[1]), ssl=pair, single_process=True, access_log=False, motd=False)
