"""Namespaces, files, key-value entries, triggers, plugins, credentials: api.md 1.3, 2.5 to 2.16."""
import io
import re
import zipfile

import pytest
import requests

from conftest import Weir, eventually

NAMESPACE = "company.team"

SCHEDULED = """id: scheduled
namespace: company.team
triggers:
  - id: yearly
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 0 1 1 *"
  - id: daily
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 0 * * *"
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "{{ trigger.date }}"
"""


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    server = Weir(tmp_path_factory.mktemp("misc") / "data",
                  env={"SECRET_TOKEN": "dG9rZW4=", "SECRET_WORD": "d29yZA=="}).start()
    server.create_flow(SCHEDULED)
    yield server
    server.kill()


# ---- namespace files ----

def upload(weir, path, content, name="file.txt", namespace=NAMESPACE):
    answer = weir.api("POST", f"namespaces/{namespace}/files", params={"path": path},
                      files={"fileContent": (name, content)})
    return answer


def names(weir, path=None, namespace=NAMESPACE):
    found = weir.get(f"namespaces/{namespace}/files/directory", params={"path": path} if path else None)
    return [f["fileName"] for f in found]


def test_files_are_written_moved_listed_and_deleted(weir):
    answer = upload(weir, "queries/orders.sql", b"select 1\r\n")
    assert answer.status_code == 200 and answer.text == ""
    upload(weir, "/queries/deep/more.sql", b"x")
    assert weir.api("GET", f"namespaces/{NAMESPACE}/files", params={"path": "queries/orders.sql"}).content == \
        b"select 1\r\n"
    assert names(weir) == ["queries"]
    assert names(weir, "/queries") == ["deep", "orders.sql"]
    stats = weir.get(f"namespaces/{NAMESPACE}/files/stats", params={"path": "/queries/orders.sql"})
    assert stats["type"] == "File" and stats["size"] == 10 and stats["fileName"] == "orders.sql"
    assert weir.get(f"namespaces/{NAMESPACE}/files/search", params={"q": "more"}) == ["/queries/deep/more.sql"]
    moved = weir.api("PUT", f"namespaces/{NAMESPACE}/files", params={"from": "/queries", "to": "/sql"})
    assert moved.status_code == 200
    assert names(weir) == ["sql"]
    assert weir.api("GET", f"namespaces/{NAMESPACE}/files", params={"path": "/sql/deep/more.sql"}).content == b"x"
    # what becomes empty goes as well
    assert weir.api("DELETE", f"namespaces/{NAMESPACE}/files", params={"path": "/sql/deep/more.sql"}).status_code == 200
    assert names(weir, "/sql") == ["orders.sql"]
    assert weir.api("DELETE", f"namespaces/{NAMESPACE}/files", params={"path": "/sql"}).status_code == 200
    assert names(weir) == []
    assert weir.api("DELETE", f"namespaces/{NAMESPACE}/files", params={"path": "/sql"}).status_code == 200
    assert weir.api("GET", f"namespaces/{NAMESPACE}/files", params={"path": "/sql"}).status_code == 404


def test_files_have_revisions(weir):
    upload(weir, "/revised.txt", b"one", namespace="files.rev")
    upload(weir, "/revised.txt", b"two", namespace="files.rev")
    path = {"path": "/revised.txt"}
    assert weir.get("namespaces/files.rev/files/revisions", params=path) == [{"revision": 1}, {"revision": 2}]
    old = weir.api("GET", "namespaces/files.rev/files", params={**path, "revision": 1})
    assert old.content == b"one" and old.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", ["../secret", "/a/../../b", "a/..", "/_flows", "/" + "x" * 256])
def test_paths_that_leave_or_belong_elsewhere_are_refused(weir, path):
    assert upload(weir, path, b"x").status_code in (403, 422)
    assert weir.api("GET", f"namespaces/{NAMESPACE}/files", params={"path": path}).status_code in (403, 404, 422)


