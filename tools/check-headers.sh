#!/usr/bin/env bash
# Every header compiles alone. usage: check-headers.sh CC FLAGS... -- HEADER...
set -euo pipefail
command=()
while [ "$1" != "--" ]; do command+=("$1"); shift; done
shift
bad=0
for header in "$@"; do
    if ! printf '#include "%s"\n' "$header" | "${command[@]}" -fsyntax-only -x c - 2>/tmp/header.$$; then
        echo "$header does not compile alone:"
        head -5 /tmp/header.$$
        bad=1
    fi
done
rm -f /tmp/header.$$
exit $bad
