"""Fixtures of the end-to-end tests: the real program, on a free port, with its own data folder.

Nothing here waits for a fixed time: `eventually` polls until a condition holds or its deadline ends.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("WEIR_PROGRAM", ROOT / "build" / "weir"))
SAMPLE = ROOT / "sample-repo"
# Sanitizer builds and busy machines are slow; a failure still ends.
PATIENCE = float(os.environ.get("WEIR_PATIENCE", "60"))


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(check, message="condition", patience=PATIENCE, every=0.05):
    """Calls check() until it returns something true; gives that."""
    end = time.monotonic() + patience
    last = None
    while time.monotonic() < end:
        try:
            last = check()
        except (requests.ConnectionError, AssertionError, KeyError, IndexError) as problem:
            last = None
            message_now = f"{message}: {problem}"
        else:
            message_now = f"{message}: last seen {last!r}"
        if last:
            return last
        time.sleep(every)
    raise AssertionError(f"did not happen within {patience} s: {message_now}")


def run(*arguments, check=False, env=None, cwd=None, stdin=None, timeout=PATIENCE):
    """Runs `weir ARGUMENTS`; gives the finished process with stdout and stderr as text."""
    done = subprocess.run(
        [str(PROGRAM), *map(str, arguments)],
        capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1", **(env or {})},
        cwd=cwd, input=stdin, timeout=timeout,
    )
    if check and done.returncode != 0:
        raise AssertionError(
            f"weir {' '.join(map(str, arguments))} ended with {done.returncode}\n"
            f"stdout: {done.stdout}\nstderr: {done.stderr}")
    return done


class Repository:
    """A bare repository and a clone to change it with."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.bare = self.folder / "flows.git"
        self.work = self.folder / "work"
        self.url = f"file://{self.bare}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._git(self.folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        self._git(self.folder, "clone", "-q", str(self.bare), str(self.work))
        self.git("checkout", "-q", "-b", "main")

    @staticmethod
    def _git(cwd, *arguments):
        environment = {
            **os.environ,
            "GIT_AUTHOR_NAME": "Ana Lima", "GIT_AUTHOR_EMAIL": "ana@example.com",
            "GIT_COMMITTER_NAME": "Ana Lima", "GIT_COMMITTER_EMAIL": "ana@example.com",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
        }
        done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def git(self, *arguments):
        return self._git(self.work, *arguments)

    def write(self, path, text):
        target = self.work / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            target.write_bytes(text)
        else:
            target.write_text(text, encoding="utf-8")

    def remove(self, path):
        (self.work / path).unlink()

    def copy(self, source):
        shutil.copytree(source, self.work, dirs_exist_ok=True)

    def commit(self, message, push=True, branch="main"):
        """Commits everything; gives the commit id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        if push:
            self.git("push", "-q", "origin", f"HEAD:{branch}")
        return self.git("rev-parse", "HEAD")


class Weir:
    """One running server."""

    def __init__(self, data, *arguments, env=None, port=None):
        self.data = pathlib.Path(data)
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = [str(a) for a in arguments]
        self.env = env or {}
        self.log_path = self.data.parent / (self.data.name + ".log")
        self.process = None

    def start(self, wait=True):
        self.data.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "up", *self.arguments, "--data", str(self.data),
                 "--listen", f"127.0.0.1:{self.port}"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, "NO_COLOR": "1", **self.env})
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                pytest.fail(f"weir ended with {self.process.returncode}:\n{self.log()}")
            return requests.get(self.url + "/health", timeout=5).status_code == 200
        eventually(ready, "the server answers /health")

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def stop(self, patience=PATIENCE):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=patience)
        return self.process.returncode if self.process else None

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # ---- what tests ask of it ----

    def api(self, method, path, **arguments):
        arguments.setdefault("timeout", PATIENCE)
        return requests.request(method, f"{self.url}/api/v1/main/{path}", **arguments)

    def get(self, path, **arguments):
        answer = self.api("GET", path, **arguments)
        assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def run(self, *arguments, **more):
        return run(*arguments, "--server", self.url, **more)

    def create_flow(self, source):
        answer = self.api("POST", "flows", data=source.encode(), headers={"Content-Type": "application/x-yaml"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def execute(self, namespace, flow, inputs=None, wait=False, **query):
        files = {name: (None, value) for name, value in (inputs or {}).items()} or None
        answer = self.api("POST", f"executions/{namespace}/{flow}", files=files,
                          params={**query, "wait": str(wait).lower()})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def execution(self, execution_id):
        return self.get(f"executions/{execution_id}")

    def ended(self, execution_id, patience=PATIENCE):
        """The execution once it has ended."""
        final = {"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED"}

        def check():
            found = self.execution(execution_id)
            return found if found["state"]["current"] in final else None
        return eventually(check, f"execution {execution_id} ends", patience)

    def executions(self, **query):
        return self.get("executions/search", params={"size": 1000, **query})["results"]

    def logs(self, execution_id):
        return self.get(f"logs/{execution_id}")


@pytest.fixture
def weir_at(tmp_path):
    """Starts servers; all are killed when the test ends. weir_at('name', 'arguments', ...)."""
    started = []

    def start(name="data", *arguments, wait=True, **more):
        server = Weir(tmp_path / name, *arguments, **more)
        started.append(server)
        return server.start(wait)

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def weir(weir_at):
    """A server without a repository."""
    return weir_at()


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


def json_of(done):
    """The JSON that `weir … --output json` printed."""
    return json.loads(done.stdout)
