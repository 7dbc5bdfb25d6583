"""Repositories far away: over ssh with known hosts, over HTTP with credentials, several at once."""
import base64
import getpass
import json
import os
import pathlib
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import Repository, eventually, free_port, json_of

FLOW = """\
id: {id}
namespace: company.team
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: hello
"""


def settings(folder, sources):
    path = pathlib.Path(folder) / "weir.conf.yaml"
    path.write_text(json.dumps({"sources": sources, "source": {"interval": "PT0.2S"}}))
    return path


def source(server, name):
    found = json_of(server.run("status", "--output", "json"))["sources"]
    return next(s for s in found if s["name"] == name)


def applied(server, name, commit):
    eventually(lambda: source(server, name)["applied"] == commit, f"{name} applies {commit[:7]}")


def failing(server, name):
    return eventually(lambda: source(server, name).get("message"), f"{name} fails")


# ---- ssh ----

@pytest.fixture
def sshd(tmp_path):
    """An sshd of our own with one key; gives port, key and known hosts."""
    program = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        pytest.skip("there is no sshd (package openssh-server)")
    folder = tmp_path / "sshd"
    folder.mkdir()
    for key in ("host", "client", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    port = free_port()
    (folder / "authorized_keys").write_text((folder / "client.pub").read_text())
    (folder / "authorized_keys").chmod(0o600)
    for name, key in (("known_hosts", "host"), ("changed_hosts", "other")):
        kind, body = (folder / f"{key}.pub").read_text().split()[:2]
        (folder / name).write_text(f"[127.0.0.1]:{port} {kind} {body}\n")
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile {folder}/pid\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\n")
    if os.getuid() == 0:
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    log = open(folder / "log", "wb")
    process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    eventually(lambda: b"Server listening" in (folder / "log").read_bytes(), "sshd listens")
    yield {"port": port, "folder": folder, "base": f"ssh://{getpass.getuser()}@127.0.0.1:{port}"}
    process.kill()
    process.wait()
    log.close()


def test_a_repository_is_followed_over_ssh(weir_at, repository, sshd, tmp_path):
    repository.write("flows/a.yml", FLOW.format(id="a"))
    first = repository.commit("One")
    config = settings(tmp_path, [{
        "name": "far", "url": f"{sshd['base']}{repository.bare}",
        "sshKey": str(sshd["folder"] / "client"), "knownHosts": str(sshd["folder"] / "known_hosts"),
    }])
    server = weir_at("data", "--config", config)
    applied(server, "far", first)
    repository.write("flows/b.yml", FLOW.format(id="b"))
    applied(server, "far", repository.commit("Two"))


@pytest.mark.parametrize("key, hosts, words", [
    ("client", "empty_hosts", "host key that is not known"),
    ("client", "changed_hosts", "another SSH host key"),
    ("other", "known_hosts", "refused the SSH credentials"),
])
def test_ssh_refusals_are_told_apart_and_deploy_nothing(weir_at, repository, sshd, tmp_path, key, hosts, words):
    repository.write("flows/a.yml", FLOW.format(id="a"))
    repository.commit("One")
    (sshd["folder"] / "empty_hosts").touch()
    config = settings(tmp_path, [{
        "name": "far", "url": f"{sshd['base']}{repository.bare}",
        "sshKey": str(sshd["folder"] / key), "knownHosts": str(sshd["folder"] / hosts),
    }])
    server = weir_at("data", "--config", config)
    message = failing(server, "far")
    assert words in message and f"127.0.0.1:{sshd['port']}" in message
    assert source(server, "far")["applied"] is None


# ---- HTTP ----

class GitHandler(BaseHTTPRequestHandler):
    """Git's own http-backend; `server.password` of user ana, when set."""
    protocol_version = "HTTP/1.1"

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append(self.path)
        wanted = self.server.password
        given = self.headers.get("Authorization", "")
        if wanted and given != "Basic " + base64.b64encode(f"ana:{wanted}".encode()).decode():
            self.answer(401, [("WWW-Authenticate", 'Basic realm="git"'), ("Content-Type", "text/plain")], b"who are you?\n")
            return
        path, _, query = self.path.partition("?")
        done = subprocess.run(["git", "http-backend"], input=body, stdout=subprocess.PIPE, check=False, env={
            **os.environ, "GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }).stdout
        head, _, rest = done.partition(b"\r\n\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if ": " in line]
        status = next((int(v.split()[0]) for k, v in fields if k == "Status"), 200)
        self.answer(status, [f for f in fields if f[0] != "Status"], rest)

    def answer(self, status, fields, body):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = serve

    def log_message(self, *arguments):
        pass


@pytest.fixture
def git_http():
    """Starts Git servers: git_http(folder, password)."""
    servers = []

    def start(root, password=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), GitHandler)
        server.daemon_threads = True
        server.root, server.password, server.requests = root, password, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()


def test_a_repository_is_followed_over_http_with_a_password(weir_at, repository, git_http, tmp_path):
    repository.write("flows/a.yml", FLOW.format(id="a"))
    first = repository.commit("One")
    remote = git_http(repository.folder, "s3cret-word")
    url = f"http://127.0.0.1:{remote.server_port}/flows.git"
    config = settings(tmp_path, [{"name": "far", "url": url, "user": "ana", "password": "s3cret-word"}])
    server = weir_at("data", "--config", config)
    applied(server, "far", first)
    repository.write("flows/b.yml", FLOW.format(id="b"))
    applied(server, "far", repository.commit("Two"))
    # an unchanged repository costs one request per poll
    before = len(remote.requests)
    eventually(lambda: len(remote.requests) >= before + 5, "five polls")
    assert set(remote.requests[before:]) == {"/flows.git/git-upload-pack"}


def test_wrong_credentials_are_said_and_never_shown(weir_at, repository, git_http, tmp_path):
    repository.write("flows/a.yml", FLOW.format(id="a"))
    repository.commit("One")
    remote = git_http(repository.folder, "s3cret-word")
    url = f"http://ana:wr0ng-word@127.0.0.1:{remote.server_port}/flows.git"
    server = weir_at("data", "--config", settings(tmp_path, [{"name": "far", "url": url}]))
    message = failing(server, "far")
    assert "refused the credentials" in message and "who are you?" in message
    shown = message + server.log() + server.run("status", "--output", "json").stdout
    assert "wr0ng-word" not in shown


def test_several_repositories_keep_apart(weir_at, tmp_path):
    one, two = Repository(tmp_path / "one"), Repository(tmp_path / "two")
    one.write("flows/a.yml", FLOW.format(id="a"))
    two.write("flows/b.yml", FLOW.format(id="b"))
    first, second = one.commit("One"), two.commit("Two")
    config = settings(tmp_path, [{"name": "one", "url": one.url}, {"name": "two", "url": two.url}])
    server = weir_at("data", "--config", config)
    applied(server, "one", first)
    applied(server, "two", second)
    # what belongs to one cannot be taken over by the other
    two.write("flows/a.yml", FLOW.format(id="a").replace("hello", "mine"))
    two.commit("Take it")
    held = eventually(lambda: source(server, "two") if source(server, "two")["state"] == "held" else None,
                      "the commit is held")
    assert "deployed from source 'one'" in json.dumps(held)
    one.remove("flows/a.yml")
    one.write("flows/c.yml", FLOW.format(id="c"))
    applied(server, "one", one.commit("Give it away"))


def test_a_plan_over_http_needs_no_server(repository, git_http):
    from conftest import run
    repository.write("flows/a.yml", FLOW.format(id="a"))
    repository.commit("One")
    repository.write("flows/a.yml", FLOW.format(id="a").replace("hello", "bye"))
    repository.commit("Two", branch="next")
    remote = git_http(repository.folder)
    url = f"http://127.0.0.1:{remote.server_port}/flows.git"
    done = run("plan", "--repo", url, "--base", "main", "--head", "next", "--output", "json")
    assert done.returncode == 2, done.stdout + done.stderr
    plan = json_of(done)
    assert plan["summary"]["change"] == 1
    assert plan["changes"][0]["fields"] == [{"path": "tasks.say.message", "before": "hello", "after": "bye"}]
