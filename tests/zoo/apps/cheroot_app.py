import sys

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from wsgi import app

server = wsgi.Server(("127.0.0.1", int(sys.argv[1])), app)
if sys.argv[2:]:
    server.ssl_adapter = BuiltinSSLAdapter(*sys.argv[2:])
server.safe_start()
