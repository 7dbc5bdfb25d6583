"""A pushed commit becomes running flows: the sample repository, as a user meets it."""
import json

import pytest

from conftest import SAMPLE, eventually, json_of, run

FLOWS = {"ingest_events", "nightly", "notify", "publish", "run_query"}


@pytest.fixture
def team(weir_at, repository, tmp_path):
    """A server on the sample repository, its first commit applied."""
    repository.copy(SAMPLE)
    repository.first = repository.commit("Pipelines of the data team")
    server = weir_at("data", repository.url, "--interval", "PT0.2S",
                     env={"ENV_WAREHOUSE": str(tmp_path / "warehouse.db")})
    applied(server, repository.first)
    return server


def applied(server, commit):
    def check():
        status = json_of(server.run("status", "--output", "json"))
        return [s for s in status["sources"] if s["applied"] == commit]
    return eventually(check, f"{commit[:7]} is applied")


def deployed(server):
    return {flow["id"]: flow for flow in server.get("flows/search", params={"size": 100})["results"]}


def test_the_first_commit_deploys_flows_files_and_entries(team):
    assert set(deployed(team)) == FLOWS
    files = team.get("namespaces/company.team/files/search", params={"q": ""})
    assert "/queries/figures.sql" in json.dumps(files)
    entry = team.get("namespaces/company.team/kv/orders_per_night")
    assert (entry["type"], entry["value"]) == ("NUMBER", 250)


def test_the_nightly_load_runs_to_its_figures_and_publish_follows(team):
    done = team.run("run", "company.team/nightly", "--input", "day=2026-11-23", "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    night = team.executions(namespace="company.team", flowId="nightly")[0]
    assert night["state"]["current"] == "SUCCESS"
    assert night["outputs"]["orders"] == 250
    followers = eventually(lambda: team.executions(namespace="company.team", flowId="publish"), "publish starts")
    published = team.ended(followers[0]["id"])
    assert published["state"]["current"] == "SUCCESS"
    assert published["inputs"]["day"] == "2026-11-23"
    assert any("250 orders" in entry["message"] for entry in team.logs(published["id"]))


def test_a_webhook_call_is_ingested(team):
    answer = team.api("POST", "executions/webhook/company.team/ingest_events/shop-events",
                      json=[{"kind": "order"}, {"kind": "refund"}])
    assert answer.status_code == 200, answer.text
    ended = team.ended(answer.json()["id"])
    assert ended["state"]["current"] == "SUCCESS"
    assert len([r for r in ended["taskRunList"] if r["taskId"] == "insert"]) == 2


def test_a_second_commit_changes_adds_and_removes_in_one_step(team, repository):
    source = (repository.work / "flows/team/nightly.yml").read_text()
    repository.write("flows/team/nightly.yml", source.replace('"0 2 * * *"', '"30 1 * * *"'))
    repository.write("flows/team/hello.yml", """\
id: hello
namespace: company.team
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: hello
""")
    repository.remove("flows/team/ingest_events.yml")
    second = repository.commit("Change, add, remove")
    applied(team, second)
    now = deployed(team)
    assert set(now) == FLOWS - {"ingest_events"} | {"hello"}
    assert now["nightly"]["revision"] == 2
    assert now["notify"]["revision"] == 1, "an unchanged flow keeps its revision"
    assert now["nightly"]["triggers"][0]["cron"] == "30 1 * * *"


def test_a_plan_tells_what_a_branch_would_change_and_exits_with_2(team, repository):
    source = (repository.work / "flows/team/nightly.yml").read_text()
    repository.write("flows/team/nightly.yml", source.replace("PT5M", "PT15M"))
    repository.commit("Give it more time", branch="slow")
    done = run("plan", repository.url, "--base", "main", "--head", "slow")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "company.team/nightly" in done.stdout
    assert "PT5M" in done.stdout and "PT15M" in done.stdout
    assert "1 to change" in done.stdout
    same = run("plan", repository.url, "--base", "main", "--head", "main")
    assert same.returncode == 0, same.stdout + same.stderr


def test_an_invalid_file_holds_its_commit_and_says_where(team, repository):
    repository.write("flows/team/broken.yml", """\
id: broken
namespace: company.team
tasks:
  - id: load
    type: io.kestra.plugin.scripts.shell.Commands
    comands: ["true"]
""")
    source = (repository.work / "flows/team/notify.yml").read_text()
    repository.write("flows/team/notify.yml", source.replace("Tells the team.", "Tells everybody."))
    repository.commit("A typo")

    def held():
        status = json_of(team.run("status", "--output", "json"))["sources"][0]
        return status if status["state"] == "held" else None
    status = eventually(held, "the commit is held")
    text = json.dumps(status)
    assert "flows/team/broken.yml" in text and "comands" in text and "commands" in text
    assert status["applied"] == repository.first
    assert deployed(team)["notify"]["revision"] == 1, "nothing of the commit was applied"
    repository.remove("flows/team/broken.yml")
    applied(team, repository.commit("Repair it"))
    assert deployed(team)["notify"]["revision"] == 2


def test_a_force_push_is_applied_and_noticed(team, repository):
    repository.git("checkout", "-q", "--orphan", "other")
    source = (repository.work / "flows/team/notify.yml").read_text()
    repository.write("flows/team/notify.yml", source.replace("Tells the team.", "Tells everybody."))
    repository.git("add", "-A")
    repository.git("commit", "-q", "-m", "A new beginning")
    repository.git("push", "-q", "-f", "origin", "other:main")
    applied(team, repository.git("rev-parse", "HEAD"))
    assert deployed(team)["notify"]["revision"] == 2
    assert "rewritten" in team.log()


def test_a_change_by_hand_is_drift_until_the_repository_says_otherwise(team, repository):
    flow = team.get("flows/company.team/notify", params={"source": "true"})
    changed = flow["source"].replace("Tells the team.", "Changed by hand.")
    answer = team.api("PUT", "flows/company.team/notify", data=changed.encode(),
                      headers={"Content-Type": "application/x-yaml"})
    assert answer.status_code == 200, answer.text
    done = team.run("drift")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "company.team/notify" in done.stdout and "description" in done.stdout


def test_a_restart_keeps_everything(team, repository):
    before = deployed(team)
    team.stop()
    team.start()
    assert {k: v["revision"] for k, v in deployed(team).items()} == {k: v["revision"] for k, v in before.items()}
    applied(team, repository.first)


def test_one_file_runs_without_a_server(tmp_path):
    flow = tmp_path / "hello.yml"
    flow.write_text("""\
id: hello
namespace: company.team
inputs:
  - id: name
    type: STRING
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "hello {{ inputs.name }}"
  - id: shell
    type: io.kestra.plugin.scripts.shell.Commands
    commands:
      - echo '::{"outputs":{"n":3}}::'
outputs:
  - id: text
    type: STRING
    value: "{{ outputs.say.value }}, {{ outputs.shell.vars.n }}"
""")
    done = run("run", flow, "--input", "name=Ada", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hello Ada, 3" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["hello.yml"], "nothing is left behind"
