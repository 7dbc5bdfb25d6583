"""The rules of every benchmark: rounds that alternate probe and weir, one line per figure."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer

from conftest import Weir, eventually, free_port  # noqa: F401
from test_remotes import GitHandler

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
WORKLOADS = {}

# A probe that moved by more than this between its rounds says so beside the figure.
PROBE_SPREAD_MAX = 0.15


def workload(function):
    WORKLOADS[function.__name__.replace("_", "-")] = function
    return function


def load_client(port, path, *arguments, timeout=60):
    """bench/load against 127.0.0.1:port; its JSON."""
    done = subprocess.run([str(BUILD / "bench" / "load"), *map(str, arguments), str(port), path],
                          capture_output=True, text=True, timeout=timeout)
    assert done.stdout, f"load: {done.stderr}"
    return json.loads(done.stdout)


def pss_mib(pid):
    """Proportional set size of a process and its descendants, in MiB."""
    pids, total = [pid], 0
    for line in subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split():
        pids.append(int(line))
    for each in pids:
        with contextlib.suppress(OSError), open(f"/proc/{each}/smaps_rollup", encoding="ascii") as text:
            total += sum(int(line.split()[1]) for line in text if line.startswith("Pss:"))
    return total / 1024


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as text:
        fields = text.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, name, folder, rounds, as_json, quick):
        self.name, self.folder, self.rounds = name, folder, rounds
        self.as_json, self.quick = as_json, quick
        self.load = os.getloadavg()[0]
        self.servers = []

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def start(self, name="data", *arguments, **more):
        """A weir of its own; stopped at the end of the workload."""
        server = Weir(self.folder / name, *arguments, **more)
        self.servers.append(server)
        return server.start()

    def close(self):
        for server in self.servers:
            server.kill()

    def figure(self, what, unit, values, probe=None, note="", better="less"):
        """Prints one figure. probe: list of the limit's values in the same unit."""
        row = {"name": f"{self.name}/{what}", "unit": unit, "min": None, "median": None, "max": None,
               "n": len(values), "load": round(self.load, 2), "probe": None, "ratio": None, "better": better,
               "note": note}
        if values:
            row.update(min=round(min(values), 3), median=round(statistics.median(values), 3),
                       max=round(max(values), 3))
        if probe:
            middle = statistics.median(probe)
            row["probe"] = round(middle, 3)
            if values and middle:
                row["ratio"] = round(row["median"] / middle, 3)
            spread = (max(probe) - min(probe)) / middle if middle else 0
            if spread > PROBE_SPREAD_MAX:
                row["note"] = (note + "; " if note else "") + f"the probe moved by {spread:.0%}"
        if self.as_json:
            print(json.dumps(row), flush=True)
        else:
            print(f"{row['name']:34} {row['median']!s:>12} {unit:14} [{row['min']} … {row['max']}] n={row['n']}"
                  f"  limit {row['probe']}  ratio {row['ratio']}  {row['note']}", flush=True)
        return row

    def rounds_of(self, probe, weir):
        """Alternates probe() and weir(); gives the two lists of values."""
        limits, values = [], []
        for _ in range(self.rounds):
            limits.append(probe())
            values.append(weir())
        limits.append(probe())
        return limits, values


class LargeRepository:
    """A bare repository that is written without a work tree, so that a hundred thousand files take seconds."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.bare = self.root / "flows.git"
        self.url = f"file://{self.bare}"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.bare], check=True)

    def commit(self, files):
        """files: (path, text) pairs, added to what is there or in its place."""
        importer = subprocess.Popen(["git", "-C", self.bare, "fast-import", "--quiet"], stdin=subprocess.PIPE)
        write = importer.stdin.write
        write(f"commit refs/heads/main\ncommitter Ana Lima <ana@example.com> {int(time.time())} +0000\n"
              "data 6\nchange\n".encode())
        if subprocess.run(["git", "-C", self.bare, "rev-parse", "-q", "--verify", "main"],
                          capture_output=True).returncode == 0:
            write(b"from refs/heads/main^0\n")
        for path, text in files:
            body = text.encode()
            write(f"M 100644 inline {path}\ndata {len(body)}\n".encode() + body + b"\n")
        importer.stdin.close()
        assert importer.wait() == 0, "git fast-import"

    def serve(self):
        """Serves it over HTTP with git's own http-backend; gives its address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), GitHandler)
        server.daemon_threads = True
        server.root, server.password, server.requests = self.root, None, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/{self.bare.name}"


class Limit:
    """A probe that is a process serving a port (bench/probes)."""

    def __init__(self, program, *arguments):
        self.port = free_port()
        self.process = subprocess.Popen([str(BUILD / "bench" / program), str(self.port), *map(str, arguments)])
        eventually(self.answers, f"{program} listens")

    def answers(self):
        import socket
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def measure(self, rate, tries=3):
        """rate(port, path); asked again when it never ends, as bare libmicrohttpd sometimes loses a wake-up."""
        for left in reversed(range(tries)):
            try:
                return rate(self.port, "/x")
            except subprocess.TimeoutExpired:
                if left == 0:
                    raise

    def close(self):
        self.process.kill()
        self.process.wait()


def seconds_of(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
