"""Twisted reads the whole body before it calls the resource."""
import sys

from twisted.internet import endpoints, reactor
from twisted.web import resource, server


class Hello(resource.Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"hello\n"

    def render_PUT(self, request):
        request.setResponseCode(413)
        return b"big\n"


where = f"tcp:{sys.argv[1]}:interface=127.0.0.1"
if sys.argv[2:]:
    where = f"ssl:{sys.argv[1]}:interface=127.0.0.1:certKey={sys.argv[2]}:privateKey={sys.argv[3]}"
endpoints.serverFromString(reactor, where).listen(server.Site(Hello()))
reactor.run()
