"""The servers: how each is installed, configured and started. A new one takes a few lines.

In commands and files, `{http}` and `{https}` stand for the server's ports, `{folder}` for its folder; `running.started`
has the other names.
"""

import dataclasses

from running import APPS, COMPARED


@dataclasses.dataclass
class Server:
    """A server that refuses every PUT unread, and answers GET."""

    name: str
    # Where it comes from, and the package's name: ("apt", "nginx").
    package: tuple
    commands: list
    tls: bool = True
    # Files in its folder, by name, and the templates that they are filled in from.
    files: dict = dataclasses.field(default_factory=dict)
    settings: dict = dataclasses.field(default_factory=dict)
    environment: dict = dataclasses.field(default_factory=dict)


def words(*lines):
    return [line.split() for line in lines]


def nginx(lingering):
    return Server(
        f"nginx, lingering_close {lingering}",
        ("apt", "nginx"),
        words("nginx -p {folder} -c {folder}/nginx.conf"),
        files={"nginx.conf": APPS / "nginx.conf"},
        settings={"lingering": lingering},
    )


def python(name, package, *lines, **more):
    """A server from PyPI, in a virtual environment."""
    return Server(name, ("pip", package), words(*lines), **more)


def script(name, package, file, **more):
    """A script of ours with a library from PyPI. It serves plain HTTP, or TLS if it is given a certificate."""
    lines = ["{venv}/python {apps}/" + file + " {http}"]
    if more.get("tls", True):
        lines.append("{venv}/python {apps}/" + file + " {https} {cert} {key}")
    return python(name, package, *lines, **more)


def node(name, package, file, kind="npm"):
    """A script of ours for Node."""
    return Server(name, (kind, package), words("node {apps}/" + file + " {http} {https} {cert} {key}"))


def rust(name, package, arguments):
    """A server in the probe itself."""
    line = "{probe} serve " + arguments + " --http {http} --https {https} --cert {cert} --key {key}"
    return Server(name, ("cargo", package), words(line))


def gunicorn(worker):
    bare = "{venv}/gunicorn --no-control-socket -w 2 -k " + worker + " --threads 4 --chdir {apps} "
    if worker == "sync":
        bare = bare.replace("--threads 4 ", "")
    return python(
        f"gunicorn {worker}",
        "gunicorn",
        bare + "-b 127.0.0.1:{http} wsgi:app",
        bare + "-b 127.0.0.1:{https} --certfile {cert} --keyfile {key} wsgi:app",
    )


def uvicorn(parser):
    bare = "{venv}/uvicorn --app-dir {apps} --log-level error --http " + parser
    return python(
        f"uvicorn {parser}",
        "uvicorn",
        bare + " --port {http} asgi:app",
        bare + " --port {https} --ssl-certfile {cert} --ssl-keyfile {key} asgi:app",
    )


