"""Tasks of the core on a running server: what only the whole of store, storage and worker shows."""
import base64

import pytest

NAMESPACE = "company.team"
KEY = base64.b64encode(bytes(range(32))).decode()
TOKEN = "hunter2 & more"


@pytest.fixture
def server(weir_at):
    return weir_at("data", env={
        "WEIR_ENCRYPTION_KEY": KEY,
        "SECRET_TOKEN": base64.b64encode(TOKEN.encode()).decode(),
        "SECRET_ODD": base64.b64encode(b"SUCCESS").decode(),  # a word of weir's own
    })


def run_flow(server, tasks, inputs=None, head=""):
    """Deploys a flow of these tasks and runs it; gives the ended execution."""
    flow = server.create_flow(f"id: tried\nnamespace: {NAMESPACE}\n{head}tasks:\n{tasks}")
    return server.ended(server.execute(NAMESPACE, flow["id"], inputs)["id"])


def outputs(execution, task):
    return [r for r in execution["taskRunList"] if r["taskId"] == task][0]["outputs"]


def test_old_versions_of_keys_are_purged_and_the_latest_stays(server):
    for number in range(5):
        server.api("PUT", f"namespaces/{NAMESPACE}/kv/limit", data=str(number))
    ended = run_flow(server, """
  - id: keep_two
    type: io.kestra.plugin.core.kv.PurgeKV
    namespaces: [company]
    behavior: {type: version, keepAmount: 2}
  - id: by_age
    type: io.kestra.plugin.core.kv.PurgeKV
    namespaces: [company]
    behavior: {type: version, before: "{{ now() }}"}
  - id: nothing
    type: io.kestra.plugin.core.kv.PurgeKV
    namespaces: [company]
    behavior: {type: version, keepAmount: 1}
""")
    assert ended["state"]["current"] == "SUCCESS"
    assert [outputs(ended, t)["size"] for t in ("keep_two", "by_age", "nothing")] == [3, 1, 0]
    entry = server.get(f"namespaces/{NAMESPACE}/kv/limit")
    assert (entry["value"], entry["revision"]) == (4, 5)


def test_a_secret_shows_neither_in_logs_nor_on_disk(server):
    ended = run_flow(server, """
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: ["{{ secret('TOKEN') }}", "{{ inputs.pin | base64encode }}", "{{ inputs.pin | urlencode }}"]
  - id: print
    type: io.kestra.plugin.scripts.shell.Commands
    env: {PIN: "{{ inputs.pin }}"}
    commands: ['echo "$PIN"', 'head -c 1048570 /dev/zero | tr "\\\\0" x; echo "$PIN"']
  - id: fail
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: "not {{ inputs.pin }}"
""", inputs={"pin": "pin/of many words"}, head="inputs:\n  - {id: pin, type: SECRET}\n")
    assert ended["state"]["current"] == "FAILED"
    lines = [entry["message"] for entry in server.logs(ended["id"])]
    assert lines[:4] == ["******"] * 4
    assert lines[4].endswith("x****** … (cut)")
    assert lines[5] == "not ******"
    assert "pin/of" not in str(ended)
    server.stop()
    for path in server.data.rglob("*"):
        if path.is_file():
            assert b"pin/of many" not in path.read_bytes(), path


OUTPUTS_OF_SECRETS = """
  - id: plain
    type: io.kestra.plugin.core.debug.Return
    format: "Bearer {{ secret('TOKEN') }}"
  - id: encoded
    type: io.kestra.plugin.core.output.OutputValues
    values: {list: ["{{ secret('TOKEN') | base64encode }}"], number: 7}
  - id: read
    type: io.kestra.plugin.core.debug.Return
    format: "{{ outputs.plain.value | length }}"
"""


def test_outputs_that_hold_a_secret_are_shown_masked_and_read_whole(server):
    for _ in range(2):  # the second time by a server that never asked for the secret
        if server.process is None or server.process.poll() is not None:
            server.start()
            ended = server.get(f"executions/{ended['id']}")
        else:
            ended = run_flow(server, OUTPUTS_OF_SECRETS)
        assert ended["state"]["current"] == "SUCCESS"
        assert {run["state"]["current"] for run in ended["taskRunList"]} == {"SUCCESS"}
        assert outputs(ended, "plain")["value"] == "Bearer ******"
        assert outputs(ended, "encoded")["values"] == {"list": ["******"], "number": 7}
        assert outputs(ended, "read")["value"] == str(len("Bearer " + TOKEN))
        server.stop()


def test_outputs_are_shown_as_they_are_where_the_setting_says_so(weir_at):
    server = weir_at("data", env={
        "WEIR_SECRETS_MASK_OUTPUTS": "false",
        "SECRET_TOKEN": base64.b64encode(TOKEN.encode()).decode(),
    })
    ended = run_flow(server, OUTPUTS_OF_SECRETS)
    assert outputs(ended, "plain")["value"] == "Bearer " + TOKEN


def test_uris_in_commands_end_where_the_word_ends(server):
    ended = run_flow(server, """
  - id: write
    type: io.kestra.plugin.core.storage.Write
    content: "one two"
    extension: .txt
  - id: read
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - cat {{ outputs.write.uri }}; echo
      - wc -c <{{ outputs.write.uri }}
""")
    assert ended["state"]["current"] == "SUCCESS", server.logs(ended["id"])
    assert [entry["message"].strip() for entry in server.logs(ended["id"])] == ["one two", "7"]
