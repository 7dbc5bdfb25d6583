#!/usr/bin/env bash
# Shows the main job with the sample repository: plan, apply, run, change, plan, apply.
# Called by `./bootstrap demo [--once]`; everything lives in ./demo, made anew each time.
set -euo pipefail
cd "$(dirname "$0")/.."

weir=$PWD/build/weir
home=$PWD/demo
once=false
[ "${1:-}" = "--once" ] && once=true

bold=$'\033[1m' off=$'\033[0m'
[ -t 1 ] || bold='' off=''
title() { printf '\n%s── %s%s\n' "$bold" "$*" "$off"; }
show() { printf '%s$ weir %s%s\n' "$bold" "$*" "$off" && "$weir" "$@"; }

rm -rf "$home"
mkdir -p "$home"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME="Ana Lima" GIT_AUTHOR_EMAIL=ana@example.com
export GIT_COMMITTER_NAME="Ana Lima" GIT_COMMITTER_EMAIL=ana@example.com
export ENV_WAREHOUSE=$home/warehouse.db

title "A repository of flows, made from sample-repo/"
git init -q --bare -b main "$home/flows.git"
cp -r sample-repo "$home/work"
git -C "$home/work" init -q -b main
git -C "$home/work" add -A
git -C "$home/work" commit -q -m "Pipelines of the data team"
git -C "$home/work" remote add origin "$home/flows.git"
git -C "$home/work" push -q origin main
git -C "$home/work" ls-files | sed 's/^/  /'
url=file://$home/flows.git

title "The plan of the first commit: nothing is deployed yet"
show plan "$url" --head main || [ $? -eq 2 ]

title "weir up applies it and serves"
port=$(python3 -c 'import socket; s = socket.socket()
try: s.bind(("127.0.0.1", 8080))
except OSError: s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
export WEIR_SERVER=http://127.0.0.1:$port
"$weir" up "$url" --data "$home/data" --listen "127.0.0.1:$port" --interval PT1S >"$home/weir.log" 2>&1 &
server=$!
stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT

# until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$server" 2>/dev/null || [ "$SECONDS" -ge "$end" ]; then
            echo "demo: this did not happen: $*; the server's log:" >&2
            tail -n 20 "$home/weir.log" >&2
            exit 1
        fi
        sleep 0.1
    done
}
applied() { "$weir" status --output json | grep -q "\"applied\":\"$(git -C "$home/work" rev-parse HEAD)\""; }

until_true 60 applied
cat "$home/weir.log"
show status
show flows

title "The night's load, run now"
show run company.team/nightly --input day=2026-11-23 --follow
until_true 30 bash -c "'$weir' executions --flow company.team/publish --output json | grep -q SUCCESS"
show executions
title "Its log"
night=$("$weir" executions --flow company.team/nightly --output json | python3 -c '
import json, sys
print(json.load(sys.stdin)["results"][0]["id"])')
show logs "$night"

title "A second commit: one flow changed, one added, one removed"
cd "$home/work"
sed -i 's/cron: "0 2 \* \* \*"/cron: "30 1 * * *"/; s/timeout: PT5M/timeout: PT15M/' flows/team/nightly.yml
cat >flows/team/refunds.yml <<'YAML'
id: refunds
namespace: company.team
description: How many orders of a day came back.
inputs:
  - id: day
    type: STRING
    defaults: "2026-11-23"
tasks:
  - id: count
    type: io.kestra.plugin.core.flow.Subflow
    namespace: company.team
    flowId: run_query
    inputs:
      sql: SELECT count(*) AS refunds FROM orders WHERE day = :day AND is_refund = 1
      parameters: { "day": "{{ inputs.day }}" }
outputs:
  - id: refunds
    type: INT
    value: "{{ outputs.count.outputs.row.refunds }}"
YAML
git rm -q flows/team/ingest_events.yml
git add -A
git commit -q -m "Load earlier, count refunds, retire the event feed"
git push -q origin HEAD:refs/heads/change
cd - >/dev/null
show plan "$url" --base main --head change || [ $? -eq 2 ]

title "Merged: applied within a second, as one transaction"
git -C "$home/work" push -q origin HEAD:main
until_true 60 applied
show status
show flows
show run company.team/refunds --follow

if $once; then
    title "Done"
    exit 0
fi
title "Serving at $WEIR_SERVER until Ctrl-C; push to $home/work (git push origin main) and watch"
tail -n 0 -f "$home/weir.log" &
wait "$server"