def test_archives_are_unpacked_and_exported(weir):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("a/one.txt", "1")
        out.writestr("two.txt", "2")
    assert upload(weir, "/ignored", archive.getvalue(), "all.ZIP", "files.zip").status_code == 200
    assert sorted(weir.get("namespaces/files.zip/files/search", params={"q": ""})) == ["/a/one.txt", "/two.txt"]
    exported = zipfile.ZipFile(io.BytesIO(weir.api("GET", "namespaces/files.zip/files/export").content))
    assert sorted(exported.namelist()) == ["a/one.txt", "two.txt"]
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as out:
        out.writestr("../../evil.txt", "x")
    assert upload(weir, "/x", evil.getvalue(), "evil.zip", "files.zip").status_code == 422
    assert len(weir.get("namespaces/files.zip/files/search", params={"q": ""})) == 2


def archive(*entries):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, content in entries:
            file.writestr(name, content)
    return packed.getvalue()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_is_unpacked_as_a_whole_or_not_at_all(weir):
    where = "archives"
    twice = archive(("a.txt", "1"), ("a.txt", "2"), ("d/é ü.txt", "3"))
    assert upload(weir, "/", twice, "twice.zip", namespace=where).status_code == 200
    assert weir.api("GET", f"namespaces/{where}/files", params={"path": "/a.txt"}).text == "2"
    exported = weir.api("GET", f"namespaces/{where}/files/export").content
    assert zipfile.ZipFile(io.BytesIO(exported)).namelist() == ["a.txt", "d/é ü.txt"]
    both = archive(("b.txt", "1"), ("b.txt/c", "2"))
    refused = upload(weir, "/", both, "both.zip", namespace=where)
    assert refused.status_code == 422 and "'/b.txt' is a file" in refused.json()["message"]
    assert names(weir, namespace=where) == ["a.txt", "d"]


def test_nothing_goes_below_a_file(weir):
    where = "below"
    assert upload(weir, "/a.txt", "x", namespace=where).status_code == 200
    assert upload(weir, "/a.txt/b", "x", namespace=where).status_code == 422
    for method, path, query in (("POST", "files/directory", {"path": "/a.txt/b"}),
                                ("POST", "files/directory", {"path": "/a.txt"}),
                                ("PUT", "files", {"from": "/a.txt", "to": "/a.txt/b"})):
        assert weir.api(method, f"namespaces/{where}/{path}", params=query).status_code == 422
    assert names(weir, namespace=where) == ["a.txt"]


def test_a_file_below_flows_is_a_flow(weir):
    source = "id: by-file\nnamespace: other\ntasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    message: x\n"
    assert upload(weir, "/_flows/by-file.yml", source.encode(), namespace="files.flow").status_code == 200
    assert weir.get("flows/files.flow/by-file")["namespace"] == "files.flow"
    assert upload(weir, "/_flows/a/b.yml", source.encode(), namespace="files.flow").status_code == 422


# ---- key-value entries ----

def test_entries_are_typed_by_their_text(weir):
    base = f"namespaces/{NAMESPACE}/kv"
    for body, kind, value in ((b'{"a": [1, null]}', "JSON", {"a": [1, None]}), (b"1.0", "NUMBER", 1.0),
                              (b"true", "BOOLEAN", True), (b"2021-09-01", "DATE", "2021-09-01"),
                              (b"P3DT3H2M1S", "DURATION", "PT75H2M1S"), (b"hello world", "STRING", "hello world"),
                              (b'"123"', "STRING", "123")):
        assert weir.api("PUT", f"{base}/typed", data=body).status_code == 200
        found = weir.get(f"{base}/typed")
        assert (found["type"], found["value"]) == (kind, value)
    assert found["revision"] == 7


@pytest.mark.parametrize("body, value", [
    ('"two\nlines"', "two\nlines"),
    ('"say \\"hi\\"\nthere"', 'say "hi"\nthere'),
    ('"C:\\data"', "C:\\data"),
    ('"a"b"', '"a"b"'),
])
def test_loosely_quoted_texts_are_read_as_meant(weir, body, value):
    path = f"namespaces/{NAMESPACE}/kv/quoted"
    assert weir.api("PUT", path, data=body.encode()).status_code == 200
    stored = weir.get(path)
    assert (stored["type"], stored["value"]) == ("STRING", value)


