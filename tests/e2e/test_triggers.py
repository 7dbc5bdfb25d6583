"""What starts flows, and what is started again: flow-language.md 5 and 6.10 through the API."""
import datetime

import pytest
import requests

from conftest import Weir, eventually

NAMESPACE = "company.life"

YEARLY = """id: yearly
namespace: company.life
triggers:
  - id: monthly
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "0 6 1 * *"
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "{{ trigger.date }}"
"""

RARE = """id: rare
namespace: company.life
triggers:
  - id: minutes
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "* * * * *"
    timezone: Europe/Paris
    conditions:
      - type: io.kestra.plugin.core.condition.DayWeekInMonth
        dayOfWeek: MONDAY
        dayInMonth: FIRST
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: x
"""

HOOK = """id: hook
namespace: company.life
triggers:
  - id: in
    type: io.kestra.plugin.core.trigger.Webhook
    key: open
    conditions:
      - type: io.kestra.plugin.core.condition.Expression
        expression: "{{ trigger.headers['x-pass'][0] == 'yes' and (trigger.body is null or trigger.body == 'text') }}"
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "<{{ trigger.body }}>{{ trigger.headers['x-PASS'] }}"
"""

DATES = """id: dates
namespace: company.life
triggers:
  - id: when
    type: io.kestra.plugin.core.trigger.ScheduleOnDates
    dates: "{{ ['2098-01-01T00:00:00Z', '2097-01-01T00:00:00+01:00[Europe/Paris]'] }}"
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: x
"""

BATCH = """id: batch
namespace: company.life
inputs:
  - id: rows
    type: STRING
outputs:
  - id: seen
    type: STRING
    value: "{{ read(inputs.rows) | trim }}"
tasks:
  - id: say
    type: io.kestra.plugin.core.log.Log
    message: x
"""

BATCHES = """id: batches
namespace: company.life
tasks:
  - id: write
    type: io.kestra.plugin.core.storage.Write
    content: "a\\nb\\nc\\n"
  - id: each
    type: io.kestra.plugin.core.flow.ForEachItem
    items: "{{ outputs.write.uri }}"
    batch:
      rows: 1
    namespace: company.life
    flowId: batch
    inputs:
      rows: "{{ taskrun.items }}"
  - id: all
    type: io.kestra.plugin.core.debug.Return
    format: "{{ read(outputs.each_merge.subflowOutputs) }}"
"""


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    server = Weir(tmp_path_factory.mktemp("triggers") / "data").start()
    for source in (YEARLY, RARE, HOOK, DATES, BATCH, BATCHES):
        server.create_flow(source)
    yield server
    server.kill()


def trigger(weir, flow):
    return weir.get(f"triggers/{NAMESPACE}/{flow}")["results"][0]


def run_of(execution, task):
    return next(run for run in execution["taskRunList"] if run["taskId"] == task)


def test_the_same_backfill_can_be_asked_for_again(weir):
    wanted = {
        "namespace": NAMESPACE, "flowId": "yearly", "triggerId": "monthly",
        "backfill": {"start": "2024-01-01T00:00:00Z", "end": "2024-03-31T00:00:00Z"},
    }
    for count in (3, 6):
        answer = weir.api("PUT", "triggers", json=wanted)
        assert answer.status_code == 200, answer.text
        eventually(lambda: len(weir.executions(flowId="yearly", namespace=NAMESPACE)) == count,
                   f"{count} executions")
        eventually(lambda: "backfill" not in trigger(weir, "yearly"), "the backfill is over")


def test_the_next_date_is_one_on_which_the_conditions_hold(weir):
    def next_date():
        text = trigger(weir, "rare")["nextExecutionDate"].replace("Z", "+00:00")
        paris = datetime.datetime.fromisoformat(text) + datetime.timedelta(hours=3)
        return paris if paris.weekday() == 0 and paris.day <= 7 else None
    eventually(next_date, "the next date is a first Monday")


def test_a_webhook_sees_headers_in_any_case_and_an_absent_payload_as_null(weir):
    url = f"{weir.url}/api/v1/main/executions/webhook/{NAMESPACE}/hook/open"
    headers = {"X-Pass": "yes"}
    for method, payload, said in (("GET", None, '<>["yes"]'), ("POST", "text", '<text>["yes"]')):
        answer = requests.request(method, url, data=payload, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert answer.json()["trigger"]["variables"]["headers"]["X-Pass"] == ["yes"]
        assert ("body" in answer.json()["trigger"]["variables"]) == (payload is not None)
        done = weir.ended(answer.json()["id"])
        assert run_of(done, "say")["outputs"]["value"] == said
    assert requests.post(url, data="{}", headers=headers, timeout=60).status_code == 409
    assert requests.post(url, data="text", timeout=60).status_code == 409


def test_dates_may_come_from_one_expression(weir):
    assert trigger(weir, "dates")["nextExecutionDate"] == "2096-12-31T23:00:00Z"


def test_a_replay_from_the_merge_finds_what_the_batches_gave(weir):
    first = weir.ended(weir.execute(NAMESPACE, "batches")["id"])
    assert first["state"]["current"] == "SUCCESS"
    said = run_of(first, "all")["outputs"]["value"]
    assert [line for line in said.splitlines() if line] == ['{"seen":"a"}', '{"seen":"b"}', '{"seen":"c"}']
    again = weir.api("POST", f"executions/{first['id']}/replay",
                     params={"taskRunId": run_of(first, "each_merge")["id"]})
    assert again.status_code == 200, again.text
    done = weir.ended(again.json()["id"])
    assert done["state"]["current"] == "SUCCESS"
    assert run_of(done, "all")["outputs"]["value"] == said
