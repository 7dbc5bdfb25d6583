/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An execution as it changes, and the executions that depend on one (api.md 2.2.6).
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/map.h"
#include "core/value.h"
#include "runtime/api/graph.h"
#include "runtime/api/readers.h"
#include "runtime/api/shapes.h"
#include "runtime/api/streams_internal.h"

static bool is_over(const struct execution_row *row)
{
    return states[row->state].is_terminal && row->live == LIVE_ENDED;
}

/* ---- one execution ---- */

/* Reads the execution and writes one event. */
static bool execution_step(struct stream *stream)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct error err = { 0 };
    struct store_reader *reader = readers_take(stream->api->readers, &err);
    if (reader == NULL)
        return false; // a later change or tick tries again
    struct execution_row row;
    bool found = reader->ops->execution_get(reader, arena, stream->execution_id, &row, &err);
    readers_put(stream->api->readers, reader);
    if (!found)
        return err.code == ERR_NOT_FOUND; // deleted meanwhile

    struct buf event = { 0 };
    bool is_ended = is_over(&row);
    buf_printf(&event, "id: %s\ndata: ", is_ended ? "end" : "progress");
    if (!shape_execution(&event, arena, &stream->api->config, &row, NULL, &err)) {
        buf_free(&event);
        return true; // cannot be shown: nothing better comes later
    }
    buf_puts(&event, "\n\n");

    // an event that finds no room is dropped: the next change brings a newer one
    enum httpd_write result = stream_send(stream, &event, is_ended);
    buf_free(&event);
    return is_ended || result == HTTPD_GONE;
}

/* On the driver's thread. */
static void on_notice(void *data, const struct execution_notice *notice)
{
    (void)notice;
    stream_changed(data);
}

void stream_execution(struct call *call, const struct execution_row *row)
{
    struct stream *stream = stream_open(call, row);
    if (stream == NULL)
        return;
    stream->step = execution_step;
    struct value_builder map = value_build(stream->arena);
    value_put_text(&map, "id", stream->execution_id);
    struct buf event = { 0 };
    stream_event(&event, "start", value_build_map(&map));
    (void)stream_send(stream, &event, false);
    buf_free(&event);

    // watched first, read then: no change is missed
    stream->watch =
        driver_watch(stream->api->config.driver, stream->execution_id, on_notice, stream);
    stream_start(stream);
}

/* ---- executions that depend on one ---- */

/* Executions of one correlation that are followed. */
#define RELATED_MAX 1000U

/*
 * When everything known has ended but not every flow has run: flows that are triggered by the end
 * of another one start within this span, and some never do.
 */
#define QUIET_SPAN (5 * USEC_SEC)

struct related {
    enum state state;
    bool is_ended;
};

struct dependencies {
    struct arena *arena;
    const char *correlation;
    struct map flows; /* "namespace\nid", to itself; only read once the stream is open */
    struct map seen;  /* execution id -> struct related; for the owner of the connection */
};

static void dependencies_free(void *own)
{
    struct dependencies *related = own;
    map_free(&related->flows);
    map_free(&related->seen);
}

/* No name of a flow is longer than the key. */
static bool has_flow(const struct dependencies *related, const char *namespace, const char *id)
{
    char key[1024];
    size_t first = strlen(namespace);
    size_t second = strlen(id);
    if (first + second + 1 > sizeof(key))
        return false;
    memcpy(key, namespace, first);
    key[first] = '\n';
    memcpy(key + first + 1, id, second);
    return map_find_bytes(&related->flows, key, first + second + 1) != NULL;
}

static const struct value *status_of(struct stream *stream,
                                     struct arena *arena,
                                     const struct execution_row *row)
{
    struct error ignored = { 0 };
    struct execution *execution = execution_row_decode(row, NULL, &ignored);
    struct value_builder map = value_build(arena);
    value_put_text(&map, "executionId", row->id.text);
    value_put_text(&map, "tenantId", stream->api->config.tenant);
    value_put_text(&map, "namespace", row->namespace);
    value_put_text(&map, "flowId", row->flow_id);
    if (execution != NULL) // a damaged one is told without its state
        value_put(&map, "state", value_get(execution_to_value(execution, arena), "state"));
    const struct value *status = value_build_map(&map);
    execution_free(execution);
    return status;
}

