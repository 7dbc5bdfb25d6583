/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_local.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/wire.h"
#include "core/config.h"
#include "core/diag.h"
#include "core/value.h"
#include "runtime/api/shapes.h"
#include "runtime/driver/driver.h"
#include "runtime/engine/execution.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"

/* Flows of the same folder that are offered as subflows. */
#define NEIGHBOURS_MAX 1000U

/* ---- flows ---- */

struct loader {
    struct command_line *line;
    struct runtime *runtime;
    VEC(struct flow_change) changes;
    struct map mistaken; /* "namespace/id" of flows that cannot be parsed -> path of the file */
};

static void print_findings(const struct diag_list *findings, const char *source)
{
    struct buf out = { 0 };
    for (size_t i = 0; i < findings->all.count; i++) {
        if (findings->all.items[i].level == DIAG_ERROR ||
            findings->all.items[i].level == DIAG_WARNING)
            diag_render(&out, &findings->all.items[i], source,
                        output_paint(2, PAINT_RED)[0] != '\0');
    }
    (void)fputs(buf_text(&out), stderr);
    buf_free(&out);
}

/* Keeps in mind that a flow is there, but cannot be run. */
static void note_mistaken(struct loader *loader,
                          const char *source,
                          size_t length,
                          const char *path)
{
    struct arena *arena = loader->line->arena;
    const char *namespace = NULL;
    const char *id = NULL;
    if (flow_identity(arena, source, length, &namespace, &id))
        (void)map_put(&loader->mistaken,
                      arena_printf(arena, "%s/%s", namespace == NULL ? "local" : namespace, id),
                      arena_strdup(arena, path));
}

/* Parses a file and adds it to the batch; NULL when it is no valid flow (said when it must be). */
static struct flow *load(struct loader *loader, const char *path, bool must, struct error *err)
{
    struct arena *arena = loader->line->arena;
    size_t length = 0;
    const char *source = fs_read(arena, path, FLOW_BYTES_MAX, &length, err);
    if (source == NULL)
        return NULL;
    struct diag_list findings = diag_list_new(arena, path);
    struct flow_options options = {
        .file = path,
        .namespace = "local",
        .defaults = loader->runtime->plugin_defaults,
    };
    struct flow *flow = flow_parse(loader->runtime->plugins, source, length, &options, &findings);
    if (must)
        print_findings(&findings, source);
    if (flow == NULL) {
        note_mistaken(loader, source, length, path);
        (void)error_set(err, ERR_INVALID, "'%s' is not a valid flow", path);
        return NULL;
    }
    struct flow_change *change = VEC_PUSH_ARENA(arena, &loader->changes);
    flow_change_fill(arena, flow, loader->runtime->zone, change);
    return flow;
}

/* Other flows of the folder, so that subflows are found; what is no flow is left out. */
static void load_neighbours(struct loader *loader, const char *path)
{
    struct arena *arena = loader->line->arena;
    const char *slash = strrchr(path, '/');
    const char *folder =
        slash == NULL ? "." : arena_strndup(arena, path, (size_t)(slash - path) + 1);
    struct stat self;
    struct stat other;
    DIR *entries = opendir(folder);
    if (entries == NULL || stat(path, &self) != 0)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (!str_ends(entry->d_name, ".yml") && !str_ends(entry->d_name, ".yaml"))
            continue;
        const char *name = arena_printf(arena, "%s/%s", folder, entry->d_name);
        if (stat(name, &other) != 0 || other.st_ino == self.st_ino ||
            loader->changes.count > NEIGHBOURS_MAX)
            continue;
        flow_unref(load(loader, name, false, NULL));
    }
    (void)closedir(entries);
}

