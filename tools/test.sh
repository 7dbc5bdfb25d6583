#!/usr/bin/env bash
# Every test, in the order in which failures are cheapest. Each step prints its own closing line; the
# sum comes last. A failing step does not hide the others.
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
skipped=0
jobs=$(nproc)
log_dir=build/test-logs
mkdir -p "$log_dir"

# show LOG: what a person needs of a failed step's log: the lines that say what failed, then its end.
show() {
    {
        grep -nE -A 4 -m 20 '^\[  (ERROR|FAILED) |^FAIL|^(FAILED|ERROR) |Sanitizer: |runtime error: ' "$1"
        echo '[the end of the log]'
        tail -n 30 "$1"
    } | cut -c 1-300 | sed 's/^/      /'
}

# step NAME COMMAND...: counts "N passed, N failed" or cmocka's, pytest's lines; else one per step.
step() {
    local name=$1
    shift
    local log="$log_dir/${name// /-}.log" start=$SECONDS status=0
    "$@" >"$log" 2>&1 || status=$?
    local counts
    counts=$(awk '
        /^\[  PASSED  \] [0-9]+ test/ { p += $4 }
        /^\[  FAILED  \] [0-9]+ test\(s\), listed below/ { f += $4 }
        /^\[  SKIPPED \] [0-9]+ test\(s\), listed below/ { s += $4 }
        /^(=+ )?[0-9]+ (passed|failed|skipped|errors?).* in [0-9.]+s/ {
            for (i = 1; i <= NF; i++) {
                if ($(i + 1) ~ /^passed/) p += $i
                if ($(i + 1) ~ /^(failed|error)/) f += $i
                if ($(i + 1) ~ /^skipped/) s += $i
            }
        }
        /^[0-9]+ ([a-z]+ )?passed, [0-9]+ failed/ {
            p += $1
            for (i = 3; i <= NF; i++) {
                if ($i ~ /^failed/) f += $(i - 1)
                if ($i ~ /^skipped/) s += $(i - 1)
            }
        }
        END { printf "%d %d %d", p, f, s }' "$log")
    local p f s
    read -r p f s <<<"$counts"
    if [ $((p + f)) -eq 0 ]; then
        if [ "$status" -eq 0 ]; then p=1; else f=1; fi
    elif [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then
        f=1
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    skipped=$((skipped + s))
    if [ "$f" -eq 0 ]; then
        printf 'ok    %-28s %6d passed%s  (%d s)\n' "$name" "$p" \
            "$([ "$s" -gt 0 ] && printf ', %d skipped' "$s")" $((SECONDS - start))
    else
        printf 'FAIL  %-28s %6d failed  (%d s); the log is %s\n' "$name" "$f" $((SECONDS - start)) "$log"
        show "$log"
    fi
}

step "build, warnings are errors" make -s -j"$jobs" WERROR=1 BUILD=build/werror all
step "format" make -s check-format
step "layers" make -s check-layers
step "purity" make -s check-pure
step "headers alone" make -s check-headers
step "generated files current" make -s check-generated
step "unit tests" make -s -j"$jobs" unit
step "suites" make -s -j"$jobs" suites
step "scenarios" make -s -j"$jobs" scenarios
step "expressions" make -s -j"$jobs" expressions
step "faults" make -s -j"$jobs" faults
step "simulation" make -s -j"$jobs" sim-short
step "end to end" make -s -j"$jobs" e2e
step "conformance" make -s -j"$jobs" conformance
step "crash, short" make -s crash-short
step "unit tests, address sanitizer" make -s -j"$jobs" SAN=address,undefined unit
step "suites, address sanitizer" make -s -j"$jobs" SAN=address,undefined suites
step "scenarios, address sanitizer" make -s -j"$jobs" SAN=address,undefined scenarios
# Expressions are evaluated by one thread, and their limits take minutes under this sanitizer.
step "unit tests, thread sanitizer" make -s -j"$jobs" SAN=thread unit TEST=-expr
step "suites, thread sanitizer" make -s -j"$jobs" SAN=thread suites
step "build with clang" make -s -j"$jobs" CC=clang BUILD=build/clang all

if [ "$skipped" -gt 0 ]; then
    echo "$skipped skipped; their logs say why"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
