"""Nothing is lost: kills weir with SIGKILL at random moments, again and again, while commits are
pushed, a schedule fires every second and executions run shell tasks; then counts.

    python3 tests/crash/crash.py [--kills 12] [--seed N]

At the end:
  1. every second between the first and the last tick has exactly one execution
  2. each ran with the revision that was deployed when it was created
  3. every execution has ended
  4. every attempt that a shell task began is an attempt in its execution, and none ran twice
     under the same number
  5. no reader ever saw half a commit
  6. the database passes its integrity check
The last line is `N passed, N failed`.
"""
import argparse
import collections
import datetime
import pathlib
import random
import sqlite3
import sys
import tempfile
import threading
import time

import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from conftest import Repository, Weir, eventually  # noqa: E402

TICK = """\
id: tick
namespace: crash
description: commit {number}
triggers:
  - id: every_second
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "* * * * * *"
    withSeconds: true
    allowConcurrent: true
    recoverMissedSchedules: ALL
tasks:
  - id: work
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner:
      type: io.kestra.plugin.core.runner.Process
    env:
      LEDGER: "{ledger}"
    commands:
      - echo "{{{{ execution.id }}}} {{{{ taskrun.id }}}} {{{{ taskrun.attemptsCount }}}} begin" >> "$LEDGER"
      - sleep 0.0{pause}
      - echo "{{{{ execution.id }}}} {{{{ taskrun.id }}}} {{{{ taskrun.attemptsCount }}}} end" >> "$LEDGER"
  - id: after
    type: io.kestra.plugin.core.debug.Return
    format: "{number}"
"""
TWIN = """\
id: {name}
namespace: crash.twin
description: commit {number}
tasks:
  - id: say
    type: io.kestra.plugin.core.debug.Return
    format: "{number}"
"""


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