/* A subflow whose file has mistakes is not simply missing: says so before the run does. */
static void warn_of_mistaken(struct loader *loader, const struct flow *flow)
{
    struct arena *arena = loader->line->arena;
    size_t count = 0;
    const struct flow_reference *references = flow_references(flow, arena, &count);
    for (size_t i = 0; i < count; i++) {
        const char *namespace = references[i].namespace;
        if (references[i].kind != REF_SUBFLOW)
            continue;
        const char *key = arena_printf(
            arena, "%s/%s", namespace == NULL ? flow->namespace : namespace, references[i].name);
        const char *path = map_remove(&loader->mistaken, key); // each once
        if (path != NULL)
            (void)fprintf(stderr,
                          "%swarning:%s subflow '%s' is left out because of mistakes in its file; "
                          "see: weir validate %s\n",
                          output_paint(2, PAINT_YELLOW), output_paint(2, PAINT_OFF), key, path);
    }
}

/* ---- watching ---- */

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_news;
    bool is_done;
};

static void on_notice(void *data, const struct execution_notice *notice)
{
    struct waiting *waiting = data;
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->is_news = true;
    waiting->is_done = waiting->is_done || notice->fully_ended;
    (void)pthread_cond_signal(&waiting->changed);
    (void)pthread_mutex_unlock(&waiting->lock);
}

/* Sleeps until something changed; whether it has ended. */
static bool wait_for_news(struct waiting *waiting)
{
    (void)pthread_mutex_lock(&waiting->lock);
    while (!waiting->is_news)
        (void)pthread_cond_wait(&waiting->changed, &waiting->lock);
    waiting->is_news = false;
    bool is_done = waiting->is_done;
    (void)pthread_mutex_unlock(&waiting->lock);
    return is_done;
}

static const struct value *read_execution(struct store_reader *reader,
                                          struct arena *arena,
                                          const char *id,
                                          int64_t *key,
                                          struct error *err)
{
    struct execution_row row;
    if (!reader->ops->execution_get(reader, arena, id, &row, err))
        return NULL;
    struct execution *execution = execution_row_decode(&row, NULL, err);
    if (execution == NULL)
        return NULL;
    *key = row.key;
    const struct value *value = value_copy(arena, execution_to_value(execution, arena));
    execution_free(execution);
    return value;
}

static const struct value *read_logs(struct runtime *runtime,
                                     struct store_reader *reader,
                                     struct arena *arena,
                                     int64_t key)
{
    struct query query = { .sort = FIELD_START, .limit = 100000 };
    struct log_line *lines = NULL;
    size_t count = 0;
    struct value_builder list = value_build(arena);
    if (logstore_search(runtime->logs, reader, arena, key, &query, &lines, &count, NULL, NULL)) {
        for (size_t i = 0; i < count; i++)
            value_add(&list, shape_log_line(arena, &lines[i]));
    }
    return value_build_list(&list);
}

static int follow(struct command_line *line, struct runtime *runtime, const char *id)
{
    struct error err = { 0 };
    struct waiting waiting = { .is_news = true };
    CHECK(pthread_mutex_init(&waiting.lock, NULL) == 0);
    CHECK(pthread_cond_init(&waiting.changed, NULL) == 0);
    struct driver_watch *watch = driver_watch(runtime->driver, id, on_notice, &waiting);
    struct store_reader *reader = store_reader_open(runtime->store, &err);
    struct follow printed = { .all_logs = true };
    size_t logs_seen = 0;
    int status = EXIT_ERROR;
    const struct value *execution = NULL;
    bool is_done = false;
    // it may have ended before the watch began
    while (reader != NULL) {
        is_done = wait_for_news(&waiting) || is_done;
        AUTO_ARENA struct arena *scratch = arena_new();
        int64_t key = 0;
        execution = read_execution(reader, scratch, id, &key, &err);
        if (execution == NULL)
            break;
        const struct value *logs = read_logs(runtime, reader, scratch, key);
        for (; logs_seen < value_count(logs); logs_seen++)
            follow_log(&printed, scratch, value_item(logs, logs_seen));
        follow_update(&printed, scratch, execution);
        const char *state = value_get_text(value_get(execution, "state"), "current", "");
        enum state current;
        bool is_final = state_parse(state, &current) && states[current].is_terminal;
        if (is_done || is_final) {
            struct driver_request wait = { .type = REQUEST_WAIT, .arena = scratch, .wait_for = id };
            (void)driver_call(runtime->driver, &wait, &err);
            execution = read_execution(reader, scratch, id, &key, &err);
            logs = read_logs(runtime, reader, scratch, key);
            if (execution != NULL)
                status = follow_end(&printed, scratch, execution, logs, NULL);
            break;
        }
    }
    if (execution == NULL)
        status = command_fail(line, &err);
    driver_unwatch(runtime->driver, watch);
    store_reader_free(reader);
    follow_free(&printed);
    return status;
}