static bool send_status(struct stream *stream, const char *id, const struct value *status)
{
    struct buf event = { 0 };
    stream_event(&event, id, status);
    bool ok = stream_send(stream, &event, true) == HTTPD_WRITTEN;
    buf_free(&event);
    return ok;
}

/* What is new of one execution; false when the client is gone. */
static bool tell(struct stream *stream, struct arena *arena, const struct execution_row *row)
{
    struct dependencies *related = stream->own;
    struct related *known = map_find(&related->seen, row->id.text);
    bool is_new = known == NULL;
    if (is_new) {
        known = ARENA_NEW(related->arena, struct related);
        known->state = row->state;
        (void)map_put(&related->seen, row->id.text, known);
    }
    bool ends = is_over(row) && !known->is_ended;
    bool moves = known->state != row->state && !ends;
    known->state = row->state;
    known->is_ended = is_over(row);
    if (!is_new && !moves && !ends)
        return true;
    const struct value *status = status_of(stream, arena, row);
    return (!is_new || send_status(stream, "start", status)) &&
           (!moves || send_status(stream, "progress", status)) &&
           (!ends || send_status(stream, "end", status));
}

/* Reads the executions of the correlation, writes events; says when everything has ended. */
static bool dependencies_step(struct stream *stream)
{
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct dependencies *related = stream->own;
    struct error err = { 0 };
    struct filter filter = {
        .field = FIELD_LABEL,
        .match = MATCH_EQUAL,
        .key = "system.correlationId",
        .values = &related->correlation,
        .values_count = 1,
    };
    struct query query = {
        .filters = &filter,
        .filters_count = 1,
        .sort = FIELD_CREATED,
        .limit = RELATED_MAX,
    };
    struct execution_row *rows = NULL;
    size_t count = 0;
    struct store_reader *reader = readers_take(stream->api->readers, &err);
    bool ok = reader != NULL && reader->ops->execution_search(reader, arena, &query, false, &rows,
                                                              &count, NULL, &err);
    readers_put(stream->api->readers, reader);
    if (!ok)
        return false; // a later change or tick tries again

    struct map ran = { 0 };
    bool is_running = false;
    const struct execution_row *last = NULL;
    for (size_t i = 0; i < count && ok; i++) {
        if (!has_flow(related, rows[i].namespace, rows[i].flow_id))
            continue;
        last = &rows[i];
        is_running = is_running || !is_over(last);
        (void)map_put(&ran, arena_printf(arena, "%s\n%s", last->namespace, last->flow_id), &ran);
        ok = tell(stream, arena, last);
    }
    bool all_ran = ran.count == related->flows.count;
    map_free(&ran);
    if (!ok)
        return true;

    usec_t now = clock_monotonic();
    usec_t quiet_since = atomic_load(&stream->event_at);
    if (is_running) {
        atomic_store(&stream->look_at, 0);
        return false;
    }
    if (!all_ran && now - quiet_since < QUIET_SPAN) {
        atomic_store(&stream->look_at, quiet_since + QUIET_SPAN);
        return false;
    }
    const struct value *status =
        last != NULL ? status_of(stream, arena, last) : (const struct value *)&value_empty_map;
    (void)send_status(stream, "end-all", status);
    return true;
}

/* On the driver's thread. */
static void on_any_notice(void *data, const struct execution_notice *notice)
{
    struct stream *stream = data;
    if (has_flow(stream->own, notice->namespace, notice->flow_id))
        stream_changed(stream);
}

void stream_dependencies(struct call *call,
                         const struct execution_row *row,
                         const char *correlation,
                         const struct flow_name *flows,
                         size_t count)
{
    struct arena *arena = arena_new_sized(1024);
    struct dependencies *related = ARENA_NEW(arena, struct dependencies);
    related->arena = arena;
    related->correlation = arena_strdup(arena, correlation);
    for (size_t i = 0; i < count; i++)
        (void)map_put(&related->flows,
                      arena_printf(arena, "%s\n%s", flows[i].namespace, flows[i].id), related);
    struct stream *stream = stream_open(call, row);
    if (stream == NULL) {
        dependencies_free(related);
        arena_free(arena);
        return;
    }
    arena_free(stream->arena);
    stream->arena = arena;
    stream->own = related;
    stream->own_free = dependencies_free;
    stream->step = dependencies_step;
    stream->watch = driver_watch(stream->api->config.driver, NULL, on_any_notice, stream);
    stream_start(stream);
}
