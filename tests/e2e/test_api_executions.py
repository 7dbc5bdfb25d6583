"""Executions, logs and metrics through the HTTP API: api.md 2.2 to 2.4."""
import json
import threading

import pytest
import requests

from conftest import Weir, eventually

NAMESPACE = "company.team"

GREET = """id: greet
namespace: company.team
labels:
  team: data
inputs:
  - id: name
    type: STRING
  - id: age
    type: INT
    required: false
    min: 0
outputs:
  - id: text
    type: STRING
    value: "{{ outputs.say.value }}"
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "hello {{ inputs.name }}"
  - id: note
    type: io.kestra.plugin.core.log.Log
    message: ["{{ outputs.say.value }}", "second line"]
"""

PAUSE = """id: asking
namespace: company.team
tasks:
  - id: ask
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - id: reason
        type: STRING
  - id: after
    type: io.kestra.plugin.core.debug.Return
    format: "{{ outputs.ask.onResume.reason }}"
"""

UPLOAD = """id: upload
namespace: company.team
inputs:
  - id: data
    type: FILE
  - id: doc
    type: JSON
    required: false
tasks:
  - id: show
    type: io.kestra.plugin.core.debug.Return
    format: "{{ read(inputs.data) }}"
"""

FAIL = """id: fail
namespace: company.team
tasks:
  - id: first
    type: io.kestra.plugin.core.debug.Return
    format: one
  - id: broken
    type: io.kestra.plugin.core.execution.Fail
    errorMessage: no
"""

HOOK = """id: hook
namespace: company.team
triggers:
  - id: in
    type: io.kestra.plugin.core.trigger.Webhook
    key: open-sesame
  - id: waits
    type: io.kestra.plugin.core.trigger.Webhook
    key: wait-for-me
    wait: true
    returnOutputs: true
  - id: picky
    type: io.kestra.plugin.core.trigger.Webhook
    key: picky
    conditions:
      - type: io.kestra.plugin.core.condition.Expression
        expression: "{{ trigger.body.go == 'yes' }}"
outputs:
  - id: seen
    type: STRING
    value: "{{ outputs.say.value }}"
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "{{ trigger.body.a ?? trigger.body }} {{ trigger.parameters.x[0] ?? '' }}"
"""


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    server = Weir(tmp_path_factory.mktemp("executions") / "data").start()
    for source in (GREET, PAUSE, UPLOAD, FAIL, HOOK):
        server.create_flow(source)
    yield server
    server.kill()


def labels_of(execution):
    return {label["key"]: label["value"] for label in execution["labels"]}


def states_of(execution):
    return [h["state"] for h in execution["state"]["histories"]]


def test_a_start_answers_with_the_created_execution(weir):
    made = weir.execute(NAMESPACE, "greet", {"name": "Ada"}, labels=["env:prod", "url:http://x:1"])
    assert made["state"]["current"] == "CREATED"
    assert made["inputs"] == {"name": "Ada", "age": None}
    assert len(made["id"]) >= 20 and made["id"].isalnum()
    assert made["url"].endswith(f"/ui/main/executions/{NAMESPACE}/greet/{made['id']}")
    labels = labels_of(made)
    assert labels["team"] == "data" and labels["env"] == "prod" and labels["url"] == "http://x:1"
    assert labels["system.from"] == "api" and labels["system.correlationId"] == made["id"]
    done = weir.ended(made["id"])
    assert done["state"]["current"] == "SUCCESS"
    assert states_of(done) == ["CREATED", "RUNNING", "SUCCESS"]
    assert done["outputs"] == {"text": "hello Ada"}
    assert "url" not in done


def test_a_start_that_waits_answers_with_the_end(weir):
    done = weir.execute(NAMESPACE, "greet", {"name": "Ada"}, wait=True)
    assert done["state"]["current"] == "SUCCESS"
    assert done["taskRunList"][0]["outputs"] == {"value": "hello Ada"}