/* ---- starting ---- */

/* --input NAME=VALUE as texts; NAME=@FILE as a file:// URI of an absolute path. */
static const struct value *inputs_of(struct command_line *line, const char **bad)
{
    struct value_builder inputs = value_build(line->arena);
    const char **given = line_options(line, "input");
    for (size_t i = 0; given[i] != NULL; i++) {
        const char *equals = strchr(given[i], '=');
        if (equals == NULL || equals == given[i]) {
            *bad = given[i];
            return NULL;
        }
        const char *value = equals + 1;
        if (value[0] == '@') {
            char *real = realpath(value + 1, NULL);
            if (real == NULL) {
                *bad = given[i];
                return NULL;
            }
            value = arena_printf(line->arena, "file://%s", real);
            free(real);
        }
        value_put_n(&inputs, given[i], (size_t)(equals - given[i]),
                    value_string(line->arena, value));
    }
    return value_build_map(&inputs);
}

static int start(struct command_line *line, struct runtime *runtime, const char *path)
{
    struct error err = { 0 };
    struct loader loader = { .line = line, .runtime = runtime };
    struct flow *flow = load(&loader, path, true, &err);
    if (flow == NULL)
        return command_fail(line, &err);
    load_neighbours(&loader, path);
    warn_of_mistaken(&loader, flow);
    map_free(&loader.mistaken);

    const char *bad = NULL;
    struct driver_request deploy = { .type = REQUEST_CHANGE, .arena = line->arena };
    deploy.change.origin = (struct origin){ .actor = "weir", .channel = "cli" };
    deploy.change.flows = loader.changes.items;
    deploy.change.flows_count = loader.changes.count;
    struct driver_request create = { .type = REQUEST_CREATE, .arena = line->arena };
    create.create.namespace = arena_strdup(line->arena, flow->namespace);
    create.create.flow_id = arena_strdup(line->arena, flow->id);
    create.create.given = inputs_of(line, &bad);
    flow_unref(flow);
    if (bad != NULL)
        return command_usage(line, "'%s' is not NAME=VALUE, or its file is not there", bad);
    if (!driver_call(runtime->driver, &deploy, &err) ||
        !driver_call(runtime->driver, &create, &err))
        return command_fail(line, &err);
    return follow(line, runtime, create.execution.id.text);
}

int run_local(struct command_line *line)
{
    struct error err = { 0 };
    struct config_sources sources = { .environment = environ };
    struct config_override override = { "files.allowed", "[/]" };
    sources.overrides = &override;
    sources.overrides_count = 1;
    struct diag_list findings = diag_list_new(line->arena, NULL);
    const struct config *config = config_load(line->arena, &sources, &findings);
    if (config == NULL) {
        print_findings(&findings, NULL);
        return EXIT_ERROR;
    }
    // only what goes wrong in the machinery; the flow's own lines are printed as they come
    log_open(&(struct log_options){ .level = LOG_WARN, .fd = STDERR_FILENO });

    const char *base = getenv("TMPDIR");
    char *folder = arena_printf(line->arena, "%s/weir-run-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(folder) == NULL) {
        (void)error_set(&err, ERR_UNAVAILABLE, "no temporary folder can be made in TMPDIR");
        return command_fail(line, &err);
    }
    struct runtime_options options = { .config = config, .data = folder, .is_volatile = true };
    struct runtime *runtime = runtime_start(&options, &err);
    int status =
        runtime == NULL ? command_fail(line, &err) : start(line, runtime, line->arguments[0]);
    runtime_stop(runtime);
    (void)fs_remove_tree(folder, NULL); // a leftover of a temporary folder is no failure
    return status;
}
