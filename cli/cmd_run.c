/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `weir run NAMESPACE/FLOW` starts an execution on a server; `weir run flow.yml` runs one file here
 * and now, with no server.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/http.h"
#include "base/str.h"
#include "base/url.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/run_local.h"
#include "core/value.h"

/* Splits "name=value" (or, for labels, "name:value"). */
static bool split_pair(struct arena *arena,
                       const char *text,
                       const char *separators,
                       const char **name,
                       const char **value)
{
    size_t length = strcspn(text, separators);
    if (length == 0 || text[length] == '\0')
        return false;
    *name = arena_strndup(arena, text, length);
    *value = arena_strdup(arena, text + length + 1);
    return true;
}

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* --input name=@path gives a file, --input name=text a value. */
static struct http_part *parts_of(struct command_line *line, size_t *count, const char **bad)
{
    const char **inputs = line_options(line, "input");
    size_t total = 0;
    while (inputs[total] != NULL)
        total++;
    struct http_part *parts = ARENA_ARRAY(line->arena, total + 1, struct http_part);
    for (size_t i = 0; i < total; i++) {
        const char *name;
        const char *value;
        if (!split_pair(line->arena, inputs[i], "=", &name, &value)) {
            *bad = inputs[i];
            return NULL;
        }
        parts[i] = (struct http_part){ .name = name, .fd = -1 };
        if (value[0] == '@') {
            const char *slash = strrchr(value, '/');
            parts[i].path = value + 1;
            parts[i].file_name = slash == NULL ? value + 1 : slash + 1;
        } else {
            parts[i].bytes = value;
            parts[i].length = strlen(value);
        }
    }
    *count = total;
    return parts;
}

static const char *query_of(struct command_line *line, const char **bad)
{
    struct buf out = { 0 };
    buf_puts(&out, "?wait=false");
    const char **labels = line_options(line, "label");
    for (size_t i = 0; labels[i] != NULL; i++) {
        const char *name;
        const char *value;
        if (!split_pair(line->arena, labels[i], ":=", &name, &value)) {
            *bad = labels[i];
            break;
        }
        buf_printf(&out, "&labels=%s",
                   url_encode_text(line->arena, arena_printf(line->arena, "%s:%s", name, value)));
    }
    const char *revision = line_option(line, "revision");
    if (revision != NULL)
        buf_printf(&out, "&revision=%s", url_encode_text(line->arena, revision));
    char *query = buf_dup(&out, line->arena);
    buf_free(&out);
    return query;
}

/* How often a running execution is looked at: people see no difference, a server neither. */
#define LOOK_EVERY_USEC 150000

static bool has_ended(const struct value *execution)
{
    static const char *const ended[] = {
        "SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED",
    };
    const char *state = value_get_text(value_get(execution, "state"), "current", "");
    for (size_t i = 0; i < COUNT_OF(ended); i++) {
        if (strcmp(ended[i], state) == 0)
            return true;
    }
    return false;
}

/* One look: what is new since the last. Fills *status and returns true once it has ended. */
static bool look(struct command_line *line,
                 struct client *client,
                 struct follow *follow,
                 const char *id,
                 size_t *logs_seen,
                 int *status)
{
    AUTO_ARENA struct arena *scratch = arena_new();
    struct error err = { 0 };
    const struct value *execution =
        client_get(client, scratch, arena_printf(scratch, "executions/%s", id), &err);
    const struct value *logs =
        execution == NULL ? NULL
                          : client_get(client, scratch, arena_printf(scratch, "logs/%s", id), &err);
    if (logs == NULL) {
        *status = command_fail(line, &err);
        return true;
    }
    for (; *logs_seen < value_count(logs); ++*logs_seen)
        follow_log(follow, scratch, value_item(logs, *logs_seen));
    if (has_ended(execution)) {
        *status = follow_end(follow, scratch, execution, logs,
                             arena_printf(scratch, "weir restart %s", id));
        return true;
    }
    follow_update(follow, scratch, execution);
    return false;
}

static int follow_execution(struct command_line *line, struct client *client, const char *id)
{
    struct follow follow = { .all_logs = line_flag(line, "logs") };
    size_t logs_seen = 0;
    int status = EXIT_ERROR;
    while (!look(line, client, &follow, id, &logs_seen, &status))
        (void)usleep(LOOK_EVERY_USEC);
    follow_free(&follow);
    return status;
}

static int run_on_server(struct command_line *line)
{
    struct error err = { 0 };
    struct flow_name flow;
    if (!flow_name_parse(line->arena, line->arguments[0], &flow, &err))
        return command_fail(line, &err);
    const char *bad = NULL;
    size_t count = 0;
    struct http_part *parts = parts_of(line, &count, &bad);
    const char *query = query_of(line, &bad);
    if (bad != NULL)
        return command_usage(line, "'%s' is not NAME=VALUE", bad);

    struct client client = client_open(line);
    const char *path = arena_printf(line->arena, "executions/%s/%s%s",
                                    url_encode_text(line->arena, flow.namespace),
                                    url_encode_text(line->arena, flow.id), query);
    const struct value *created =
        count == 0 ? client_send(&client, line->arena, "POST", path, NULL, "", 0, &err)
                   : client_send_parts(&client, line->arena, "POST", path, parts, count, &err);
    if (created == NULL)
        return command_fail(line, &err);
    const char *id = value_get_text(created, "id", "");
    if (line_flag(line, "follow") || line_flag(line, "logs"))
        return follow_execution(line, &client, id);
    if (output_is_json())
        output_json(created);
    else
        (void)printf("started %s %s/%s revision %lld\n  weir logs -f %s\n", id, flow.namespace,
                     flow.id, (long long)value_get_int(created, "flowRevision", 0), id);
    return EXIT_OK;
}

static int run(struct command_line *line)
{
    return is_file(line->arguments[0]) ? run_local(line) : run_on_server(line);
}

static const struct option options[] = {
    { "input", 'i', OPTION_REPEAT, "NAME=VALUE",
      .doc = "Value of an input; NAME=@FILE gives a file. Repeat for several." },
    { "label", 0, OPTION_REPEAT, "NAME:VALUE", .doc = "Label of the execution." },
    { "follow", 'f', OPTION_FLAG,
      .doc = "Stay until it has ended; the exit status is its result." },
    { "logs", 0, OPTION_FLAG, .doc = "As --follow, with every log line." },
    { "revision", 0, OPTION_VALUE, "N", .doc = "Another revision than the latest." },
    { 0 },
};

static const char *const examples[] = {
    "weir run company.team/nightly --input day=2026-11-23 --follow",
    "weir run flows/hello.yml --input name=Ada",
    NULL,
};

const struct cli_command command_run = {
    .name = "run",
    .arguments = "NAMESPACE/FLOW | FILE",
    .summary = "start an execution, or run one flow file without a server",
    .doc = "A file is run here and now, in memory: no server, no store, nothing is left behind.",
    .options = options,
    .complete = COMPLETE_FLOW,
    .arguments_min = 1,
    .arguments_max = 1,
    .exits = "with --follow or a file: 0 only when it ended SUCCESS or WARNING",
    .examples = examples,
    .run = run,
    .needs_server = true,
};
