"""The workloads. Each states what one run is and asserts that the work was done."""
import contextlib
import os
import pathlib
import socket
import sqlite3
import subprocess
import textwrap
import time

import requests

from conftest import eventually
from harness import LargeRepository, Limit, cpu_seconds, load_client, pss_mib, seconds_of, workload

PYTHON = os.path.realpath("/usr/bin/python3")
FINAL = {"SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED"}

HOOK = """\
id: {id}
namespace: bench
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: k
    wait: true
tasks:
  - id: values
    type: io.kestra.plugin.core.output.OutputValues
    values: {{ a: "{{{{ flow.id }}}}" }}
{steps}
"""
LOG = """\
  - id: log{n}
    type: io.kestra.plugin.core.log.Log
    message: "{{{{ outputs.values.values.a }}}}"
"""


def hook_path(flow):
    return f"/api/v1/main/executions/webhook/bench/{flow}/k"


def ready_ms(server):
    """Milliseconds from exec until /health answers, asked every millisecond over a bare socket."""
    begin = time.perf_counter()
    server.start(wait=False)
    while True:
        assert server.process.poll() is None, server.log()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1) as link:
            link.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if b" 200 " in link.recv(64):
                return 1000 * (time.perf_counter() - begin)
        assert time.perf_counter() - begin < 60, "not ready within a minute"
        time.sleep(0.001)


def total(server, flow):
    return server.get("executions/search", params={"namespace": "bench", "flowId": flow, "size": 1})["total"]


def durable_steps(bench, flow, steps, rows):
    """Latency alone and throughput at several widths of a webhook flow, beside the bare libraries."""
    server = bench.start()
    server.create_flow(HOOK.format(id=flow, steps="".join(LOG.format(n=n) for n in range(steps - 1))))
    limit = Limit("hook_limit", bench.folder / "limit.db", rows)
    expected = 0
    try:
        count = 300 if bench.quick else 2000

        def alone(port, path):
            return load_client(port, path, "--in-flight", 1, "--requests", count)["p50_us"] / 1000

        load_client(server.port, hook_path(flow), "--in-flight", 1, "--requests", 200)
        expected += 200
        limits, values = bench.rounds_of(lambda: alone(limit.port, "/x"),
                                         lambda: alone(server.port, hook_path(flow)))
        expected += count * bench.rounds
        bench.figure("alone", "ms", values, limits, note="p50, one in flight")
        for width in (16, 64, 256):
            many = 2000 if bench.quick else 20000

            def rate(port, path):
                answer = load_client(port, path, "--in-flight", width, "--requests", many)
                assert answer["failed"] == 0, f"{answer['failed']} requests failed"
                return answer["per_second"]
            limits, values = bench.rounds_of(lambda: limit.measure(rate),
                                             lambda: rate(server.port, hook_path(flow)))
            expected += many * bench.rounds
            bench.figure(f"at-{width}", "executions/s", values, limits, better="more")
        answer = load_client(server.port, hook_path(flow), "--in-flight", 256, "--rate", 2000,
                             "--requests", 4000 if bench.quick else 20000)
        expected += answer["requests"]
        bench.figure("open-2000-p99", "ms", [answer["p99_us"] / 1000], note="2,000 requests/s, open loop")
        found = total(server, flow)
        assert found == expected, f"{expected} acknowledged, {found} stored"
    finally:
        limit.close()


@workload
def hook(bench):
    """Webhook → OutputValues → Log, answered when SUCCESS is durable."""
    durable_steps(bench, "hook", 2, 1)


@workload
def three_step(bench):
    """Three trivial steps. Pure steps share one commit in weir; the limit commits one row a step."""
    durable_steps(bench, "three-step", 3, 3)


def run_flow(server, flow, patience=600):
    execution = server.execute("bench", flow, wait=True)
    if execution["state"]["current"] not in FINAL:
        execution = server.ended(execution["id"], patience)
    assert execution["state"]["current"] == "SUCCESS", f"{flow}: {execution['state']['current']}"
    return execution


def process_tasks(count, command="/bin/true"):
    return "".join(f"""\
  - id: t{i}
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner: {{ type: io.kestra.plugin.core.runner.Process }}
    commands: ["{command}"]
""" for i in range(count))


def make_chain(folder, count):
    path = pathlib.Path(folder) / f"chain{count}.mk"
    lines = [f"all: t{count - 1}\n"]
    for i in range(count):
        lines.append(f"t{i}: {'t%d' % (i - 1) if i else ''}\n\t@/bin/true\n")
    path.write_text("".join(lines))
    return path


