"""Flows through the HTTP API: api.md 2.1, 1.1 to 1.9."""
import io
import zipfile

import pytest
import requests

from conftest import Weir, eventually

NAMESPACE = "company.team"


def flow(flow_id, extra="", namespace=NAMESPACE):
    return (f"# keep me\nid: {flow_id}\nnamespace: {namespace}\n{extra}"
            f"tasks:\n  - id: say\n    type: io.kestra.plugin.core.log.Log\n    message: hi\n")


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    server = Weir(tmp_path_factory.mktemp("flows") / "data").start()
    yield server
    server.kill()


def post(weir, source, path="flows", **more):
    return weir.api("POST", path, data=source.encode(), headers={"Content-Type": "application/x-yaml"}, **more)


def put(weir, flow_id, source):
    return weir.api("PUT", f"flows/{NAMESPACE}/{flow_id}", data=source.encode(),
                    headers={"Content-Type": "application/x-yaml"})


def test_source_comes_back_byte_for_byte_and_revisions_count_changes(weir):
    source = flow("verbatim") + "\n\n# the end, without a line end"
    made = post(weir, source)
    assert made.status_code == 200, made.text
    assert made.json()["source"] == source
    assert made.json()["revision"] == 1
    assert made.json()["tenantId"] == "main"
    assert made.json()["disabled"] is False and made.json()["deleted"] is False

    same = put(weir, "verbatim", source)
    assert same.json()["revision"] == 1
    changed = put(weir, "verbatim", source.replace("hi", "hello"))
    assert changed.json()["revision"] == 2
    assert weir.get(f"flows/{NAMESPACE}/verbatim", params={"source": "true", "revision": 1})["source"] == source
    assert "source" not in weir.get(f"flows/{NAMESPACE}/verbatim")

    assert weir.api("DELETE", f"flows/{NAMESPACE}/verbatim").status_code == 204
    assert weir.api("GET", f"flows/{NAMESPACE}/verbatim").status_code == 404
    assert weir.get(f"flows/{NAMESPACE}/verbatim", params={"allowDeleted": "true"})["deleted"] is True
    assert post(weir, source).json()["revision"] == 4
    assert [r["revision"] for r in weir.get(f"flows/{NAMESPACE}/verbatim/revisions")] == [1, 2, 4]


def test_the_same_id_twice_is_refused_with_the_path(weir):
    assert post(weir, flow("twice")).status_code == 200
    again = post(weir, flow("twice"))
    assert again.status_code == 422
    assert again.json()["message"] == "Invalid entity: flow.id: Flow id already exists"
    assert again.json()["_embedded"]["errors"][0]["path"] == "flow.id"
    assert again.json()["_links"]["self"]["href"] == "/api/v1/main/flows"


def test_two_creates_at_once_make_one_flow(weir):
    import concurrent.futures
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: post(weir, flow("race")).status_code, range(8)))
    assert sorted(answers) == [200] + [422] * 7


def test_updates_keep_id_and_namespace(weir):
    assert put(weir, "absent", flow("absent")).status_code == 404
    assert post(weir, flow("fixed")).status_code == 200
    other = put(weir, "fixed", flow("moved", namespace="other.place"))
    assert other.status_code == 422
    assert {e["path"] for e in other.json()["_embedded"]["errors"]} == {"flow.id", "flow.namespace"}


@pytest.mark.parametrize("source, fragment", [
    ("id: [", "Illegal flow source"),
    (flow("bad", "unknownThing: 1\n"), 'Unrecognized field "unknownThing"'),
    (flow("bad").replace("log.Log", "log.Nothing"), "Invalid type: io.kestra.plugin.core.log.Nothing"),
    ("id: empty\nnamespace: a\n", "tasks"),
])
def test_invalid_flows_are_refused_with_their_constraint(weir, source, fragment):
    answer = post(weir, source)
    assert answer.status_code == 422, answer.text
    assert answer.json()["message"].startswith("Invalid entity")
    assert fragment in answer.json()["message"]
    validated = post(weir, source, "flows/validate").json()
    assert fragment in validated[0]["constraints"]
    assert "warnings" not in validated[0]


