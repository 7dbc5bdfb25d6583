#!/usr/bin/env bash
# The pure folders may call only what cannot have an effect: compares `nm -u` of their objects with
# an allow list. usage: check-pure.sh BUILD_DIR ALLOW_LIST OBJECT...
set -euo pipefail
build=$1 allow=$2
shift 2
bad=0
# Names that other objects of ours define are fine when those objects are pure themselves; effects
# live in base/ files that the list below names.
defined=$(mktemp)
trap 'rm -f "$defined"' EXIT
find "$build/base" "$build/core" "$build/runtime" -name '*.o' |
    grep -vE '/base/(fs|proc|loop|pool|http|httpd|git|git_auth|git_walk|sql|sql_sqlite|log|queue)\.o$' |
    xargs nm --defined-only 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$defined"
for object in "$@"; do
    while read -r symbol; do
        if ! grep -qxF "$symbol" "$defined" && ! grep -qxF "$symbol" "$allow"; then
            echo "$object: calls $symbol, which is not on the list of pure functions ($allow)"
            bad=1
        fi
    done < <(nm -u "$object" | awk '{ print $2 }')
done
exit $bad
