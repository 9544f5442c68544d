import sys

from werkzeug.serving import run_simple
from wsgi import app

run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True, ssl_context=tuple(sys.argv[2:]) or None)
