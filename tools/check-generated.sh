#!/usr/bin/env bash
# Are the generated files of the checkout current? usage: check-generated.sh FOLDER
# FOLDER holds what `make generate` would write.
set -euo pipefail
fresh=$1
bad=0
while IFS= read -r file; do
    if ! cmp -s "$fresh/$file" "$file"; then
        echo "$file is not current"
        bad=1
    fi
done < <(cd "$fresh" && find . -type f | sed 's|^\./||' | sort)
for file in docs/reference/*.md; do
    if [ ! -e "$fresh/$file" ]; then
        echo "$file is of something that is gone"
        bad=1
    fi
done
[ $bad -eq 0 ] || echo "run: make generate"
exit $bad