def test_validation_answers_for_each_document(weir):
    both = flow("first") + "---\n" + flow("second", "unknownThing: 1\n") + "\n---\n\n"
    answer = post(weir, both, "flows/validate").json()
    assert [a["index"] for a in answer] == [0, 1]
    assert answer[0] == {"index": 0, "namespace": NAMESPACE, "flow": "first", "outdated": False,
                         "deprecationPaths": [], "warnings": [], "infos": []}
    assert "constraints" in answer[1]
    assert len(post(weir, "", "flows/validate").json()) == 1
    files = [("flows", ("a.yml", flow("first"))), ("flows", ("b.yml", "id: ["))]
    named = weir.api("POST", "flows/validate", files=files).json()
    assert [a["filename"] for a in named] == ["a.yml", "b.yml"]


def test_json_flows_are_stored_as_yaml(weir):
    body = {"id": "from-json", "namespace": NAMESPACE, "labels": {"team": "data"},
            "tasks": [{"id": "say", "type": "io.kestra.plugin.core.log.Log", "message": "hi: there"}]}
    made = weir.api("POST", "flows", json=body)
    assert made.status_code == 200, made.text
    assert "source" not in made.json()
    assert made.json()["labels"] == [{"key": "team", "value": "data"}]
    stored = weir.get(f"flows/{NAMESPACE}/from-json", params={"source": "true"})
    assert "id: from-json" in stored["source"]
    assert stored["tasks"][0]["message"] == "hi: there"


def test_a_path_without_tenant_is_the_same(weir):
    post(weir, flow("tenantless"))
    plain = requests.get(f"{weir.url}/api/v1/flows/{NAMESPACE}/tenantless", timeout=10)
    assert plain.status_code == 200
    wrong = requests.get(f"{weir.url}/api/v1/elsewhere/flows/search", timeout=10)
    assert wrong.status_code == 400
    assert "main" in wrong.json()["message"]
    missing = requests.get(f"{weir.url}/api/v1/flows/{NAMESPACE}/nothing?x=1", timeout=10)
    assert missing.json()["_links"]["self"]["href"] == f"/api/v1/main/flows/{NAMESPACE}/nothing?x=1"
    assert requests.patch(f"{weir.url}/api/v1/main/flows/{NAMESPACE}/tenantless", timeout=10).status_code == 405


def test_searches_filter_sort_and_page(weir):
    for name in ("s1", "s2", "s3"):
        post(weir, flow(name, "labels:\n  team: blue\n", namespace="search.deep"))
    post(weir, flow("s4", namespace="searching"))
    found = weir.get("flows/search", params={"namespace": "search", "size": 2, "sort": "id:desc"})
    assert found["total"] == 3
    assert [f["id"] for f in found["results"]] == ["s3", "s2"]
    rest = weir.get("flows/search", params={"namespace": "search", "size": 2, "sort": "id:desc", "page": 2})
    assert [f["id"] for f in rest["results"]] == ["s1"]
    beyond = weir.get("flows/search", params={"namespace": "search", "page": 9})
    assert beyond == {"results": [], "total": 3}
    labelled = weir.get("flows/search", params={"filters[labels][EQUALS][team]": "blue"})
    assert labelled["total"] == 3
    assert weir.api("GET", "flows/search", params={"page": 0}).status_code == 422
    assert weir.api("GET", "flows/search", params={"filters[triggerId][EQUALS]": "x"}).status_code == 400
    source = weir.get("flows/source", params={"q": "keep me", "namespace": "search"})
    assert source["results"][0]["fragments"] == ["# [mark]keep me[/mark]"]
    assert "search.deep" in weir.get("flows/distinct-namespaces")


