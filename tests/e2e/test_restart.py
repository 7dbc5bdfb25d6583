"""What a restart of the server leaves of the work under way: stopped in order, and killed."""
import collections
import threading

import pytest
from conftest import Weir, eventually

QUEUE = """\
id: queue
namespace: company.team
tasks:
  - id: all
    type: io.kestra.plugin.core.flow.Parallel
    tasks:
{tasks}
"""
TASK = """\
      - id: t{number}
        type: io.kestra.plugin.scripts.shell.Commands
        taskRunner: {{type: io.kestra.plugin.core.runner.Process}}
        env: {{LEDGER: "{ledger}", GATE: "{gate}"}}
        commands:
          - echo "t{number} {{{{ taskrun.attemptsCount }}}}" >> "$LEDGER"
          - while [ ! -e "$GATE" ]; do sleep 0.02; done
"""
COUNT = 6


@pytest.fixture
def site(tmp_path):
    """A server with two places for processes, and a flow of more tasks than that."""
    server = Weir(tmp_path / "data", env={"WEIR_WORKERS_PROCESSES": "2"})
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    ledger.touch()
    server.start()
    server.create_flow(QUEUE.format(tasks="".join(
        TASK.format(number=number, ledger=ledger, gate=gate) for number in range(COUNT))))
    yield server, ledger, gate
    server.kill()


def begun(ledger):
    return [line.split() for line in ledger.read_text().splitlines()]


def attempts(execution):
    return {run["taskId"]: [attempt["state"]["current"] for attempt in run.get("attempts") or []]
            for run in execution["taskRunList"] if run["taskId"] != "all"}


def check_ledger(ledger):
    counted = collections.Counter(map(tuple, begun(ledger)))
    assert set(counted.values()) == {1}, f"an attempt began twice: {counted}"


def test_what_waited_when_the_server_stopped_begins_as_if_nothing_had_happened(site):
    server, ledger, gate = site
    execution_id = server.execute("company.team", "queue")["id"]
    eventually(lambda: len(begun(ledger)) == 2, "two tasks have begun")
    assert server.stop() == 0
    gate.touch()
    server.start()
    ended = server.ended(execution_id)
    assert ended["state"]["current"] == "SUCCESS"
    by_task = attempts(ended)
    first = {name for name, number in begun(ledger)[:2]}
    assert {by_task[name][0] for name in first} == {"RESUBMITTED"}
    assert all(by_task[name] == ["SUCCESS"] for name in by_task if name not in first)
    check_ledger(ledger)


def test_what_had_begun_when_the_server_was_killed_gets_the_next_number(site):
    server, ledger, gate = site
    execution_id = server.execute("company.team", "queue")["id"]
    eventually(lambda: len(begun(ledger)) == 2, "two tasks have begun")
    server.kill()
    gate.touch()
    server.start()
    assert server.ended(execution_id)["state"]["current"] == "SUCCESS"
    assert len(begun(ledger)) == COUNT + 2
    check_ledger(ledger)


def test_a_stop_answers_those_who_wait_for_an_end(weir_at):
    server = weir_at("waiting")
    server.create_flow("id: slow\nnamespace: e2e\ntasks:\n"
                       "  - {id: a, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}\n")
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(
        server.api("POST", "executions/e2e/slow", params={"wait": "true"})))
    waiter.start()
    eventually(lambda: server.executions(flowId="slow", namespace="e2e"), "the execution runs")
    assert server.stop() == 0, server.log()
    waiter.join(timeout=60)
    assert [answer.status_code for answer in answers] == [503]
