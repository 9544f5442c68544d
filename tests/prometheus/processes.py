"""The example server and Prometheus: each one process, which ends with its `with` block."""
import json, math, os, pathlib, socket, subprocess, sys, time, urllib.error, urllib.parse, urllib.request

START = 30  # seconds


class Process:
    """A process that writes to a file, and that is ended by its id."""

    def __init__(self, command, log):
        self.log = pathlib.Path(log)
        try:
            self.process = subprocess.Popen(command, stdout=self.log.open("w"), stderr=subprocess.STDOUT)
        except FileNotFoundError:
            sys.exit(f"there is no {command[0]} here: `make needs prometheus` installs or builds it")

    def wait_until(self, ready):
        deadline = time.monotonic() + START
        while not (found := ready()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                sys.exit(f"{self.process.args[0]} does not start:\n{self.log.read_text()}")
            time.sleep(0.05)
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Example(Process):
    """The example server `metrics`, with few connections that may linger."""

    def __init__(self, root, folder):
        program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "debug/examples/metrics"
        command = [str(program), "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--linger", "4"]
        super().__init__(command, f"{folder}/example.log")
        self.wait_until(lambda: self.said("metrics on ") and self.said("listening on "))
        self.address, self.metrics = self.said("listening on "), self.said("metrics on ")

    def said(self, beginning):
        lines = self.log.read_text().splitlines()
        return next((line.removeprefix(beginning) for line in lines if line.startswith(beginning)), None)


class Prometheus(Process):
    """Prometheus, which scrapes one target each second."""

    def __init__(self, folder, target, rules):
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "app", "static_configs": [{"targets": [target]}]}],
        }
        # JSON is YAML.
        pathlib.Path(f"{folder}/prometheus.yml").write_text(json.dumps(config))
        self.address = free_address()
        super().__init__(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                          f"--web.listen-address={self.address}"], f"{folder}/prometheus.log")
        self.wait_until(self.is_ready)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def get(self, path, **parameters):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            sys.exit(f"prometheus: {path} {parameters}: {error.read().decode()}")

    def query(self, query):
        return self.get("query", query=query)["result"]

    def has_numbers(self, query):
        """Whether there is a value that is a number: a quantile or a share of nothing is NaN."""
        return any(not math.isnan(float(series["value"][1])) for series in self.query(query))


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % probe.getsockname()[1]