def test_many_starts_wait_at_once_without_a_thread_each(weir):
    """More waiting requests than the API has threads; all are answered by one resume each."""
    made = []
    answers = []

    def start():
        answers.append(weir.api("POST", f"executions/{NAMESPACE}/asking", params={"wait": "true"}).json())

    threads = [threading.Thread(target=start) for _ in range(40)]
    for thread in threads:
        thread.start()

    def all_paused():
        found = weir.executions(flowId="asking", state="PAUSED")
        return found if len(found) == 40 else None
    for execution in eventually(all_paused, "40 executions are paused"):
        made.append(execution["id"])
        answer = weir.api("POST", f"executions/{execution['id']}/resume", files={"reason": (None, "go")})
        assert answer.status_code == 204, answer.text
    for thread in threads:
        thread.join(60)
    assert sorted(a["id"] for a in answers) == sorted(made)
    assert {a["state"]["current"] for a in answers} == {"SUCCESS"}


@pytest.mark.parametrize("inputs, fragment", [
    ({}, "Missing required input:name"),
    ({"name": "x", "age": "young"}, "Invalid value for input `age`"),
    ({"name": "x", "age": "-1"}, "it must be more than `0`"),
])
def test_invalid_inputs_are_refused_with_their_name(weir, inputs, fragment):
    files = {k: (None, v) for k, v in inputs.items()} or None
    answer = weir.api("POST", f"executions/{NAMESPACE}/greet", files=files)
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("Invalid entity")
    assert fragment in answer.json()["message"]
    checked = weir.api("POST", f"executions/{NAMESPACE}/greet/validate", files=files).json()
    assert any(i["errors"] for i in checked["inputs"])


def test_the_order_of_checks_is_flow_state_labels_inputs(weir):
    assert weir.api("POST", f"executions/{NAMESPACE}/missing").status_code == 404
    for labels in ("nocolon", "k:", ":v", "system.username:me"):
        answer = weir.api("POST", f"executions/{NAMESPACE}/fail", params={"labels": labels})
        assert answer.status_code == 422, labels


def test_uploads_are_stored_and_come_back(weir):
    content = b"line one\r\nline two \xe2\x82\xac\n" * 10
    for files in ({"data": ("my data.csv", content)}, [("files", ("data", content))]):
        done = weir.api("POST", f"executions/{NAMESPACE}/upload", files=files, params={"wait": "true"}).json()
        assert done["state"]["current"] == "SUCCESS"
        uri = done["inputs"]["data"]
        assert uri.startswith(f"kestra:///company/team/upload/executions/{done['id']}/inputs/data/")
        path = f"executions/{done['id']}/file"
        got = weir.api("GET", path, params={"path": uri})
        assert got.content == content
        assert "attachment" in got.headers["Content-Disposition"]
        assert weir.get(path + "/metas", params={"path": uri}) == {"size": len(content)}
        shown = weir.get(path + "/preview", params={"path": uri, "maxRows": 3})
        assert shown["type"] == "TEXT" and shown["truncated"] is True
        assert shown["content"].count("\n") == 3
    for bad in ("kestra:///etc/passwd", "kestra:///company/team/../../x", "file:///etc/passwd"):
        assert weir.api("GET", path, params={"path": bad}).status_code in (403, 422), bad
    other = weir.execute(NAMESPACE, "greet", {"name": "x"})
    elsewhere = weir.api("GET", f"executions/{other['id']}/file", params={"path": uri}, allow_redirects=False)
    assert elsewhere.status_code == 307
    assert done["id"] in elsewhere.headers["Location"]


def test_a_big_upload_goes_through_the_disk(weir):
    content = bytes(range(256)) * (32 * 1024)
    done = weir.api("POST", f"executions/{NAMESPACE}/upload", files={"data": ("big.bin", content)}).json()
    got = weir.api("GET", f"executions/{done['id']}/file", params={"path": done["inputs"]["data"]})
    assert got.content == content


def test_eval_sees_the_task_run(weir):
    done = weir.execute(NAMESPACE, "greet", {"name": "Ada"}, wait=True)
    run = done["taskRunList"][0]["id"]

    def evaluate(text, suffix=f"/{run}"):
        return weir.api("POST", f"executions/{done['id']}/eval{suffix}", data=text,
                        headers={"Content-Type": "text/plain"}).json()
    assert evaluate("{{ outputs.say.value }}", "") == {"result": "hello Ada"}
    assert evaluate("{{ taskrun.id }}") == {"result": run}
    assert "error" in evaluate("{{ nothing.there }}")
    unknown = weir.api("POST", f"executions/{done['id']}/eval/none", data="x")
    assert unknown.status_code == 404