@workload
def chain(bench):
    """40 and 400 sequential /bin/true with captured output, each step durable, beside make."""
    server = bench.start()
    medians = {}
    for count in (40, 400):
        server.create_flow(f"id: chain{count}\nnamespace: bench\ntasks:\n" + process_tasks(count))
        makefile = make_chain(bench.folder, count)
        run_flow(server, f"chain{count}")
        limits, values = bench.rounds_of(
            lambda: 1000 * seconds_of(lambda: subprocess.run(["make", "-sf", makefile], check=True)),
            lambda: 1000 * seconds_of(lambda: run_flow(server, f"chain{count}")))
        medians[count] = bench.figure(str(count), "ms", values, limits, note="limit: make, the same chain")["median"]
    bench.figure("growth", "ratio", [medians[400] / medians[40]], note="time(400) / time(40), goal at most 10.5")


@workload
def wide(bench):
    """Parallel process tasks, two at a time, beside make -j2."""
    count = 100 if bench.quick else 1000
    server = bench.start()
    tasks = textwrap.indent(process_tasks(count), "    ")
    server.create_flow(f"""\
id: wide
namespace: bench
tasks:
  - id: all
    type: io.kestra.plugin.core.flow.Parallel
    concurrent: 2
    tasks:
{tasks}""")
    makefile = bench.folder / "wide.mk"
    names = " ".join(f"t{i}" for i in range(count))
    makefile.write_text(f".PHONY: {names}\nall: {names}\n{names}:\n\t@/bin/true\n")
    limits, values = bench.rounds_of(
        lambda: 1000 * seconds_of(lambda: subprocess.run(["make", "-sj2", "-f", makefile], check=True)),
        lambda: 1000 * seconds_of(lambda: run_flow(server, "wide")))
    bench.figure(f"{count}", "ms", values, limits, note="limit: make -j2")


FIBO = "fibo = lambda n: n if n < 2 else fibo(n - 1) + fibo(n - 2)"


def python_tasks(count, number):
    return "".join(f"""\
  - id: t{i}
    type: io.kestra.plugin.scripts.python.Script
    taskRunner: {{ type: io.kestra.plugin.core.runner.Process }}
    script: |
      {FIBO}
      print(fibo({number}))
""" for i in range(count))


@workload
def light40(bench):
    """40 × Python fibo(10) in sequence, beside a shell loop of the same."""
    interpreter = bench.folder / "bin"
    interpreter.mkdir()
    for name in ("python", "python3"):
        (interpreter / name).symlink_to(PYTHON)
    server = bench.start(env={"PATH": f"{interpreter}:/usr/bin:/bin"})
    server.create_flow("id: light40\nnamespace: bench\ntasks:\n" + python_tasks(40, 10))
    script = bench.folder / "fibo.py"
    script.write_text(f"{FIBO}\nprint(fibo(10))\n")
    loop = f"i=0; while [ $i -lt 40 ]; do {PYTHON} {script} >/dev/null; i=$((i+1)); done"
    run_flow(server, "light40")
    limits, values = bench.rounds_of(
        lambda: 1000 * seconds_of(lambda: subprocess.run(["sh", "-c", loop], check=True)),
        lambda: 1000 * seconds_of(lambda: run_flow(server, "light40")))
    bench.figure("light40", "ms", values, limits, note="limit: shell loop of 40 python3 FILE")


@workload
def foreach(bench):
    """ForEach with one OutputValues per item; the cost per item must not grow."""
    server = bench.start()
    per_item = {}
    for count in (100, 10_000) if bench.quick else (100, 10_000, 100_000):
        flow = f"each{count}"
        server.create_flow(f"""\
id: {flow}
namespace: bench
triggers:
  - id: hook
    type: io.kestra.plugin.core.trigger.Webhook
    key: k
    wait: true
    returnOutputs: true
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{{{ range(1, {count}) | toJson }}}}"
    concurrencyLimit: 0
    tasks:
      - id: values
        type: io.kestra.plugin.core.output.OutputValues
        values: {{ v: "{{{{ taskrun.value }}}}" }}
""")

        def once():
            begin = time.perf_counter()
            answer = requests.post(server.url + hook_path(flow), timeout=300)
            spent = 1000 * (time.perf_counter() - begin)
            assert answer.status_code == 200, answer.text
            return spent
        once()
        values = [once() for _ in range(bench.rounds if count < 100_000 else 3)]
        assert total(server, flow) == len(values) + 1
        last = server.get("executions/search", params={"namespace": "bench", "flowId": flow, "size": 1})["results"][0]
        assert last["state"]["current"] == "SUCCESS" and len(last["taskRunList"]) == count + 1, last["state"]
        row = bench.figure(str(count), "ms", values)
        per_item[count] = row["median"] / count * 1000
        bench.figure(f"{count}-per-item", "µs", [per_item[count]])
    sizes = sorted(per_item)
    if len(sizes) < 3:
        return  # 100 items are mostly the one commit: their cost per item says nothing about growth
    bench.figure("growth", "ratio", [per_item[sizes[-1]] / per_item[sizes[1]]],
                 note=f"cost per item at {sizes[-1]:,} / at {sizes[1]:,}, goal at most 1.2")