def test_a_namespace_is_replaced_as_a_whole_or_not_at_all(weir):
    namespace = "whole.one"
    first = flow("a", namespace=namespace) + "---\n" + flow("b", namespace=namespace)
    answer = post(weir, first, f"flows/{namespace}")
    assert [f["id"] for f in answer.json()] == ["a", "b"]
    second = flow("b", namespace=namespace).replace("hi", "ho") + "---\n" + flow("c", namespace=namespace)
    answer = post(weir, second, f"flows/{namespace}").json()
    assert [(f["id"], f["deleted"], f["revision"]) for f in answer] == \
        [("a", True, 2), ("b", False, 2), ("c", False, 1)]
    bad = post(weir, flow("d", namespace=namespace) + "---\nid: [", f"flows/{namespace}")
    assert bad.status_code == 422
    assert sorted(f["id"] for f in weir.get(f"flows/{namespace}")) == ["b", "c"]
    foreign = post(weir, flow("e", namespace="another"), f"flows/{namespace}")
    assert foreign.status_code == 422
    assert foreign.json()["_embedded"]["errors"][0]["path"] == "flow.namespace"
    kept = post(weir, flow("f", namespace=namespace), f"flows/{namespace}", params={"delete": "false"})
    assert [f["id"] for f in kept.json()] == ["f"]
    assert len(weir.get(f"flows/{namespace}")) == 3
    assert [f["deleted"] for f in post(weir, "", f"flows/{namespace}").json()] == [True] * 3


def test_disabling_changes_one_line_of_the_source(weir):
    source = flow("switch")
    post(weir, source)
    ids = [{"namespace": NAMESPACE, "id": "switch"}]
    assert weir.api("POST", "flows/disable/by-ids", json=ids).json() == {"count": 1, "totalItems": 1}
    assert weir.api("POST", "flows/disable/by-ids", json=ids).json()["count"] == 0
    stored = weir.get(f"flows/{NAMESPACE}/switch", params={"source": "true"})
    assert stored["disabled"] is True
    assert stored["source"] == source + "disabled: true\n"
    assert weir.api("POST", f"executions/{NAMESPACE}/switch").status_code == 409
    assert weir.api("POST", "flows/enable/by-query", params={"namespace": NAMESPACE}).json()["count"] == 1
    assert weir.get(f"flows/{NAMESPACE}/switch", params={"source": "true"})["source"] == \
        source + "disabled: false\n"
    assert weir.api("POST", "flows/disable/by-ids", json=[{"namespace": "no", "id": "no"}]).status_code == 404


