#!/usr/bin/env bash
# Runs one fuzz target for a bounded time. usage: run.sh PROGRAM NAME SECONDS [SEED-FOLDER...]
# What is found stays in build/fuzz/corpus/NAME and is the start of the next run; a crash is written
# to build/fuzz/found-NAME-*, becomes a seed in tests/fuzz/seeds/NAME and a test.
set -euo pipefail
program=$1 name=$2 seconds=$3
shift 3
corpus=build/fuzz/corpus/$name
mkdir -p "$corpus"
seeds=()
for folder in "tests/fuzz/seeds/$name" "$@"; do
    if [ -d "$folder" ]; then
        seeds+=("$folder")
    fi
done
log=build/fuzz/$name.log
if ! "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -artifact_prefix="build/fuzz/found-$name-" -print_final_stats=1 "$corpus" "${seeds[@]}" >"$log" 2>&1; then
    tail -30 "$log"
    echo "fuzz $name: FAILED, see $log and build/fuzz/found-$name-*"
    exit 1
fi
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
echo "fuzz $name: $runs inputs in $seconds s, nothing found"