def test_entries_expire_and_are_deleted(weir):
    base = f"namespaces/{NAMESPACE}/kv"
    assert weir.api("PUT", f"{base}/short", data="x", headers={"ttl": "PT0.05S", "description": "brief"}).status_code == 200
    eventually(lambda: weir.api("GET", f"{base}/short").status_code == 410, "the entry expires")
    assert "short" not in [e["key"] for e in weir.get(base)]
    assert weir.api("PUT", f"{base}/long", data="x", params={"ttl": "PT1H", "description": "text"}).status_code == 200
    listed = {e["key"]: e for e in weir.get(base)}
    assert listed["long"]["description"] == "text" and "expirationDate" in listed["long"]
    assert weir.api("DELETE", f"{base}/long").json() is True
    assert weir.api("DELETE", f"{base}/long").json() is False
    missing = weir.api("GET", f"{base}/long")
    assert missing.status_code == 404
    assert missing.json()["message"] == f"Not Found: No value found for key 'long' in namespace '{NAMESPACE}'"
    for method in ("GET", "PUT", "DELETE"):
        assert weir.api(method, f"{base}/-bad-", data="x").status_code == 422
    assert weir.api("PUT", f"{base}/x", data="x", params={"ttl": "P1M"}).status_code == 422
    weir.api("PUT", "namespaces/company/kv/parent", data="p")
    assert [e["key"] for e in weir.get(f"{base}/inheritance")] == ["parent"]
    assert weir.api("GET", f"{base}/parent").status_code == 404
    gone = weir.api("DELETE", "namespaces/company/kv", json={"keys": ["parent", "none", "parent"]})
    assert gone.json() == {"keys": ["parent"]}


# ---- namespaces ----

def test_namespaces_exist_through_their_flows(weir):
    assert weir.api("PUT", "namespaces/only.keys/kv/k", data="1").status_code == 200
    assert weir.get("namespaces/search", params={"q": "only"})["total"] == 0
    found = weir.get("namespaces/search", params={"size": 100})
    ids = [n["id"] for n in found["results"]]
    assert {"company", "company.team", "system"} <= set(ids) and ids == sorted(ids)
    existing = weir.get("namespaces/search", params={"existing": "true", "q": "company"})
    assert [n["id"] for n in existing["results"]] == ["company.team"]
    assert weir.get("namespaces/search", params={"page": 99})["total"] == 0
    assert weir.get("namespaces/never.seen")["id"] == "never.seen"
    assert weir.get(f"namespaces/{NAMESPACE}/secrets")["readOnly"] is True
    assert weir.api("PUT", f"namespaces/{NAMESPACE}/secrets/K", json={}).status_code == 501


# ---- triggers ----

def trigger(name):
    return {"namespace": NAMESPACE, "flowId": "scheduled", "triggerId": name}


def state_of(weir, name):
    found = weir.get(f"triggers/{NAMESPACE}/scheduled")["results"]
    return next(t for t in found if t["triggerId"] == name)


def test_a_trigger_to_change_is_named_and_switched_by_a_boolean(weir):
    assert weir.api("PUT", "triggers", json={"disabled": True}).status_code == 422
    assert weir.api("PUT", "triggers", json=[]).status_code == 422
    answer = weir.api("PUT", "triggers", json={**trigger("daily"), "disabled": "yes"})
    assert answer.status_code == 422 and "boolean" in answer.json()["message"]
    unknown = weir.api("GET", "triggers/search", params={"filters[triggerState][EQUALS]": "ASLEEP"})
    assert unknown.status_code == 422


def test_triggers_are_switched_and_listed(weir):
    assert weir.get(f"triggers/{NAMESPACE}/scheduled")["total"] == 2
    assert "nextExecutionDate" in state_of(weir, "yearly")
    off = weir.api("PUT", "triggers", json={**trigger("yearly"), "disabled": True}).json()
    assert off["disabled"] is True and "nextExecutionDate" not in off
    assert weir.get("triggers/search", params={"filters[triggerState][EQUALS]": "DISABLED"})["total"] == 1
    on = weir.api("PUT", "triggers/set-disabled", json={**trigger("yearly"), "disabled": False}).json()
    assert on["disabled"] is False and "nextExecutionDate" in on
    many = weir.api("POST", "triggers/set-disabled/by-triggers",
                    json={"triggers": [trigger("yearly"), trigger("daily")], "disabled": True})
    assert many.json()["count"] == 2
    assert weir.api("POST", "triggers/set-disabled/by-query",
                    params={"disabled": "false", "namespace": NAMESPACE}).json()["count"] == 2
    assert weir.api("POST", "triggers/set-disabled/by-triggers", json={"triggers": []}).status_code == 422
    assert weir.api("PUT", "triggers", json={**trigger("none"), "disabled": True}).status_code == 404
    assert weir.api("PUT", "triggers", json=trigger("daily")).status_code == 400
    unlocked = weir.api("POST", f"triggers/{NAMESPACE}/scheduled/daily/unlock")
    assert unlocked.status_code == 409 and "Trigger is not locked" in unlocked.text
    listed = weir.get("triggers/search", params={"flowId": "scheduled"})["results"]
    assert {t["abstractTrigger"]["cron"] for t in listed} == {"0 0 1 1 *", "0 0 * * *"}
    csv = weir.api("GET", "triggers/export/by-query/csv").text
    assert len(csv.splitlines()) == 3


