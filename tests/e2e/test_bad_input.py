"""Bad input: a clear message that names the place, nothing changed, nothing lost."""
import contextlib
import json
import os
import socket
import subprocess

import pytest

from conftest import Weir, eventually, free_port, json_of, run

GOOD = """\
id: good
namespace: company.team
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: x
"""


def flow_file(tmp_path, text, name="flow.yml"):
    path = tmp_path / name
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text)
    return path


MISTAKES = {
    "invalid YAML": ("id: a\nnamespace: b\ntasks:\n  - id: [x\n", [":5:", "flow.yml"]),
    "a duplicate task id": (GOOD + "  - id: say\n    type: io.kestra.plugin.core.debug.Return\n", ["say", "flow.yml:7"]),
    "an unknown type": (GOOD.replace("debug.Return", "debug.Retrun"), ["io.kestra.plugin.core.debug.Retrun", "did you mean", ":5:"]),
    "an unknown property": (GOOD.replace("format", "fromat"), ["fromat", "did you mean 'format'", "flow.yml:6:5"]),
    "a cyclic Dag": ("""\
id: a
namespace: b
tasks:
  - id: dag
    type: io.kestra.plugin.core.flow.Dag
    tasks:
      - task: { id: x, type: io.kestra.plugin.core.debug.Return }
        dependsOn: [y]
      - task: { id: y, type: io.kestra.plugin.core.debug.Return }
        dependsOn: [x]
""", ["yclic dependency", "flow.yml:7"]),
    "an alias bomb": ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)), ["flow.yml"]),
    "a depth of a million": ("id: a\nnamespace: b\ntasks: " + "[" * 1_000_000, ["flow.yml"]),
    "a binary file": (b"id: a\x00\x01\x02\xff\xfe\n" * 10, ["flow.yml"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_validate_names_the_place_of(name, tmp_path):
    text, expected = MISTAKES[name]
    path = flow_file(tmp_path, text)
    done = run("validate", path.name, cwd=tmp_path, timeout=30)
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stdout + done.stderr
    for part in expected:
        assert part in said, f"{part!r} is missing in:\n{said[:2000]}"


def test_validate_accepts_a_good_file(tmp_path):
    done = run("validate", flow_file(tmp_path, GOOD))
    assert done.returncode == 0, done.stdout + done.stderr


def test_validate_refuses_an_enormous_file_without_reading_it(tmp_path):
    path = tmp_path / "flow.yml"
    with open(path, "wb") as out:
        out.truncate(1 << 30)
    done = run("validate", path, timeout=20)
    assert done.returncode == 1
    assert "flow.yml" in done.stdout + done.stderr


def test_an_unknown_command_gets_a_suggestion():
    done = run("statsu")
    assert done.returncode == 64
    assert "did you mean 'status'" in done.stderr


def test_an_unknown_option_gets_a_suggestion():
    done = run("plan", "--bse", "main")
    assert done.returncode == 64
    assert "did you mean '--base'" in done.stderr


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("up", "--data", tmp_path / "data", "--listen", f"127.0.0.1:{port}", timeout=30)
    assert done.returncode == 1
    assert str(port) in done.stderr and "--listen" in done.stderr


def test_a_second_weir_on_the_same_data_is_refused(weir):
    done = run("up", "--data", weir.data, "--listen", f"127.0.0.1:{free_port()}", timeout=30)
    assert done.returncode == 1
    assert str(weir.process.pid) in done.stderr or "another weir" in done.stderr


def test_a_database_of_a_newer_version_is_refused(weir):
    import sqlite3
    weir.stop()
    databases = sorted(weir.data.glob("**/*.db"))
    assert databases
    with sqlite3.connect(databases[0]) as database:
        number = database.execute("pragma user_version").fetchone()[0]
        database.execute(f"pragma user_version = {number + 1000}")
    done = run("up", "--data", weir.data, "--listen", f"127.0.0.1:{free_port()}", timeout=30)
    assert done.returncode == 1
    assert "newer" in done.stderr


def source_of(server):
    return json_of(server.run("status", "--output", "json"))["sources"][0]


def failing(server, *parts):
    def check():
        text = json.dumps(source_of(server))
        return text if all(part in text for part in parts) else None
    return eventually(check, f"the status says {parts}")


def test_a_missing_branch_is_an_error_and_deletes_nothing(weir_at, repository):
    repository.write("flows/good.yml", GOOD)
    repository.commit("one")
    server = weir_at("data", repository.url, "--branch", "main", "--interval", "PT0.2S")
    eventually(lambda: server.get("flows/company.team/good"), "deployed")
    repository._git(repository.bare, "update-ref", "refs/heads/other", "refs/heads/main")
    repository._git(repository.bare, "symbolic-ref", "HEAD", "refs/heads/other")
    repository._git(repository.bare, "update-ref", "-d", "refs/heads/main")
    failing(server, "main", "error")
    assert server.get("flows/company.team/good")["revision"] == 1


def test_an_empty_repository_is_said_to_be_empty(weir_at, repository):
    server = weir_at("data", repository.url, "--interval", "PT0.2S")
    failing(server, "empty")


def test_an_empty_tree_is_an_error_and_deletes_nothing(weir_at, repository):
    repository.write("flows/good.yml", GOOD)
    repository.commit("one")
    server = weir_at("data", repository.url, "--interval", "PT0.2S")
    eventually(lambda: server.get("flows/company.team/good"), "deployed")
    repository.git("rm", "-q", "-r", ".")
    repository.commit("nothing left")
    failing(server, "empty")
    assert server.get("flows/company.team/good")["revision"] == 1


def test_an_unreachable_remote_is_named_without_credentials(weir_at):
    port = free_port()
    server = weir_at("data", f"http://ana:s3cret@127.0.0.1:{port}/flows.git", "--interval", "PT0.2S")
    text = failing(server, f"127.0.0.1:{port}")
    assert "s3cret" not in text and "s3cret" not in server.log()


def test_links_submodules_and_odd_names_in_a_tree_are_findings(weir_at, repository):
    repository.write("flows/good.yml", GOOD)
    (repository.work / "flows/link.yml").symlink_to("/etc/passwd")
    head = repository.commit("with a link")
    server = weir_at("data", repository.url, "--interval", "PT0.2S")

    def seen():
        source = source_of(server)
        return source if "link.yml" in json.dumps(source) or source["applied"] == head else None
    eventually(seen, "the link is dealt with")
    assert "root:" not in json.dumps(server.get("flows/search", params={"size": 100}))


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path):
    """A small file system of its own; needs root for the mount."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    home = tmp_path / "small"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", home], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this machine does not allow a tmpfs mount")
    server = Weir(home / "data")
    try:
        server.start()
        server.create_flow(GOOD)
        filler = home / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as out:
            while True:
                out.write(b"x" * 4096)
        codes = {server.api("POST", "executions/company.team/good").status_code for _ in range(200)}
        assert codes - {200}, "some requests must be refused"
        filler.unlink()
        eventually(lambda: server.api("POST", "executions/company.team/good").status_code == 200, "it recovers")
        text = server.log()
        assert "full" in text or "No space" in text or "space" in text, text[-2000:]
    finally:
        server.kill()
        subprocess.run(["umount", "-l", home], check=False)