ALL = [
    nginx("on"),
    nginx("off"),
    Server(
        "Apache",
        ("apt", "apache2"),
        words("apache2 -DFOREGROUND -f {folder}/apache.conf"),
        files={"apache.conf": COMPARED / "apache.conf"},
    ),
    Server(
        "lighttpd",
        ("apt", "lighttpd"),
        words("lighttpd -D -f lighttpd.conf"),
        files={"lighttpd.conf": COMPARED / "lighttpd.conf"},
    ),
    Server(
        "HAProxy",
        ("apt", "haproxy"),
        words("haproxy -db -f haproxy.cfg"),
        files={"haproxy.cfg": COMPARED / "haproxy.cfg"},
    ),
    Server(
        "Caddy",
        ("apt", "caddy"),
        words("caddy run --config Caddyfile --adapter caddyfile"),
        files={"Caddyfile": APPS / "Caddyfile"},
        environment={"HOME": "{folder}", "XDG_DATA_HOME": "{folder}", "XDG_CONFIG_HOME": "{folder}"},
    ),
    Server("H2O", ("apt", "h2o"), words("h2o -c h2o.conf"), files={"h2o.conf": APPS / "h2o.conf"}),
    Server(
        "Varnish",
        ("apt", "varnish"),
        words("varnishd -F -a 127.0.0.1:{http} -f {folder}/varnish.vcl -n {folder}/state"),
        tls=False,
        files={"varnish.vcl": APPS / "varnish.vcl"},
    ),
    Server(
        "Tomcat",
        ("apt", "tomcat10"),
        words("/usr/share/tomcat10/bin/catalina.sh run"),
        files={
            "conf/server.xml": APPS / "tomcat.xml",
            "conf/web.xml": APPS / "tomcat-web.xml",
            "webapps/ROOT/index.html": APPS / "index.html",
            "logs/about": APPS / "index.html",
            "temp/about": APPS / "index.html",
        },
        environment={"CATALINA_BASE": "{folder}", "CATALINA_HOME": "/usr/share/tomcat10"},
    ),
    Server(
        "Jetty",
        ("apt", "jetty9"),
        words(
            "java -Djava.io.tmpdir={folder} -jar /usr/share/jetty9/start.jar"
            " jetty.home=/usr/share/jetty9 jetty.base=/usr/share/jetty9"
            # Jetty looks for this path below its own folder.
            " jetty.deploy.monitoredDir=../../..{folder}/webapps"
            " jetty.http.host=127.0.0.1 jetty.http.port={http}"
        ),
        tls=False,
        files={"webapps/ROOT/index.html": APPS / "index.html"},
    ),
    Server(
        "Puma",
        ("apt", "puma"),
        words(
            "puma -q -t 4:4 -b tcp://127.0.0.1:{http} -b ssl://127.0.0.1:{https}?key={key}&cert={cert}"
            " {apps}/config.ru"
        ),
    ),
    Server(
        "Go net/http",
        ("apt", "golang-go"),
        words("go run {folder}/main.go {http} {https} {cert} {key}"),
        files={"main.go": COMPARED / "main.go"},
    ),
    node("Node http, https", "nodejs", "node_http.js", kind="self"),
    node("Node http2", "nodejs", "node_http2.js", kind="self"),
    node("Express", "express", "express.js"),
    node("Fastify", "fastify", "fastify.js"),
    node("Koa", "koa", "koa.js"),
    node("hapi", "@hapi/hapi", "hapi.js"),
    script("Python http.server", "python", "std.py"),
    gunicorn("sync"),
    gunicorn("gthread"),
    gunicorn("gevent"),
    uvicorn("h11"),
    uvicorn("httptools"),
    python(
        "Hypercorn",
        "hypercorn",
        "{venv}/hypercorn -b 127.0.0.1:{http} asgi:app",
        "{venv}/hypercorn -b 127.0.0.1:{https} --certfile {cert} --keyfile {key} asgi:app",
    ),
    python(
        "Granian",
        "granian",
        "{venv}/granian --interface asgi --no-log --port {http} asgi:app",
        "{venv}/granian --interface asgi --no-log --port {https} --ssl-certificate {cert} --ssl-keyfile {key}"
        " asgi:app",
    ),
    python(
        "Daphne",
        "daphne",
        "{venv}/daphne -v 0 -b 127.0.0.1 -p {http}"
        " -e ssl:{https}:interface=127.0.0.1:privateKey={key}:certKey={cert} asgi:app",
    ),
    script("Sanic", "sanic", "sanic_app.py"),
    python("Waitress", "waitress", "{venv}/waitress-serve --listen=127.0.0.1:{http} wsgi:app", tls=False),
    script("Cheroot", "cheroot", "cheroot_app.py"),
    script("Werkzeug", "werkzeug", "werkzeug_app.py"),
    script("aiohttp", "aiohttp", "aiohttp_app.py"),
    script("Tornado", "tornado", "tornado_app.py"),
    script("Twisted", "twisted", "twisted_app.py"),
    rust("axum", "axum", "axum"),
    rust("axum with tower-linger", "axum", "axum --layered"),
    rust("hyper", "hyper", "hyper"),
    rust("hyper with tower-linger", "hyper", "hyper --layered"),
]

# Packages from Debian beside the servers.
APT = ["curl", "lighttpd-mod-openssl", "openssl", "python3-venv"]
# Packages from PyPI that its servers use if they are there.
PIP = ["gevent", "h11", "h2", "httptools"]
