/* SPDX-License-Identifier: Apache-2.0 */
/* What is in step, what runs, what is next: the answer behind `weir status`. */
#include "base/arena.h"
#include "core/value.h"
#include "runtime/api/call.h"
#include "runtime/api/shapes.h"

/* Number of executions in any of the states. */
static bool count_states(struct call *call,
                         struct store_reader *reader,
                         const char *const *names,
                         size_t count,
                         int64_t *out,
                         struct error *err)
{
    struct filter filter = {
        .field = FIELD_STATE, .match = MATCH_IN, .values = names, .values_count = count
    };
    struct query query = { .filters = &filter, .filters_count = 1, .sort = FIELD_COUNT };
    struct execution_row *rows = NULL;
    size_t rows_count = 0;
    return reader->ops->execution_search(reader, call->arena, &query, false, &rows, &rows_count,
                                         out, err);
}

static bool put_states(struct call *call,
                       struct store_reader *reader,
                       struct value_builder *map,
                       struct error *err)
{
    static const char *const running[] = { "RUNNING", "KILLING", "RESTARTED" };
    static const char *const queued[] = { "QUEUED" };
    static const char *const waiting[] = { "CREATED", "PAUSED", "RETRYING", "BREAKPOINT" };
    static const struct {
        const char *name;
        const char *const *states;
        size_t count;
    } groups[] = {
        { "running", running, 3 },
        { "queued", queued, 1 },
        { "waiting", waiting, 4 },
    };
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        int64_t total = 0;
        if (!count_states(call, reader, groups[i].states, groups[i].count, &total, err))
            return false;
        value_put_int(map, groups[i].name, total);
    }
    return true;
}

static bool put_day(struct call *call,
                    struct store_reader *reader,
                    struct value_builder *map,
                    struct error *err)
{
    usec_t now = clock_now();
    usec_t from = now - USEC_DAY;
    struct value_builder day = value_build(call->arena);
    for (size_t state = 0; state < STATE_COUNT; state++) {
        if (!states[state].is_terminal)
            continue;
        const char *name = states[state].name;
        struct filter filters[] = {
            { .field = FIELD_STATE, .match = MATCH_EQUAL, .values = &name, .values_count = 1 },
            { .field = FIELD_START, .match = MATCH_GREATER_EQUAL, .at = from },
        };
        struct query query = { .filters = filters, .filters_count = 2, .sort = FIELD_COUNT };
        struct execution_row *rows = NULL;
        size_t count = 0;
        int64_t total = 0;
        if (!reader->ops->execution_search(reader, call->arena, &query, false, &rows, &count,
                                           &total, err))
            return false;
        if (total > 0)
            value_put_int(&day, name, total);
    }
    value_put(map, "last24h", value_build_map(&day));
    return true;
}

static void get_status(struct call *call)
{
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return;
    struct error err = { 0 };
    const struct api_config *config = &call->api->config;
    struct driver_counts counts = driver_counts(config->driver);
    struct value_builder map = value_build(call->arena);
    value_put_text(&map, "version", config->version);
    put_time(&map, "startedAt", call->api->started_at);
    value_put(&map, "sources",
              config->sources == NULL ? &value_empty_list
                                      : config->sources(config->sources_data, call->arena));

    struct query query = { .sort = FIELD_COUNT };
    struct flow_row *flows = NULL;
    size_t flows_count = 0;
    int64_t total = 0;
    if (!reader->ops->flow_search(reader, call->arena, &query, false, &flows, &flows_count, &total,
                                  &err)) {
        reply_failure(call, &err);
        return;
    }
    value_put_int(&map, "flows", total);
    value_put_int(&map, "schedules", (int64_t)counts.triggers);
    put_time(&map, "nextFire", counts.next_fire == USEC_NEVER ? 0 : counts.next_fire);
    put_time(&map, "storeFailingSince", counts.store_failing_since);
    if (!put_states(call, reader, &map, &err) || !put_day(call, reader, &map, &err)) {
        reply_failure(call, &err);
        return;
    }
    reply_value(call, 200, value_build_map(&map));
}

const struct route status_routes[] = {
    { "GET", "weir/status", get_status, .shape = "Status",
      .doc = "Sources with the commit applied, what runs, queues and waits, and what is next." },
    { 0 },
};
