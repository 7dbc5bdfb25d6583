# Which folder may include which: architecture.md, section 2. Usage: awk -f tools/check-layers.awk FILES
BEGIN {
    allow["base"] = "base"
    allow["core"] = "base core"
    allow["agent"] = "base core agent"
    allow["reconciler"] = "base core reconciler"
    allow["runtime/engine"] = "base core runtime/engine"
    allow["runtime/scheduler"] = "base core runtime/engine runtime/scheduler"
    allow["runtime/store"] = "base core runtime/engine runtime/scheduler runtime/store"
    allow["runtime/storage"] = "base core runtime/worker runtime/storage"
    allow["runtime/secrets"] = "base core runtime/worker runtime/secrets"
    allow["runtime/runners"] = "base core runtime/worker runtime/storage runtime/runners"
    allow["runtime/worker"] = "base core runtime/engine runtime/scheduler runtime/store runtime/worker runtime/storage runtime/runners"
    allow["runtime/tasks"] = "base core runtime/engine runtime/worker runtime/storage runtime/runners runtime/tasks"
    allow["runtime/triggers"] = "base core runtime/worker runtime/triggers"
    allow["runtime/driver"] = "base core runtime/engine runtime/scheduler runtime/store runtime/worker runtime/triggers runtime/storage runtime/driver"
    allow["runtime/api"] = "base core runtime/engine runtime/scheduler runtime/store runtime/driver runtime/worker runtime/storage runtime/api"
    # Conditions are pure values; the pure folders may ask them.
    extra["runtime/engine"] = "runtime/triggers/condition.h"
    extra["runtime/api"] = "runtime/triggers/condition.h"
    # Polling triggers are evaluated on a worker.
    extra["runtime/worker"] = "runtime/triggers/trigger.h"
    extra["runtime/scheduler"] = "runtime/triggers/condition.h runtime/triggers/trigger.h"
    # The list of everything built in.
    anyone = "runtime/plugins.h"
}

function folder_of(path,    n, parts) {
    n = split(path, parts, "/")
    if (parts[1] == "runtime" && n > 2)
        return parts[1] "/" parts[2]
    return parts[1]
}

function listed(list, word) {
    return index(" " list " ", " " word " ") > 0
}

/^#include "/ {
    from = folder_of(FILENAME)
    if (!(from in allow))
        next
    path = $2
    gsub(/"/, "", path)
    if (listed(allow[from], folder_of(path)) || listed(extra[from], path))
        next
    printf "%s:%d: %s may not include %s\n", FILENAME, FNR, from, path
    bad = 1
}

# One door per library.
/^#include <(curl|git2|sqlite3|libpq|jansson|yaml|microhttpd|openssl)/ {
    doors["curl"] = "base/http"; doors["git2"] = "base/git"; doors["sqlite3"] = "base/sql_sqlite"
    doors["jansson"] = "core/json"; doors["yaml"] = "core/yaml"
    doors["microhttpd"] = "base/httpd"; doors["openssl"] = "base/digest"
    for (name in doors)
        if ($2 ~ "^<" name && index(FILENAME, doors[name]) != 1) {
            printf "%s:%d: %s has one door, %s\n", FILENAME, FNR, $2, doors[name]
            bad = 1
        }
}

END { exit bad }
