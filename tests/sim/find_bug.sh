#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# find_bug.sh PROGRAM ARGUMENTS NUMBER: the simulation has to find this planted bug.
found=$(BUG=$3 "$1" $2 2>&1 >/dev/null | head -1)
case $found in
seed*) echo "bug $3: $found" ;;
*)
    echo "bug $3 was not found by $1 $2: $found"
    exit 255 # xargs stops
    ;;
esac