def test_export_and_import_go_round(weir):
    post(weir, flow("x1", namespace="round.trip"))
    post(weir, flow("x2", namespace="round.trip"))
    answer = weir.api("GET", "flows/export/by-query", params={"namespace": "round.trip"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="flows.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert sorted(archive.namelist()) == ["round.trip-x1.yml", "round.trip-x2.yml"]
    assert archive.read("round.trip-x1.yml").decode() == flow("x1", namespace="round.trip")
    assert weir.api("DELETE", "flows/delete/by-query", params={"namespace": "round.trip"}).json()["count"] == 2
    again = weir.api("POST", "flows/import", files={"fileUpload": ("flows.zip", answer.content)})
    assert again.json() == []
    assert len(weir.get("flows/round.trip")) == 2
    mixed = flow("x3", namespace="round.trip") + "---\nid: [\n"
    failed = weir.api("POST", "flows/import", files={"fileUpload": ("two.yml", mixed)})
    assert failed.status_code == 200 and len(failed.json()) == 1
    strict = weir.api("POST", "flows/import", files={"fileUpload": ("two.yml", mixed)},
                      params={"failOnError": "true"})
    assert strict.status_code == 422
    csv = weir.api("GET", "flows/export/by-query/csv", params={"namespace": "round.trip"})
    assert csv.text.splitlines()[0].startswith("id,namespace,revision")


def test_graph_has_the_reference_counts(weir):
    task = "  - id: {0}\n    type: io.kestra.plugin.core.log.Log\n    message: x\n"
    three = "id: g\nnamespace: g\ntasks:\n" + "".join(task.format(i) for i in "abc")
    graph = post(weir, three, "flows/graph").json()
    assert (len(graph["nodes"]), len(graph["edges"]), len(graph["clusters"])) == (5, 4, 0)
    one = "id: g\nnamespace: g\ntasks:\n" + task.format("a") + \
        "triggers:\n  - id: t\n    type: io.kestra.plugin.core.trigger.Schedule\n    cron: '0 0 1 1 *'\n"
    graph = post(weir, one, "flows/graph").json()
    assert (len(graph["nodes"]), len(graph["edges"]), len(graph["clusters"])) == (6, 5, 1)
    inner = "".join(task.format(i) for i in "abcdef").replace("  - id", "      - id").replace("    type", "        type") \
        .replace("    message", "        message")
    parallel = "id: g\nnamespace: g\ntasks:\n  - id: par\n    type: io.kestra.plugin.core.flow.Parallel\n    tasks:\n" \
        + inner + task.format("last")
    graph = post(weir, parallel, "flows/graph").json()
    assert (len(graph["nodes"]), len(graph["edges"]), len(graph["clusters"])) == (12, 16, 1)


def test_dependencies_show_callers_and_called(weir):
    call = ("id: caller\nnamespace: dep\ntasks:\n  - id: call\n    type: io.kestra.plugin.core.flow.Subflow\n"
            "    namespace: dep\n    flowId: called\n")
    post(weir, flow("called", namespace="dep"))
    post(weir, call)
    graph = weir.get("flows/dep/called/dependencies")
    assert {n["uid"] for n in graph["nodes"]} == {"main_dep_called", "main_dep_caller"}
    assert graph["edges"] == [{"source": "main_dep_caller", "target": "main_dep_called", "relation": "FLOW_TASK"}]
    assert weir.get("flows/dep/called/dependencies", params={"destinationOnly": "true"})["edges"] == []
    warned = post(weir, call.replace("flowId: called", "flowId: missing"), "flows/validate").json()
    assert any("missing" in w for w in warned[0]["warnings"])


def test_types_under_former_names_are_reported(weir):
    old = flow("old", namespace="dated").replace("io.kestra.plugin.core.log.Log", "io.kestra.core.tasks.log.Log")
    assert post(weir, old).status_code == 200
    assert weir.get("flows/deprecated", params={"namespace": "dated"}) == [
        {"namespace": "dated", "flowId": "old", "revision": 1, "deprecatedTasks": [
            {"taskId": "say", "taskType": "io.kestra.core.tasks.log.Log",
             "replacement": "io.kestra.plugin.core.log.Log"}]}]


def test_slots_in_use_are_listed_and_follow_the_executions(weir):
    held = ("id: held\nnamespace: slots\nconcurrency:\n  limit: 1\ntasks:\n"
            "  - id: wait\n    type: io.kestra.plugin.core.flow.Pause\n")
    assert post(weir, held).status_code == 200
    weir.execute("slots", "held")
    row = {"tenantId": "main", "namespace": "slots", "flowId": "held", "running": 1}
    eventually(lambda: weir.get("concurrency-limit/search") == {"results": [row], "total": 1}, "one slot is held")
    assert weir.api("PUT", "concurrency-limit/slots/held", json=row).json() == row
    refused = weir.api("PUT", "concurrency-limit/slots/held", json={**row, "running": 0})
    assert refused.status_code == 422 and "cannot be set" in refused.json()["message"]
    assert weir.api("PUT", "concurrency-limit/slots/none", json=row).status_code == 404


def test_what_is_named_twice_is_meant_once(weir):
    post(weir, flow("once", namespace="twice"))
    both = [{"namespace": "twice", "id": "once"}] * 2
    assert weir.api("POST", "flows/disable/by-ids", json=both).json()["count"] == 1
    assert len(zipfile.ZipFile(io.BytesIO(
        weir.api("POST", "flows/export/by-ids", json=both).content)).namelist()) == 1
    assert weir.api("DELETE", "flows/delete/by-ids", json=both).json()["count"] == 1
    malformed = weir.api("POST", "flows/enable/by-ids", json=["once"])
    assert malformed.status_code == 422 and "namespace and id" in malformed.json()["message"]


def test_revisions_are_forgotten_except_the_latest(weir):
    for text in ("hi", "ho", "hu"):
        source = flow("forgotten", namespace="revisions").replace("hi", text)
        if post(weir, source).status_code == 422:
            weir.api("PUT", "flows/revisions/forgotten", data=source.encode(),
                     headers={"Content-Type": "application/x-yaml"})
    path = "flows/revisions/forgotten/revisions"
    assert weir.api("DELETE", path, params={"revisions": "3"}).status_code == 409
    assert weir.api("DELETE", path, params={"revisions": ["1", "2"]}).status_code == 204
    assert [f["revision"] for f in weir.get(path)] == [3]
    assert weir.api("DELETE", path, params={"revisions": "1"}).status_code == 404


@pytest.mark.parametrize("change, message", [
    ({"tasks": [{"id": "a", "type": "no.such.Type"}]}, "Invalid type: no.such.Type"),
    ({"tasks": "none"}, "Invalid json mapping: "),
    ({"tasks": [{"id": "a", "type": "io.kestra.plugin.core.log.Log", "message": "m", "other": 1}]},
     'Invalid json mapping: Unrecognized field "other"'),
    ({"tasks": []}, "Invalid entity: tasks: must not be empty"),
])
def test_a_json_flow_that_does_not_fit_says_how(weir, change, message):
    answer = weir.api("POST", "flows", json={"id": "fit", "namespace": NAMESPACE, **change})
    assert answer.status_code == 422 and answer.json()["message"].startswith(message)
    assert answer.json()["_embedded"]["errors"][0]["path"].startswith("tasks")


def test_a_search_in_sources_marks_what_it_found(weir):
    post(weir, flow("marked", "description: Find me, find <me>\n", namespace="marks"))
    found = weir.get("flows/source", params={"q": "FIND"})["results"]
    assert [r["fragments"] for r in found if r["model"]["id"] == "marked"] == [
        ["description: [mark]Find[/mark] me, [mark]find[/mark] <me>"]]


def test_a_subflow_named_by_an_expression_cannot_be_expanded(weir):
    call = ("id: dynamic\nnamespace: dep\ntasks:\n  - id: call\n    type: io.kestra.plugin.core.flow.Subflow\n"
            "    namespace: dep\n    flowId: '{{ inputs.which }}'\n")
    assert post(weir, call).status_code == 200
    assert weir.get("flows/dep/dynamic/graph")["nodes"]
    answer = weir.api("GET", "flows/dep/dynamic/graph", params={"subflows": "root.call"})
    assert answer.status_code == 422 and "'call'" in answer.json()["message"]


def test_usage_counts_types(weir):
    post(weir, flow("used", namespace="usage"))
    usage = weir.get("usages/all")
    assert usage["flows"]["count"] >= 1 and usage["flows"]["namespacesCount"] >= 1
    assert usage["flows"]["taskTypeCount"]["io.kestra.plugin.core.log.Log"] >= 1
    assert {"triggerTypeCount", "taskRunnerTypeCount"} <= set(usage["flows"])


def test_refusals_are_json_in_utf8(weir):
    for target, status in (("/api/v1/main/flows/a/b%00", 400), ("/api/v1/main/flows/%ff/b", 404),
                           ("/api/v1/main/flows/search?filters[namespace][REGEX]=(", 422)):
        answer = requests.get(weir.url + target, timeout=10)
        assert answer.status_code == status
        answer.content.decode("utf-8", "strict")
        assert answer.json()["message"] and answer.json()["_links"]["self"]["href"].startswith("/api/v1/main/")
