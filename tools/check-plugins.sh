#!/usr/bin/env bash
# Is every type of runtime/ in the list of runtime/plugins.c?
set -euo pipefail
bad=0
for name in $(git ls-files 'runtime/*.c' | xargs sed -n 's/^const struct plugin \([a-z0-9_]*\) = {.*/\1/p'); do
    if ! grep -q "^    X($name) " runtime/plugins.c; then
        echo "$name is not in runtime/plugins.c"
        bad=1
    fi
done
exit $bad