@workload
def cronstorm(bench):
    """Many schedules due in the same second: until every execution is durable."""
    count = 1000 if bench.quick else 100_000
    repository = LargeRepository(bench.folder)
    # due at the next minute that leaves time to load them
    due = (int(time.time()) // 60 + (2 if int(time.time()) % 60 > 20 else 1) + (0 if bench.quick else 1)) * 60
    minute = time.gmtime(due).tm_min
    repository.commit((f"flows/bench/f{i}.yml", f"""\
id: f{i}
namespace: bench
triggers:
  - id: s
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "{minute} * * * *"
    timezone: UTC
tasks:
  - id: a
    type: io.kestra.plugin.core.debug.Return
    format: x
""") for i in range(count))
    server = bench.start("data", repository.url)
    eventually(lambda: server.get("flows/search", params={"size": 1})["total"] == count, "all flows", 300)
    assert time.time() < due, "loading took longer than planned"
    before = cpu_seconds(server.process.pid)
    time.sleep(max(0, due - time.time() - 1) / 2)
    idle = cpu_seconds(server.process.pid) - before
    time.sleep(max(0, due - time.time()))
    eventually(lambda: server.get("executions/search", params={"size": 1, "state": "SUCCESS"})["total"] == count,
               "all executions", 300, every=0.01)
    bench.figure(f"{count}", "ms", [1000 * (time.time() - due)], note="from the instant until all have ended, durable")
    bench.figure("idle-cpu", "s", [idle], note=f"CPU while {count:,} schedules waited")
    found = server.executions(size=1)
    assert found


@workload
def git_live(bench):
    """One line changed in a large repository, over HTTP, until the new revision is durable and runnable."""
    files = 2_000 if bench.quick else 100_000
    repository = LargeRepository(bench.folder)

    def file(i, text):
        return f"flows/d{i % 100}/f{i}.yml", f"""\
id: f{i}
namespace: bench.d{i % 100}
description: "{text}"
tasks:
  - id: a
    type: io.kestra.plugin.core.debug.Return
    format: x
"""
    repository.commit(file(i, 0) for i in range(files))
    url = repository.serve()
    server = bench.start("data", url, "--interval", "PT1H")
    eventually(lambda: server.get("flows/search", params={"size": 1})["total"] == files, "all flows", 300)
    clone = bench.folder / "clone"
    subprocess.run(["git", "clone", "-q", "--bare", url, clone], check=True)
    number = [0]

    def by_git():
        before = subprocess.run(["git", "-C", clone, "rev-parse", "main"], capture_output=True, text=True).stdout.strip()

        def fetch():
            subprocess.run(["git", "-C", clone, "fetch", "-q", "origin", "+main:main"], check=True)
            names = subprocess.run(["git", "-C", clone, "diff-tree", "-r", "--name-only", before, "main"],
                                   capture_output=True, text=True, check=True).stdout.split()
            assert names == ["flows/d0/f0.yml"], names
        return 1000 * seconds_of(fetch)

    def by_weir():
        number[0] += 1
        repository.commit([file(0, number[0])])
        begin = time.perf_counter()
        assert server.api("POST", "weir/sync").status_code == 200
        eventually(lambda: server.get("flows/bench.d0/f0")["description"] == str(number[0]), "applied", 60, every=0.001)
        return 1000 * (time.perf_counter() - begin)

    values, limits = [], []
    for _ in range(bench.rounds):
        values.append(by_weir())
        limits.append(by_git())
    bench.figure(f"{files}", "ms", values, limits,
                 note="from a wake-up, over HTTP; limit: git fetch and diff-tree over the same")


@workload
def coldsync(bench):
    """First sync of a repository of flows, and the restart after it."""
    count = 5_000 if bench.quick else 100_000
    repository = LargeRepository(bench.folder)
    repository.commit((f"flows/d{i % 100}/f{i}.yml", f"""\
id: f{i}
namespace: bench.d{i % 100}
tasks:
  - id: a
    type: io.kestra.plugin.core.debug.Return
    format: "{i}"
""") for i in range(count))
    server = bench.start("data", repository.url)
    begin = time.perf_counter()
    eventually(lambda: server.get("flows/search", params={"size": 1})["total"] == count, "all flows", 600, every=0.02)
    bench.figure(f"first-{count}", "ms", [1000 * (time.perf_counter() - begin)], note="after /health answers; fetch, parse, apply")
    bench.figure("memory", "MiB", [pss_mib(server.process.pid)], note=f"PSS with {count:,} flows")
    server.stop()
    values = []
    for _ in range(3):
        values.append(ready_ms(server))
        server.stop()
    bench.figure("restart", "ms", values, note="until /health answers")


@workload
def footprint(bench):
    """Start, idle, many flows, many executions."""
    starts = []
    for i in range(bench.rounds):
        server = bench.start(f"start{i}")
        server.stop()
        starts.append(ready_ms(server))
        server.stop()
    bench.figure("ready", "ms", starts, note="exec until /health answers; polled every 1 ms")
    server = bench.start("idle")
    server.create_flow(HOOK.format(id="hook", steps=LOG.format(n=0)))
    time.sleep(2)
    bench.figure("idle", "MiB", [pss_mib(server.process.pid)], note="PSS")
    count = 10_000 if bench.quick else 200_000
    load_client(server.port, hook_path("hook"), "--in-flight", 64, "--requests", count, "--seconds", 300, timeout=400)
    bench.figure(f"after-{count}", "MiB", [pss_mib(server.process.pid)], note="PSS after so many executions")
    begin = cpu_seconds(server.process.pid)
    time.sleep(5)
    bench.figure("idle-cpu", "% of a core", [(cpu_seconds(server.process.pid) - begin) / 5 * 100])


@workload
def logs(bench):
    """One task writes 100-byte lines; beside cat of the same bytes through a pipe into a file."""
    lines = 200_000 if bench.quick else 5_000_000
    source = bench.folder / "lines"
    with open(source, "wb") as out:
        for _ in range(lines // 1000):
            out.write((b"x" * 99 + b"\n") * 1000)
    server = bench.start()
    server.create_flow(f"id: logs\nnamespace: bench\ntasks:\n{process_tasks(1, f'cat {source}')}")
    target = bench.folder / "copy"
    mib = lines * 100 / 1048576

    def pipe():
        return mib / seconds_of(lambda: subprocess.run(
            ["sh", "-c", f"cat {source} | cat > {target}; sync {target}"], check=True))
    memory = []

    def weir():
        rate = mib / seconds_of(lambda: run_flow(server, "logs"))
        memory.append(pss_mib(server.process.pid))
        return rate
    limits, values = [], []
    for _ in range(min(bench.rounds, 3)):
        limits.append(pipe())
        values.append(weir())
    bench.figure("one", "MiB/s", values, limits, better="more", note=f"{mib:.0f} MiB of 100-byte lines; limit: cat | cat > file, synced")
    bench.figure("memory", "MiB", memory, note="PSS after")


@workload
def kill9(bench):
    """Executions in flight when the process is killed: all resume, none repeats a finished step."""
    count = 500 if bench.quick else 10_000
    kills = 5 if bench.quick else 20
    server = bench.start()
    server.create_flow("""\
id: waits
namespace: bench
tasks:
  - id: before
    type: io.kestra.plugin.core.output.OutputValues
    values: { id: "{{ execution.id }}" }
  - id: sleep
    type: io.kestra.plugin.core.flow.Pause
    pauseDuration: PT2H
  - id: after
    type: io.kestra.plugin.core.debug.Return
    format: "{{ outputs.before.values.id }}"
""")
    server.create_flow(HOOK.format(id="start", steps="").replace("    wait: true\n", "").replace(
        "tasks:\n", """tasks:
  - id: sub
    type: io.kestra.plugin.core.flow.Subflow
    namespace: bench
    flowId: waits
    wait: false
"""))
    load_client(server.port, hook_path("start"), "--in-flight", 16, "--requests", count)
    eventually(lambda: server.get("executions/search", params={
        "namespace": "bench", "flowId": "waits", "state": "PAUSED", "size": 1})["total"] == count, "all wait", 120)
    values = []
    for _ in range(kills):
        server.kill()
        values.append(ready_ms(server))
    bench.figure("resumed", "ms", values, note=f"{count:,} waiting executions: exec until /health answers")
    assert total(server, "waits") == count, "executions were lost"
    path = server.data
    databases = list(path.glob("**/*.db"))
    assert databases
    for database in databases:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as open_one:
            assert open_one.execute("pragma integrity_check").fetchone() == ("ok",)
    bench.figure("memory", "MiB", [pss_mib(server.process.pid)], note=f"PSS with {count:,} paused executions")


