#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the conformance suite against a weir of its own and writes docs/conformance.md.

    tools/conformance.py [--set FOLDER] [--only GLOB]… [-j N] [--keep] [--no-docs]

The server gets a free port, a data folder of its own, and every capability that the suite's README
names. The last line is the suite's own: N passed, M failed.
"""
import argparse
import base64
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]
SUITE = pathlib.Path(os.environ.get("SUITE", ROOT / ".." / "shared" / "conformance")).resolve()
PROGRAM = pathlib.Path(os.environ.get("WEIR_PROGRAM", ROOT / "build" / "weir")).resolve()

SETTINGS = """\
url: http://127.0.0.1:{port}
encryption:
  key: {key}
variables:
  globals:
    string: "string"
    int: 1
    bool: true
    nested:
      int: 2
secrets:
  maskOutputs: false
workers:
  processes: 16
"""


def secret(text, width=None):
    encoded = base64.b64encode(text.encode()).decode()
    if width is not None:
        encoded = "\n".join(encoded[i:i + width] for i in range(0, len(encoded), width))
    return encoded


def environment():
    return {
        **os.environ,
        "NO_COLOR": "1",
        "SECRET_MY_SECRET": secret('{"secretKey":"secretValue"}'),
        "SECRET_NEW_LINE": secret("passwordveryveryveyrlong" * 5, width=76),
        "SECRET_WEBHOOK_KEY": secret("secretKey"),
        "KESTRA_TEST1": "true",
        "KESTRA_TEST2": "Pass by env",
    }


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "weir.log"
        self.process = None

    def start(self):
        settings = self.folder / "weir.conf.yaml"
        key = base64.b64encode(bytes(range(32))).decode()
        settings.write_text(SETTINGS.format(port=self.port, key=key), encoding="utf-8")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "up", "--config", str(settings), "--data", str(self.folder / "data"),
                 "--listen", f"127.0.0.1:{self.port}"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                env=environment())
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"weir ended with {self.process.returncode}:\n{self.tail()}")
            with contextlib.suppress(urllib.error.URLError, OSError):
                with urllib.request.urlopen(self.url + "/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            time.sleep(0.05)
        raise SystemExit(f"weir does not answer within 30 s:\n{self.tail()}")

    def tail(self):
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return self.process is None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return True


def write_docs(results, last, where):
    failed = [r for r in results if r["status"] == "FAIL"]
    lines = [
        "# Conformance",
        "",
        "<!-- Made by `make conformance`. -->",
        "",
        f"The open half of the suite of flows observed on a Kestra server: {last}.",
        "",
    ]
    if not failed:
        lines.append("No case fails.")
    else:
        lines += ["| case | topic | what is missing |", "| --- | --- | --- |"]
        for r in sorted(failed, key=lambda r: r["id"]):
            reason = " ".join(str(r.get("reason", "")).split()).replace("|", "\\|")
            lines.append(f"| {r['id']} | {r.get('topic', '')} | {reason[:300]} |")
    where.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--set", help="another folder that holds cases/ and flows/")
    parser.add_argument("--only", action="append", default=[], help="glob on the id of a case")
    parser.add_argument("-j", type=int, default=8, help="cases at a time")
    parser.add_argument("--keep", action="store_true", help="leave the data folder and its log")
    parser.add_argument("--no-docs", action="store_true", help="do not write docs/conformance.md")
    parser.add_argument("--all", action="store_true", help="show passed cases too")
    options = parser.parse_args()
    if not (SUITE / "run.py").is_file():
        print(f"skipped: no conformance suite at {SUITE} (SUITE=FOLDER)")
        return 0

    folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-conformance-"))
    server = Server(folder)
    results_file = folder / "results.json"
    command = [sys.executable, str(SUITE / "run.py"), "--with", "all", "-j", str(options.j),
               "--json", str(results_file)]
    for glob in options.only:
        command += ["--only", glob]
    if options.set:
        command += ["--set", options.set]
    last = ""
    try:
        server.start()
        with subprocess.Popen(command + [server.url], stdout=subprocess.PIPE, text=True) as suite:
            for line in suite.stdout:
                line = line.rstrip("\n")
                if options.all or not line.startswith("PASS"):
                    print(line, flush=True)
                last = line or last
        if server.process.poll() is not None:
            print(f"weir ended with {server.process.returncode} during the suite:\n{server.tail()}")
            return 1
        if not options.no_docs and not options.set and not options.only:
            results = json.loads(results_file.read_text(encoding="utf-8"))
            write_docs(results["results"], last, ROOT / "docs" / "conformance.md")
        return suite.returncode
    finally:
        server.stop()
        if options.keep:
            print(f"data and log are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
