/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions whose answer comes from outside: all of them hand their arguments to struct expr_host.
 */
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "core/expr/eval.h"

/* Arguments by parameter name, absent ones left out. */
static const struct value *arguments(struct call *call)
{
    struct value_builder builder = value_build(call->ev->arena);
    for (size_t i = 0; i < call->count; i++) {
        struct name name = call_param(call, i);
        if (name.length > 0 && call->args[i] != NULL)
            value_put_n(&builder, name.text, name.length, call->args[i]);
    }
    return value_build_map(&builder);
}

/* Tells the host every text of a secret value. */
static void mask(const struct expr_host *host, const struct value *value)
{
    if (host->secret == NULL)
        return;
    if (value->kind == VALUE_STRING && value->string.length > 0)
        host->secret(host->data, value->string.bytes, value->string.length);
    for (size_t i = 0; value->kind == VALUE_MAP && i < value->map.count; i++)
        mask(host, value->map.members[i].value);
    for (size_t i = 0; value->kind == VALUE_LIST && i < value->list.count; i++)
        mask(host, value->list.items[i]);
}

static const struct value *run_effect(struct call *call)
{
    struct run *run = call->ev->run;
    const struct expr_host *host = run->env->host;
    struct error why = { 0 };
    if (host == NULL || host->call == NULL)
        return call_fail(call, "is not available here");
    const struct value *value =
        host->call(host->data, call->ev->arena, call->builtin->name, arguments(call), &why);
    if (value != NULL) {
        if ((call->builtin->flags & BUILTIN_SECRET) != 0)
            mask(host, value);
        return value;
    }
    if (why.code != ERR_UNAVAILABLE)
        return call_fail(call, "%s", why.text);
    *run->err = why;
    run->failure = EXPR_NEEDS;
    return NULL;
}

#define EFFECT (BUILTIN_EFFECT | BUILTIN_NEEDS_FIRST)

static const struct builtin rows[] = {
    { "appLink", "appId, baseUrl = false", run_effect, BUILTIN_EFFECT, "The address of an app." },
    { "credential", "key, namespace", run_effect, EFFECT | BUILTIN_SECRET,
      "A credential of the namespace." },
    { "errorLogs", "", run_effect, BUILTIN_EFFECT, "Error messages of this execution." },
    { "fileExists", "path, namespace", run_effect, EFFECT, "Is there such a file?" },
    { "fileSize", "path, namespace", run_effect, EFFECT, "Bytes of a file." },
    { "fileURI", "path, namespace, version", run_effect, EFFECT,
      "Internal storage URI of a namespace file." },
    { "http",
      "uri, method = 'GET', query, body, contentType = 'application/json', headers, "
      "options, accept = 'application/json'",
      run_effect, EFFECT, "The answer of a web service, parsed." },
    { "isFileEmpty", "path, namespace", run_effect, EFFECT, "Has the file no bytes?" },
    { "kv", "key, namespace, errorOnMissing = true", run_effect, EFFECT,
      "A value of the key-value store." },
    { "read", "path, namespace, version", run_effect, EFFECT, "The text of a file." },
    { "secret", "key, namespace, subkey, full = false", run_effect, EFFECT | BUILTIN_SECRET,
      "The value of a secret." },
    { "subflow", "namespace, id, inputs, revision, labels, timeout = 'PT1M'", run_effect, EFFECT,
      "Runs a flow and gives its outputs; only while inputs are resolved." },
};

const struct builtin_table functions_effect = { NODE_FUNCTION, rows, COUNT_OF(rows) };
