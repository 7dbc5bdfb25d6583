/* SPDX-License-Identifier: Apache-2.0 */
/* Parsed flows, kept while they are used. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/diag.h"
#include "core/expr/expr.h"
#include "core/flow.h"
#include "runtime/driver/driver_internal.h"

/* Memory for parsed flows that are kept: some thousands of ordinary size, which take 4 KiB each. */
#define FLOWS_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* What an entry takes beside its flow: itself, its names and its slots in two maps. */
#define ENTRY_BYTES 512U

static char *name_of(struct arena *arena, const char *namespace, const char *id)
{
    return arena_printf(arena, "%s/%s", namespace, id);
}

static void entry_free(struct driver *driver, struct flow_entry *entry)
{
    list_remove(&entry->link);
    driver->flows_bytes -= entry->bytes;
    map_remove(&driver->flows, entry->name);
    struct flow_entry *latest = map_find(&driver->latest, entry->short_name);
    if (latest == entry)
        map_remove(&driver->latest, entry->short_name);
    flow_unref(entry->flow);
    free(entry->name);
    free(entry->short_name);
    free(entry->mistake);
    free(entry);
}

/* What is wrong with a stored flow, in one line. */
static char *mistake_of(const struct diag_list *findings)
{
    const struct diag *diag;
    VEC_EACH(diag, &findings->all)
        if (diag->level == DIAG_ERROR)
            return check_strdup(diag->api != NULL ? diag->api : diag->message);
    return check_strdup("it cannot be parsed");
}

/* Parses a stored flow; NULL with *mistake, which is the caller's. */
static struct flow *parse_row(const struct driver_config *config,
                              const struct flow_row *row,
                              char **mistake)
{
    struct arena *arena = arena_new();
    struct flow_options options = {
        .namespace = row->namespace,
        .defaults = config->plugin_defaults,
        .lenient = true,
    };
    struct diag_list findings = { .arena = arena };
    struct flow *flow =
        flow_parse(config->plugins, row->source, row->source_length, &options, &findings);
    if (flow == NULL) {
        *mistake = mistake_of(&findings);
    } else {
        flow->revision = row->revision;
        flow->disabled |= row->disabled;
    }
    arena_free(arena);
    return flow;
}

struct flow *flow_load(const struct driver_config *config,
                       struct store_reader *reader,
                       const char *namespace,
                       const char *id,
                       int64_t revision,
                       struct error *err)
{
    struct flow_row row;
    struct flow *flow = NULL;
    char *mistake = NULL;
    struct arena *arena = arena_new();
    if (reader->ops->flow_get(reader, arena, namespace, id, revision, revision > 0, &row, err)) {
        flow = parse_row(config, &row, &mistake);
        if (flow == NULL)
            error_set(err, ERR_CONFLICT, "Cannot execute an invalid flow: %s", mistake);
        free(mistake);
    }
    arena_free(arena);
    return flow;
}

/* Compiled templates are added to a flow while it is used. */
static void count_bytes(struct driver *driver, struct flow_entry *entry)
{
    const struct flow *flow = entry->flow;
    size_t bytes = ENTRY_BYTES;
    if (flow != NULL)
        bytes += arena_held(flow->arena) + expr_cache_held(flow->cache);
    driver->flows_bytes += bytes - entry->bytes;
    entry->bytes = bytes;
}

static struct flow_entry *entry_make(struct driver *driver, const struct flow_row *row)
{
    struct flow_entry *entry = check_calloc(1, sizeof(*entry));
    entry->flow = parse_row(&driver->config, row, &entry->mistake);
    return entry;
}

static struct flow_entry *entry_load(struct driver *driver,
                                     const char *namespace,
                                     const char *id,
                                     int64_t revision,
                                     struct error *err)
{
    struct flow_row row;
    struct arena *arena = arena_new();
    struct flow_entry *entry = NULL;
    if (driver_read(driver, err) && driver->reader->ops->flow_get(driver->reader, arena, namespace,
                                                                  id, revision, false, &row, err)) {
        char *short_name = name_of(arena, namespace, id);
        char *name = arena_printf(arena, "%s/%lld", short_name, (long long)row.revision);
        entry = map_find(&driver->flows, name);
        if (entry == NULL) {
            entry = entry_make(driver, &row);
            entry->name = check_strdup(name);
            entry->short_name = check_strdup(short_name);
            list_push(&driver->flow_order, &entry->link);
            map_put(&driver->flows, name, entry);
        }
        if (revision == 0)
            map_put(&driver->latest, short_name, entry);
    }
    arena_free(arena);
    return entry;
}

/* From the cache; without the cost of a copy of the name for the common short ones. */
static struct flow_entry *entry_find(struct driver *driver,
                                     const char *namespace,
                                     const char *id,
                                     int64_t revision)
{
    char name[512];
    int length = revision == 0 ? snprintf(name, sizeof(name), "%s/%s", namespace, id)
                               : snprintf(name, sizeof(name), "%s/%s/%lld", namespace, id,
                                          (long long)revision);
    if (length < 0 || (size_t)length >= sizeof(name))
        return NULL;
    return map_find(revision == 0 ? &driver->latest : &driver->flows, name);
}

struct flow *flows_get(struct driver *driver,
                       const char *namespace,
                       const char *id,
                       int64_t revision,
                       struct error *err)
{
    struct flow_entry *entry = entry_find(driver, namespace, id, revision);
    if (entry == NULL)
        entry = entry_load(driver, namespace, id, revision, err);
    if (entry == NULL)
        return NULL;
    list_remove(&entry->link);
    list_push(&driver->flow_order, &entry->link);
    count_bytes(driver, entry);
    if (entry->flow == NULL)
        error_set(err, ERR_CONFLICT, "Cannot execute an invalid flow: %s", entry->mistake);
    return entry->flow;
}

void flows_changed(struct driver *driver, const char *namespace, const char *id)
{
    char *name = name_of(driver->arena, namespace, id);
    map_remove(&driver->latest, name);
}

void flows_trim(struct driver *driver)
{
    while (driver->flows_bytes > FLOWS_BYTES_MAX)
        entry_free(driver, LIST_OWNER(driver->flow_order.next, struct flow_entry, link));
}

void flows_free(struct driver *driver)
{
    while (!list_is_empty(&driver->flow_order))
        entry_free(driver, LIST_OWNER(driver->flow_order.next, struct flow_entry, link));
    map_free(&driver->flows);
    map_free(&driver->latest);
}