def test_a_backfill_runs_every_missed_date(weir):
    body = {**trigger("daily"), "backfill": {"start": "2024-01-01T00:00:00Z", "end": "2024-01-03T12:00:00Z",
                                             "labels": [{"key": "why", "value": "late"}]}}
    answer = weir.api("PUT", "triggers", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["backfill"]["start"].startswith("2024-01-01")

    def all_there():
        found = weir.executions(flowId="scheduled", labels="why:late")
        ended = [e for e in found if e["state"]["current"] == "SUCCESS"]
        return ended if len(ended) == 3 else None
    ended = eventually(all_there, "three executions of the backfill")
    dates = sorted(e["taskRunList"][0]["outputs"]["value"][:10] for e in ended)
    assert dates == ["2024-01-01", "2024-01-02", "2024-01-03"]
    eventually(lambda: "backfill" not in state_of(weir, "daily"), "the backfill is over")
    over = weir.api("PUT", "triggers/backfill/pause", json=trigger("daily"))
    assert over.status_code == 400 and "No backfill found" in over.text
    bad = weir.api("PUT", "triggers", json={**trigger("daily"), "backfill": {"end": "2024-01-01T00:00:00Z"}})
    assert bad.status_code == 400


# ---- the rest ----

def test_operational_paths_need_no_tenant(weir):
    assert requests.get(weir.url + "/ping", timeout=10).text == "pong"
    assert requests.get(weir.url + "/health", timeout=10).json()["status"] == "UP"
    assert "weir_api_requests_total" in requests.get(weir.url + "/metrics", timeout=10).text
    configs = requests.get(weir.url + "/api/v1/configs", timeout=10).json()
    assert configs["version"].startswith("1.") and configs["weirVersion"]
    description = requests.get(weir.url + "/api/v1/openapi", timeout=30).json()
    assert "/api/v1/{tenant}/flows/{namespace}/{id}" in description["paths"]
    assert requests.head(weir.url + "/ping", timeout=10).status_code == 200


def test_the_installation_keeps_its_id_and_answers_as_a_service(weir_at):
    server = weir_at("kept")
    uuid = requests.get(server.url + "/api/v1/configs", timeout=10).json()["uuid"]
    server.stop()
    server.start()
    assert requests.get(server.url + "/api/v1/configs", timeout=10).json()["uuid"] == uuid
    service = server.get("cluster/services/weir")
    assert service["server"]["id"] == uuid and service["state"] == "RUNNING"
    assert server.api("GET", "cluster/services/other").status_code == 404


def test_a_path_may_begin_with_two_slashes(weir):
    answer = requests.get(f"{weir.url}//api/v1/main/namespaces/company", timeout=10)
    assert answer.json() == {"id": "company", "deleted": False}


def test_secrets_are_listed_by_name_without_values(weir):
    listed = weir.get("secrets")
    assert listed == {"readOnly": True, "results": [{"key": "TOKEN"}, {"key": "WORD"}], "total": 2}
    assert weir.get("secrets", params={"size": 1, "page": 2})["results"] == [{"key": "WORD"}]
    assert weir.get(f"namespaces/{NAMESPACE}/secrets", params={"filters[q][EQUALS]": "tok"})["total"] == 1
    assert weir.get(f"namespaces/{NAMESPACE}/inherited-secrets") == {NAMESPACE: ["TOKEN", "WORD"]}


def test_the_description_names_every_operation_once(weir):
    description = requests.get(weir.url + "/api/v1/openapi", timeout=30).json()
    operations = [(path, method, operation) for path, methods in description["paths"].items()
                  for method, operation in methods.items()]
    ids = [operation["operationId"] for _, _, operation in operations]
    assert len(ids) > 150 and len(set(ids)) == len(ids)
    for path, method, operation in operations:
        parameters = [(p["in"], p["name"]) for p in operation["parameters"]]
        assert len(set(parameters)) == len(parameters), f"{method} {path}"
        assert {name for place, name in parameters if place == "path"} == set(re.findall(r"{(\w+)}", path))
        assert operation["summary"] and operation["tags"] and "default" in operation["responses"]
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(description)


def test_plugins_are_described(weir):
    base = weir.url + "/api/v1/plugins"
    listed = requests.get(base, timeout=30).json()
    assert isinstance(listed, list)
    assert requests.get(base, params={"page": 1, "size": 1}, timeout=30).json()["total"] == len(listed)
    log = requests.get(base + "/io.kestra.plugin.core.log.Log", timeout=30)
    assert "message" in log.json()["schema"]["properties"]["properties"]
    assert log.headers["Cache-Control"] == "public, max-age=3600"
    assert requests.get(base + "/no.such.Type", timeout=30).status_code == 404
    assert requests.get(base + "/schemas/flow", timeout=30).json()["$schema"]
    tasks = requests.get(base + "/schemas/task", params={"arrayOf": "true"}, timeout=30).json()
    assert tasks["items"] == {"$ref": "#/definitions/task"} and "task" in tasks["definitions"]


def test_other_products_areas_are_named_as_missing(weir):
    for path in ("users", "tenants/x", "main/apps", "main/tests/a/b"):
        answer = requests.get(f"{weir.url}/api/v1/{path}", timeout=10)
        assert answer.status_code == 501
        assert answer.json()["message"].startswith("Not Implemented: ")


def test_malformed_json_is_said_so(weir):
    answer = weir.api("PUT", "triggers", data="{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and answer.json()["message"].startswith("Invalid json")


# ---- credentials ----

def test_credentials_are_asked_for_once_they_are_set(weir_at):
    server = weir_at("protected")
    url = server.url + "/api/v1/main/flows/search"
    assert requests.get(url, auth=("", ""), timeout=10).status_code == 200
    weak = requests.post(server.url + "/api/v1/main/basicAuth", json={"username": "me", "password": "x"}, timeout=10)
    assert weak.status_code == 400
    user = ("ana@example.com", "Secret123")
    made = requests.post(server.url + "/api/v1/basicAuth", json={"username": user[0], "password": user[1]}, timeout=10)
    assert made.status_code == 204
    refused = requests.get(url, timeout=10)
    assert refused.status_code == 401 and refused.text == ""
    assert refused.headers["WWW-Authenticate"] == "Basic"
    quiet = requests.get(url, headers={"Referer": server.url + "/ui/login"}, timeout=10)
    assert "WWW-Authenticate" not in quiet.headers
    assert requests.get(url, auth=user, timeout=10).status_code == 200
    assert requests.get(url, auth=(user[0], "wrong"), timeout=10).status_code == 401
    assert requests.get(server.url + "/api/v1/configs", timeout=10).json()["isBasicAuthInitialized"] is True
    hook = requests.post(server.url + "/api/v1/main/executions/webhook/a/b/c", timeout=10)
    assert hook.status_code == 404
    again = requests.post(server.url + "/api/v1/main/basicAuth", json={"username": "b@c.d", "password": "Secret123"},
                          timeout=10)
    assert again.status_code == 401
    server.stop()
    server.start()
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, auth=user, timeout=10).status_code == 200


def test_tokens_are_taken_as_bearer_and_cookie(weir_at):
    server = weir_at("tokens", env={"WEIR_AUTH_TOKENS": "[tok-1, tok-2]"})
    url = server.url + "/api/v1/main/flows/search"
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, headers={"Authorization": "Bearer tok-2"}, timeout=10).status_code == 200
    assert requests.get(url, headers={"Authorization": "Basic Og=="}, cookies={"JWT": "tok-1"}, timeout=10).status_code == 200