def events_of(answer):
    """(id, data) of a stream of server-sent events."""
    event = None
    for line in answer.iter_lines(decode_unicode=True):
        if line.startswith("id: "):
            event = line[4:]
        elif line.startswith("data: "):
            yield event, json.loads(line[6:])


def test_following_sends_start_progress_and_end(weir):
    made = weir.execute(NAMESPACE, "asking")
    weir_url = f"{weir.url}/api/v1/main/executions/{made['id']}/follow"
    with requests.get(weir_url, stream=True, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        seen = []
        for event, data in events_of(answer):
            seen.append(event)
            if event == "progress" and data["state"]["current"] == "PAUSED" and seen.count("resumed") == 0:
                seen.append("resumed")
                weir.api("POST", f"executions/{made['id']}/resume", files={"reason": (None, "go")})
            last = (event, data)
    assert seen[0] == "start"
    assert last[0] == "end" and last[1]["state"]["current"] == "SUCCESS"
    with requests.get(weir_url, stream=True, timeout=60) as answer:
        assert [event for event, _ in events_of(answer)] == ["start", "end"]
    assert weir.api("GET", "executions/0000000000000000000000/follow").status_code == 404


def follow_dependencies(weir, execution_id):
    url = f"{weir.url}/api/v1/main/executions/{execution_id}/follow-dependencies"
    with requests.get(url, params={"expandAll": "true"}, stream=True, timeout=60) as answer:
        return [(event, data.get("flowId")) for event, data in events_of(answer)]


def test_executions_that_belong_together_are_followed_to_the_last(weir):
    weir.create_flow(GREET.replace("id: greet", "id: called").replace("type: STRING\n  - id: age",
                                                                      "type: STRING\n    defaults: you\n  - id: age"))
    weir.create_flow("""id: calling
namespace: company.team
tasks:
  - id: call
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: called
    wait: true
""")
    weir.create_flow("""id: hearing
namespace: company.team
triggers:
  - id: heard
    type: io.kestra.plugin.core.trigger.Flow
    conditions:
      - type: io.kestra.plugin.core.condition.ExecutionFlow
        namespace: company.team
        flowId: called
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: heard
""")
    # many, since what is missed is missed only when the last commit falls between watching and reading
    for _ in range(10):
        made = weir.execute(NAMESPACE, "calling", wait=True)
        events = follow_dependencies(weir, made["id"])
        assert events[-1][0] == "end-all"
        for name in ("calling", "called", "hearing"):
            assert ("start", name) in events and ("end", name) in events
    assert weir.api("GET", "executions/none/follow-dependencies").status_code == 404


def test_logs_are_listed_filtered_and_downloaded(weir):
    done = weir.execute(NAMESPACE, "greet", {"name": "Log"}, wait=True)
    lines = weir.logs(done["id"])
    assert [line["message"] for line in lines if line.get("taskId") == "note"] == ["hello Log", "second line"]
    assert all(line["executionId"] == done["id"] and "attemptNumber" in line for line in lines)
    assert weir.get(f"logs/{done['id']}", params={"minLevel": "ERROR"}) == []
    assert weir.api("GET", f"logs/{done['id']}", params={"minLevel": "LOUD"}).status_code == 422
    text = weir.api("GET", f"logs/{done['id']}/download")
    assert "INFO hello Log\n" in text.text
    assert text.headers["Content-Disposition"] == f'attachment; filename="{done["id"]}.log"'
    found = weir.get("logs/search", params={"flowId": "greet", "q": "hello Log"})
    assert found["total"] >= 1 and found["type"] == "OFFSET"
    assert weir.get("logs/unknown-id") == []
    assert weir.api("GET", "logs/unknown-id/download").status_code == 404
    assert weir.api("DELETE", f"logs/{done['id']}").status_code == 200
    assert weir.logs(done["id"]) == []


LEVELS = "id: levels\nnamespace: company.team\ntasks:\n" + "".join(
    f"  - id: {level.lower()}\n    type: io.kestra.plugin.core.log.Log\n    level: {level}\n    message: {level}\n"
    for level in ("DEBUG", "INFO", "WARN", "ERROR"))


def test_lines_to_delete_are_selected(weir):
    weir.create_flow(LEVELS)
    done = weir.execute(NAMESPACE, "levels", wait=True)
    path = f"logs/{done['id']}"

    def messages():
        return [line["message"] for line in weir.logs(done["id"])]

    assert weir.api("DELETE", path, params={"taskId": "debug"}).status_code == 200
    assert messages() == ["INFO", "WARN", "ERROR"]
    assert weir.api("DELETE", path, params={"minLevel": "ERROR"}).status_code == 200
    assert weir.api("DELETE", path, params={"attempt": "7"}).status_code == 200
    assert messages() == ["INFO", "WARN"]
    run = next(r["id"] for r in done["taskRunList"] if r["taskId"] == "info")
    assert weir.api("DELETE", path, params={"taskRunId": run}).status_code == 200
    refused = weir.api("DELETE", path, params={"filters[q][EQUALS]": "WARN"})
    assert refused.status_code == 422 and messages() == ["WARN"]
    # what stayed after its execution goes as well
    assert weir.api("DELETE", f"executions/{done['id']}", params={"deleteLogs": "false"}).status_code == 204
    assert messages() == ["WARN"]
    assert weir.api("DELETE", path).status_code == 200
    assert messages() == []


def test_an_execution_is_deleted_and_counted_once(weir):
    weir.create_flow(GREET.replace("id: greet", "id: gone"))
    ids = [weir.execute(NAMESPACE, "gone", {"name": "x"}, wait=True)["id"] for _ in range(3)]

    def total():
        return weir.get("executions/search", params={"flowId": "gone", "size": 1})["total"]

    assert weir.api("DELETE", "executions/by-ids", json=[ids[0], ids[0]]).json()["count"] == 1
    assert total() == 2
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(
        weir.api("DELETE", f"executions/{ids[1]}").status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes.count(204) == 1 and codes.count(404) == 7
    assert total() == 1
    assert weir.api("POST", "executions/labels/by-ids", json=[]).status_code == 422


def test_an_aggregation_is_one_of_four(weir):
    path = f"metrics/aggregates/{NAMESPACE}/greet/duration"
    assert weir.get(path, params={"aggregation": "MAX"})["groupBy"] == "day"
    assert weir.api("GET", path, params={"aggregation": "median"}).status_code == 422


def test_log_lines_are_followed(weir):
    done = weir.execute(NAMESPACE, "greet", {"name": "Tail"}, wait=True)
    with requests.get(f"{weir.url}/api/v1/main/logs/{done['id']}/follow", stream=True, timeout=60) as answer:
        messages = []
        for event, data in events_of(answer):
            messages.append((event, data.get("message")))
            if data.get("message") == "second line":
                break
    assert messages[0] == ("start", None)
    assert ("progress", "hello Tail") in messages


def test_restart_runs_failed_tasks_again_in_the_same_execution(weir):
    failed = weir.ended(weir.execute(NAMESPACE, "fail")["id"])
    assert failed["state"]["current"] == "FAILED"
    answer = weir.api("POST", f"executions/{failed['id']}/restart")
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == failed["id"]
    assert answer.json()["state"]["current"] == "RESTARTED"

    def again():
        now = weir.execution(failed["id"])
        return now if now["state"]["current"] == "FAILED" and now["metadata"]["attemptNumber"] == 2 else None
    now = eventually(again, "it failed again")
    assert labels_of(now)["system.restarted"] == "true"
    assert len(now["taskRunList"]) == len(failed["taskRunList"])


def test_replay_makes_a_new_execution(weir):
    done = weir.execute(NAMESPACE, "greet", {"name": "Ada"}, wait=True)
    new = weir.api("POST", f"executions/{done['id']}/replay").json()
    assert new["id"] != done["id"] and new["parentId"] == done["id"] and new["originalId"] == done["id"]
    assert labels_of(new)["system.replay"] == "true"
    assert weir.ended(new["id"])["state"]["current"] == "SUCCESS"
    other = weir.api("POST", f"executions/{done['id']}/replay-with-inputs", files={"name": (None, "Eve")}).json()
    assert weir.ended(other["id"])["outputs"] == {"text": "hello Eve"}
    unknown = weir.api("POST", f"executions/{done['id']}/replay", params={"taskRunId": "nothing"})
    assert unknown.status_code == 422


def test_pause_and_resume_ask_for_inputs(weir):
    made = weir.execute(NAMESPACE, "asking")
    eventually(lambda: weir.execution(made["id"])["state"]["current"] == "PAUSED", "paused")
    bad = weir.api("POST", f"executions/{made['id']}/resume")
    assert bad.status_code == 422 and "Missing required input:reason" in bad.json()["message"]
    asked = weir.api("POST", f"executions/{made['id']}/resume/validate", files={"reason": (None, "x")}).json()
    assert asked["inputs"][0]["value"] == "x"
    assert weir.api("POST", f"executions/{made['id']}/resume", files={"reason": (None, "fine")}).status_code == 204
    done = weir.ended(made["id"])
    assert done["taskRunList"][-1]["outputs"] == {"value": "fine"}
    late = weir.api("POST", f"executions/{made['id']}/resume", files={"reason": (None, "x")})
    assert late.status_code == 409


def test_killing_answers_at_once_and_ends_killed(weir):
    made = weir.execute(NAMESPACE, "asking")
    eventually(lambda: weir.execution(made["id"])["state"]["current"] == "PAUSED", "paused")
    assert weir.api("DELETE", f"executions/{made['id']}/kill").status_code == 202
    assert weir.ended(made["id"])["state"]["current"] == "KILLED"
    assert weir.api("DELETE", f"executions/{made['id']}/kill",
                    params={"isOnKillCascade": "false"}).status_code == 409
    newer = weir.execute(NAMESPACE, "asking")
    eventually(lambda: weir.execution(newer["id"])["state"]["current"] == "PAUSED", "paused")
    answer = weir.api("DELETE", f"executions/{newer['id']}/actions/kill")
    assert answer.status_code == 200 and answer.json()["id"] == newer["id"]


def test_labels_replace_and_keep_system_labels(weir):
    done = weir.execute(NAMESPACE, "greet", {"name": "x"}, wait=True, labels="old:1")
    answer = weir.api("POST", f"executions/{done['id']}/labels", json=[{"key": "new", "value": "2"}])
    labels = labels_of(answer.json())
    assert labels["new"] == "2" and "old" not in labels and labels["system.correlationId"] == done["id"]
    assert weir.get("executions/search", params={"labels": "new:2"})["total"] == 1
    for bad in ([{"key": "", "value": "x"}], [{"key": "k", "value": None}], [{"key": "system.x", "value": "y"}]):
        assert weir.api("POST", f"executions/{done['id']}/labels", json=bad).status_code == 422


def test_bulk_calls_do_all_or_nothing(weir):
    ids = [weir.execute(NAMESPACE, "fail")["id"] for _ in range(3)]
    for execution in ids:
        weir.ended(execution)
    mixed = weir.api("POST", "executions/change-status/by-ids", json=[*ids, "unknown-execution-id"],
                     params={"newStatus": "WARNING"})
    assert mixed.status_code == 400
    assert mixed.json()["message"] == "invalid bulk change executions state"
    assert mixed.json()["invalids"] == [{"message": "execution not found", "invalidValue": "unknown-execution-id",
                                         "propertyPath": "execution"}]
    assert {weir.execution(i)["state"]["current"] for i in ids} == {"FAILED"}
    done = weir.api("POST", "executions/change-status/by-ids", json=ids, params={"newStatus": "WARNING"})
    assert done.json() == {"count": 3, "totalItems": 3}
    assert {weir.execution(i)["state"]["current"] for i in ids} == {"WARNING"}
    assert weir.api("DELETE", "executions/by-ids", json=ids).json()["count"] == 3
    assert weir.api("GET", f"executions/{ids[0]}").status_code == 404
    assert weir.api("POST", "executions/restart/by-ids", json=[]).json()["count"] == 0


def test_pages_are_whole_however_many_rows_they_have(weir):
    weir.create_flow(GREET.replace("id: greet", "id: many"))
    made = [weir.execute(NAMESPACE, "many", {"name": str(i)}, wait=True)["id"] for i in range(120)]
    found = weir.get("executions/search", params={"flowId": "many", "size": 110, "sort": "state.startDate:asc"})
    assert [e["id"] for e in found["results"]] == made[:110] and found["total"] == 120
    assert all(len(e["taskRunList"]) == 2 for e in found["results"])
    rest = weir.get("executions/search", params={"flowId": "many", "size": 110, "page": 2,
                                                 "sort": "state.startDate:asc", "taskRuns": "false"})
    assert [e["id"] for e in rest["results"]] == made[110:] and rest["total"] == 120
    assert not any("taskRunList" in e for e in rest["results"])


def test_executions_are_found_by_what_they_are(weir):
    made = weir.execute(NAMESPACE, "greet", {"name": "find"}, wait=True, labels="find:me,too")
    assert weir.get("executions/search", params={"labels": "find:me,too"})["results"][0]["id"] == made["id"]
    assert weir.get("executions/search", params={"filters[state][IN]": "[SUCCESS]", "size": 1})["total"] >= 1
    assert weir.get("executions", params={"namespace": NAMESPACE, "flowId": "greet"})["total"] >= 1
    assert weir.api("GET", "executions").status_code == 400
    latest = weir.api("POST", "executions/latest", json=[{"namespace": NAMESPACE, "id": "greet"}]).json()
    assert latest[0]["flowId"] == "greet" and latest[0]["status"] == "SUCCESS"
    assert weir.get(f"executions/{made['id'][:14]}")["id"] == made["id"]
    assert NAMESPACE in weir.get("executions/namespaces")
    reduced = weir.get(f"executions/{made['id']}/flow")
    assert set(reduced["tasks"][0]) <= {"id", "type", "version"}
    graph = weir.get(f"executions/{made['id']}/graph")
    assert any("taskRun" in node for node in graph["nodes"])


def hook(weir, key, method="POST", **more):
    return requests.request(method, f"{weir.url}/api/v1/executions/webhook/{NAMESPACE}/hook/{key}", timeout=60, **more)


def test_a_webhook_starts_the_flow_with_what_was_sent(weir):
    answer = hook(weir, "open-sesame?x=1&x=2", json={"a": "json"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["state"]["current"] == "CREATED"
    assert body["trigger"]["variables"]["body"] == {"a": "json"}
    assert body["trigger"]["variables"]["parameters"] == {"x": ["1", "2"]}
    assert any(k.lower() == "content-type" for k in body["trigger"]["variables"]["headers"])
    done = weir.ended(body["id"])
    assert done["taskRunList"][0]["outputs"]["value"] == "json 1"
    assert labels_of(done)["system.from"] == "trigger"
    assert hook(weir, "open-sesame", "GET").status_code == 200
    assert hook(weir, "open-sesame", "PUT", data="plain text").status_code == 200


def test_a_webhook_that_waits_answers_with_the_outputs(weir):
    answer = hook(weir, "wait-for-me", json={"a": "now"})
    assert answer.status_code == 200
    assert answer.json() == {"seen": "now "}


def test_webhooks_that_do_not_start_say_so(weir):
    assert hook(weir, "wrong").status_code == 404
    assert hook(weir, "open-sesame/").status_code == 404
    assert hook(weir, "open-sesame/more").status_code == 404
    refused = hook(weir, "picky", json={"go": "no"})
    assert refused.status_code == 409 and refused.text == ""
    assert hook(weir, "picky", json={"go": "yes"}).status_code == 200
    missing = requests.post(f"{weir.url}/api/v1/main/executions/webhook/no/such/key", timeout=10)
    assert missing.status_code == 404 and "Flow not found" in missing.text
