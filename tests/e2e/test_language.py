# SPDX-License-Identifier: Apache-2.0
"""Sentences of the flow language that are only true with a worker, a store and other flows."""
import pytest

from conftest import Weir, run

NAMESPACE = "company.team"

CHILD = """id: child
namespace: company.team
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: "from below"}
  - {id: file, type: io.kestra.plugin.core.storage.Write, content: "kept", extension: .txt}
"""

TAKES = """id: takes
namespace: company.team
tasks:
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: child
    outputs:
      text: "{{ outputs.say.value }} of {{ flow.id }}"
      file: "{{ read(outputs.file.uri) }}"
  - {id: end, type: io.kestra.plugin.core.debug.Return, format: "{{ outputs.call.outputs.text }}"}
"""

LOGS = """id: logs
namespace: company.team
tasks:
  - id: quiet
    type: io.kestra.plugin.core.log.Log
    message: ["one", "two"]
    logToFile: true
  - id: broken
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: it broke
    logToFile: true
"""

DIRECTORY = """id: directory
namespace: company.team
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: ["a", "b"]
    tasks:
      - id: folder
        type: io.kestra.plugin.core.flow.WorkingDirectory
        tasks:
          - {id: first, type: io.kestra.plugin.core.debug.Return, format: "{{ taskrun.value }}"}
          - id: second
            type: io.kestra.plugin.core.debug.Return
            format: "{{ outputs.first[taskrun.value].value }}"
"""


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    server = Weir(tmp_path_factory.mktemp("language") / "data").start()
    for source in (CHILD, TAKES, LOGS, DIRECTORY):
        server.create_flow(source)
    yield server
    server.kill()


def test_a_subflow_takes_values_out_of_a_flow_without_outputs(weir):
    done = weir.execute(NAMESPACE, "takes", {}, wait=True)
    assert done["state"]["current"] == "SUCCESS"
    assert done["taskRunList"][0]["outputs"]["outputs"] == {"text": "from below of child",
                                                            "file": "kept"}
    assert done["taskRunList"][1]["outputs"] == {"value": "from below of child"}


def test_the_log_of_an_attempt_is_a_file_when_the_task_says_so(weir):
    done = weir.execute(NAMESPACE, "logs", {}, wait=True)
    assert done["state"]["current"] == "FAILED"
    assert weir.api("GET", f"logs/{done['id']}").json() == []
    texts = []
    for made in done["taskRunList"]:
        answer = weir.api("GET", f"executions/{done['id']}/file",
                          params={"path": made["attempts"][0]["logFile"]})
        texts.append([line.split(" ", 1)[1] for line in answer.text.splitlines()])
    assert texts[0] == ["INFO one", "INFO two"]
    assert "ERROR it broke" in texts[1]


def test_tasks_in_a_directory_have_the_value_of_the_directory(weir):
    done = weir.execute(NAMESPACE, "directory", {}, wait=True)
    assert done["state"]["current"] == "SUCCESS"
    inner = [(made["taskId"], made["value"], made["outputs"]["value"])
             for made in done["taskRunList"] if made["taskId"] in ("first", "second")]
    assert inner == [("first", "a", "a"), ("second", "a", "a"),
                     ("first", "b", "b"), ("second", "b", "b")]


def test_a_local_run_tells_of_a_subflow_with_mistakes(tmp_path):
    (tmp_path / "takes.yaml").write_text(TAKES)
    (tmp_path / "child.yaml").write_text(CHILD.replace("storage.Write", "storage.Wrote"))
    done = run("run", str(tmp_path / "takes.yaml"))
    assert "subflow 'company.team/child' is left out because of mistakes in its file" in done.stderr