class Reader(threading.Thread):
    """Reads the twins in one request, over and over: both must be of the same commit."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.halves, self.reads, self.done = url, [], 0, threading.Event()

    def run(self):
        while not self.done.is_set():
            try:
                answer = requests.get(self.url + "/api/v1/main/flows/search",
                                      params={"namespace": "crash.twin", "size": 10}, timeout=5)
                seen = {flow["id"]: flow["description"] for flow in answer.json()["results"]}
            except (requests.RequestException, ValueError, KeyError):
                time.sleep(0.02)
                continue
            self.reads += 1
            if seen and (set(seen) != {"left", "right"} or len(set(seen.values())) != 1):
                self.halves.append(seen)
            time.sleep(0.005)


class Run:
    def __init__(self, folder, seed):
        self.folder = pathlib.Path(folder)
        self.random = random.Random(seed)
        self.ledger = self.folder / "ledger"
        self.ledger.touch()
        self.repository = Repository(self.folder / "repository")
        self.server = Weir(self.folder / "data", self.repository.url, "--interval", "PT0.2S")
        self.number = 0
        self.results = []

    def push(self):
        self.number += 1
        self.repository.write("flows/crash/tick.yml", TICK.format(
            number=self.number, ledger=self.ledger, pause=self.random.randint(1, 9)))
        for name in ("left", "right"):
            self.repository.write(f"flows/crash/twin/{name}.yml", TWIN.format(name=name, number=self.number))
        self.repository.commit(f"commit {self.number}")

    def expect(self, name, holds, detail=""):
        self.results.append(bool(holds))
        print(f"{'ok  ' if holds else 'FAIL'}  {name}{'' if holds else ': ' + str(detail)}", flush=True)

    def shake(self, kills):
        self.push()
        self.server.start()
        eventually(lambda: self.server.executions(namespace="crash"), "the first tick")
        reader = Reader(self.server.url)
        reader.start()
        for count in range(kills):
            end = time.monotonic() + self.random.uniform(0.05, 2.5)
            while time.monotonic() < end:
                if self.random.random() < 0.3:
                    self.push()
                time.sleep(self.random.uniform(0.01, 0.2))
            self.server.kill()
            self.server.start(wait=self.random.random() < 0.8)
            print(f"      killed {count + 1} of {kills}, {self.number} commits", flush=True)
        self.server.wait_ready()
        eventually(lambda: self.server.get("flows/crash.twin/left")["description"] == f"commit {self.number}",
                   "the last commit is applied")
        reader.done.set()
        reader.join()
        return reader

    def settle(self):
        """No new ticks, and everything that began ends."""
        self.repository.write("flows/crash/tick.yml", TICK.format(
            number=self.number + 1, ledger=self.ledger, pause=1).replace(
                "    allowConcurrent", "    disabled: true\n    allowConcurrent"))
        self.repository.commit("stop the clock")
        eventually(lambda: "disabled: true" in self.server.get("flows/crash/tick", params={"source": "true"})["source"],
                   "the schedule is disabled")
        final = {"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED"}

        def settled():
            found = self.all_executions()
            return found if all(e["state"]["current"] in final for e in found) else None
        return eventually(settled, "every execution ends", patience=120)

    def all_executions(self):
        found, page = [], 1
        while True:
            answer = self.server.get("executions/search", params={
                "namespace": "crash", "flowId": "tick", "size": 500, "page": page, "sort": "state.startDate:asc"})
            found += answer["results"]
            if len(found) >= answer["total"] or not answer["results"]:
                return found
            page += 1

    def check(self, reader):
        try:
            executions = self.settle()
        except AssertionError as problem:
            self.expect("every execution has ended", False, problem)
            executions = self.all_executions()
        else:
            self.expect("every execution has ended", True)

        ticks = collections.Counter(instant(e["trigger"]["variables"]["date"]).timestamp() for e in executions)
        first, last = int(min(ticks)), int(max(ticks))
        missing = [t for t in range(first, last + 1) if t not in ticks]
        twice = [t for t, count in ticks.items() if count != 1]
        self.expect(f"each of {last - first + 1} ticks has exactly one execution", not missing and not twice,
                    f"missing {missing[:5]} ({len(missing)}), twice {twice[:5]} ({len(twice)})")

        revisions = self.server.get("flows/crash/tick/revisions")
        since = sorted((instant(r["updated"]), r["revision"]) for r in revisions)
        wrong = []
        for execution in executions:
            created = instant(execution["state"]["histories"][0]["date"])
            deployed = [number for when, number in since if when <= created]
            if not deployed or execution["flowRevision"] != deployed[-1]:
                wrong.append((execution["id"], execution["flowRevision"], deployed[-1:]))
        self.expect("each ran with the revision deployed at its creation", not wrong, wrong[:5])

        begun = collections.Counter()
        for line in self.ledger.read_text().splitlines():
            execution_id, run_id, attempt, what = line.split()
            if what == "begin":
                begun[(execution_id, run_id, int(attempt))] += 1
        known = {}
        for execution in executions:
            for run in execution.get("taskRunList") or []:
                known[(execution["id"], run["id"])] = len(run.get("attempts") or [])
        stray = [key for key in begun if known.get(key[:2], 0) <= key[2]]
        repeated = [key for key, count in begun.items() if count > 1]
        self.expect(f"all {len(begun)} attempts that began are accounted for", not stray, stray[:5])
        self.expect("no attempt ran twice under one number", not repeated, repeated[:5])
        undone = [e["id"] for e in executions if e["state"]["current"] == "SUCCESS"
                  and not any(key[0] == e["id"] for key in begun)]
        self.expect("no execution succeeded without its work", not undone, undone[:5])
        self.expect(f"no reader saw half a commit in {reader.reads} reads", not reader.halves and reader.reads > 0,
                    reader.halves[:3])

        status = self.server.stop()
        self.expect("the server stops when asked", status == 0, f"status {status}")
        for path in sorted(self.server.data.glob("**/*.db")):
            with sqlite3.connect(path) as database:
                answer = database.execute("PRAGMA integrity_check").fetchall()
            self.expect(f"{path.name} passes its integrity check", answer == [("ok",)], answer[:3])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"      repeat with: make crash KILLS={arguments.kills} SEED={arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="weir-crash-") as folder:
        run = Run(folder, arguments.seed)
        try:
            run.check(run.shake(arguments.kills))
        except AssertionError as problem:
            run.expect("the run comes to its end", False, f"{problem}\n{run.server.log()[-3000:]}")
        finally:
            run.server.kill()
    failed = run.results.count(False)
    print(f"{run.results.count(True)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
