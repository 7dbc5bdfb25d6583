/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sources.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "cli/output.h"
#include "cli/reconcile_calls.h"
#include "cli/target_store.h"
#include "cli/wire.h"
#include "core/config.h"
#include "core/diag.h"
#include "core/plan.h"
#include "core/value.h"
#include "reconciler/notes.h"
#include "reconciler/reconcile.h"
#include "reconciler/target.h"

/* Findings of a held commit that status shows. */
#define FINDINGS_SHOWN 20U

/* What the last delivery of a source said; kept for status. */
struct delivered {
    struct arena *arena;
    const struct value *findings; /* list */
    usec_t applied_at;
    const char *said; /* reason of a hold that was logged; NULL none */
};

struct sources {
    struct runtime *runtime;
    struct arena *arena;
    struct agent *agent;
    const char **names; /* NULL-terminated */
    pthread_mutex_t lock;
    struct map delivered; /* name -> struct delivered */
    struct progress progress;
};

char *source_name(struct arena *arena, const char *address)
{
    size_t length = strlen(address);
    while (length > 1 && address[length - 1] == '/')
        length--;
    size_t from = length;
    for (int parts = 0; from > 0; from--) {
        if (strchr("/:", address[from - 1]) != NULL && ++parts == 2)
            break;
    }
    struct buf name = { 0 };
    for (size_t i = from; i < length; i++) {
        char c = address[i];
        buf_putc(&name, isalnum((unsigned char)c) || strchr("._-", c) != NULL ? c : '-');
    }
    const char *start = buf_text(&name);
    while (*start == '-' || *start == '.')
        start++;
    char *text = arena_strdup(arena, start[0] == '\0' ? "source" : start);
    buf_free(&name);
    return text;
}

/* ---- deliveries ---- */

/* said: what was logged about it, so that it is not logged again; may be NULL. */
static void remember(struct sources *sources,
                     const char *name,
                     const struct plan *plan,
                     usec_t applied_at,
                     const char *said)
{
    struct delivered *now = check_calloc(1, sizeof(*now));
    now->arena = arena_new();
    now->applied_at = applied_at;
    now->said = arena_strdup(now->arena, said);
    struct value_builder list = value_build(now->arena);
    for (size_t i = 0; plan != NULL && i < plan->findings.all.count && i < FINDINGS_SHOWN; i++) {
        if (plan->findings.all.items[i].level == DIAG_ERROR)
            value_add(&list, value_copy(now->arena,
                                        diag_to_value(now->arena, &plan->findings.all.items[i])));
    }
    now->findings = value_build_list(&list);
    (void)pthread_mutex_lock(&sources->lock);
    struct delivered *before = map_put(&sources->delivered, name, now);
    if (before != NULL && now->applied_at == 0)
        now->applied_at = before->applied_at;
    (void)pthread_mutex_unlock(&sources->lock);
    if (before != NULL) {
        arena_free(before->arena);
        free(before);
    }
}

/* "12 flows, 31 files, 4 entries created; 1 flow changed". */
static const char *summary_of(struct arena *arena, const struct plan *plan)
{
    static const char *const things[OBJECT_KINDS][2] = {
        [OBJECT_KV] = { "entry", "entries" },
        [OBJECT_FILE] = { "file", "files" },
        [OBJECT_FLOW] = { "flow", "flows" },
    };
    static const struct {
        enum plan_action action;
        const char *word;
    } actions[] = { { PLAN_CREATE, "created" },
                    { PLAN_UPDATE, "changed" },
                    { PLAN_DELETE, "deleted" } };
    struct buf out = { 0 };
    for (size_t a = 0; a < COUNT_OF(actions); a++) {
        size_t counts[OBJECT_KINDS] = { 0 };
        bool any = false;
        for (size_t i = 0; i < plan->changes.count; i++) {
            if (plan->changes.items[i].action == actions[a].action) {
                counts[plan->changes.items[i].key.kind]++;
                any = true;
            }
        }
        if (!any)
            continue;
        if (out.length > 0)
            buf_puts(&out, "; ");
        bool first = true;
        for (size_t k = OBJECT_KINDS; k-- > 0;) {
            if (counts[k] == 0)
                continue;
            buf_printf(&out, "%s%zu %s", first ? "" : ", ", counts[k],
                       things[k][counts[k] == 1 ? 0 : 1]);
            first = false;
        }
        buf_printf(&out, " %s", actions[a].word);
    }
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text[0] == '\0' ? "nothing to change" : text;
}

static const char *reasons_of(struct arena *arena, const struct plan *plan)
{
    struct buf out = { 0 };
    for (size_t i = 0; i < plan->holds.count; i++)
        buf_printf(&out, "%s%s", i == 0 ? "" : "; ", plan->holds.items[i].text);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

/* Was the same logged about the last delivery? A held commit is delivered every minute. */
static bool was_said(struct sources *sources, const char *name, const char *text)
{
    (void)pthread_mutex_lock(&sources->lock);
    const struct delivered *delivered = map_find(&sources->delivered, name);
    bool is_same = delivered != NULL && str_eq(delivered->said, text);
    (void)pthread_mutex_unlock(&sources->lock);
    return is_same;
}

/* When the commit that is in force was applied, perhaps before the last start; 0: none is. */
static usec_t applied_at(struct target *target, struct arena *arena, const char *source)
{
    struct head_note head;
    struct error ignored = { 0 }; // status does without it
    return head_note_load(target, arena, source, &head, &ignored) ? head.at : 0;
}

static void say_held(struct sources *sources,
                     const struct snapshot *snapshot,
                     const struct plan *plan,
                     const char *commit,
                     const char *reasons,
                     usec_t since)
{
    AUTO_ARENA struct arena *scratch = arena_new();
    const char *said = arena_printf(scratch, "%s %s", commit, reasons);
    if (!was_said(sources, snapshot->source, said))
        log_warn("commit held", LOG_STR("source", snapshot->source), LOG_STR("commit", commit),
                 LOG_STR("because", reasons));
    remember(sources, snapshot->source, plan, since, said);
}

static void say_applied(const struct snapshot *snapshot,
                        const struct plan *plan,
                        const char *commit,
                        const char *summary)
{
    bool is_current = plan->base != NULL && oid_equal(&plan->base->id, &plan->head.id);
    if (is_current && plan_is_empty(plan))
        log_info("in step", LOG_STR("source", snapshot->source), LOG_STR("commit", commit));
    else
        log_info("commit applied", LOG_STR("source", snapshot->source), LOG_STR("commit", commit),
                 LOG_STR("subject", snapshot->commit.subject),
                 LOG_STR("author", snapshot->commit.author), LOG_STR("changes", summary));
    if (snapshot->is_rewritten)
        log_warn("history was rewritten: what was applied last is no ancestor of this commit",
                 LOG_STR("source", snapshot->source), LOG_STR("commit", commit));
}

static enum delivery deliver(void *data,
                             const struct snapshot *snapshot,
                             struct arena *arena,
                             const char **summary,
                             struct error *err)
{
    struct sources *sources = data;
    struct runtime *runtime = sources->runtime;
    AUTO(target_freep) struct target *target = target_store_new(runtime, err);
    if (target == NULL)
        return DELIVERY_FAILED;
    struct reconcile_options options = {
        .plugins = runtime->plugins,
        .plugin_defaults = runtime->plugin_defaults,
        .now = clock_now(),
        .zone = runtime->zone,
        .sources = sources->names,
    };
    AUTO(plan_freep) struct plan *plan = reconcile_plan(snapshot, target, &options, err);
    if (plan == NULL) {
        remember(sources, snapshot->source, NULL, 0, NULL);
        return DELIVERY_FAILED;
    }
    char commit[OID_TEXT];
    oid_format(&snapshot->commit.id, commit);
    if (plan_is_held(plan)) {
        if (!reconcile_hold(snapshot, target, &options, plan, err))
            return DELIVERY_FAILED;
        *summary = reasons_of(arena, plan);
        say_held(sources, snapshot, plan, commit, *summary,
                 applied_at(target, arena, snapshot->source));
        return DELIVERY_HELD;
    }
    struct apply_options apply = { 0 };
    if (!reconcile_apply(snapshot, target, &options, &apply, plan, err))
        return DELIVERY_FAILED;
    remember(sources, snapshot->source, plan, applied_at(target, arena, snapshot->source), NULL);
    *summary = summary_of(arena, plan);
    say_applied(snapshot, plan, commit, *summary);
    return DELIVERY_APPLIED;
}

/* Long fetches show a bar on a terminal, a line now and then elsewhere. */
static void fetching(void *data, const char *source, const struct git_pack_progress *pack)
{
    struct sources *sources = data;
    (void)source;
    (void)pthread_mutex_lock(&sources->lock);
    // indexing follows receiving; both count as half
    progress_update(&sources->progress, ((int64_t)pack->received + pack->indexed) / 2,
                    pack->objects, "objects");
    if (pack->objects != 0 && pack->indexed >= pack->objects)
        progress_end(&sources->progress);
    (void)pthread_mutex_unlock(&sources->lock);
}

static bool applied(void *data, const char *source, struct oid *out)
{
    struct sources *sources = data;
    return target_store_applied(sources->runtime, source, out);
}

/* ---- status ---- */

/* Words of `weir status` for the agent's states. */
static const char *state_word(enum source_state state)
{
    switch (state) {
    case SOURCE_NEW:
        return "starting";
    case SOURCE_FETCHING:
    case SOURCE_APPLYING:
        return "fetching";
    case SOURCE_IN_STEP:
        return "in step";
    case SOURCE_HELD:
        return "held";
    case SOURCE_FAILING:
        return "error";
    }
    return "";
}

static void put_oid(struct value_builder *map, const char *key, const struct oid *oid)
{
    char text[OID_TEXT];
    if (oid_is_none(oid))
        return;
    oid_format(oid, text);
    value_put_text(map, key, text);
}

static void put_instant(struct value_builder *map, const char *key, usec_t at)
{
    if (at != 0)
        value_put_text(map, key, time_format_instant(map->arena, at));
}

static const struct value *source_value(struct sources *sources,
                                        struct arena *arena,
                                        const struct source_status *status)
{
    struct value_builder map = value_build(arena);
    value_put_text(&map, "name", status->name);
    value_put_text(&map, "address", status->shown);
    value_put_text(&map, "branch", status->branch);
    value_put_text(&map, "state", state_word(status->state));
    if (oid_is_none(&status->applied))
        value_put(&map, "applied", &value_null);
    else
        put_oid(&map, "applied", &status->applied);
    put_oid(&map, "seen", &status->tip);
    value_put_text(&map, "subject", status->subject);
    value_put_text(&map, "author", status->author);
    put_instant(&map, "committedAt", status->committed_at);
    put_instant(&map, "polledAt", status->polled_at);
    put_instant(&map, "failingSince", status->failing_since);
    value_put_text(&map, "summary", status->summary);
    if (status->error != NULL)
        value_put_text(&map, "message", status->error);
    else if (status->state == SOURCE_HELD)
        value_put_text(&map, "message", status->summary);

    (void)pthread_mutex_lock(&sources->lock);
    const struct delivered *delivered = map_find(&sources->delivered, status->name);
    if (delivered != NULL) {
        put_instant(&map, "appliedAt", delivered->applied_at);
        value_put(&map, "findings", value_copy(arena, delivered->findings));
    }
    (void)pthread_mutex_unlock(&sources->lock);
    return value_build_map(&map);
}

static const struct value *sources_value(void *data, struct arena *arena)
{
    struct sources *sources = data;
    size_t count = 0;
    const struct source_status *status = agent_status(sources->agent, arena, &count);
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < count; i++)
        value_add(&list, source_value(sources, arena, &status[i]));
    return value_build_list(&list);
}

/* ---- starting ---- */

static bool is_one_of(const char *const *words, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], word) == 0)
            return true;
    }
    return false;
}

static bool unknown_key(const char *const *keys, size_t count, const char *key, struct error *err)
{
    const char *nearest = str_nearest(key, keys, count);
    if (nearest == NULL)
        return error_set(err, ERR_INVALID, "setting 'sources': unknown key '%s'", key);
    return error_set(err, ERR_INVALID, "setting 'sources': unknown key '%s', did you mean '%s'?",
                     key, nearest);
}

static bool source_of(struct arena *arena,
                      const struct config *config,
                      const struct value *map,
                      struct source_config *out,
                      struct error *err)
{
    static const char *const keys[] = {
        "url",  "name",     "branch", "path",   "interval",
        "user", "password", "token",  "sshKey", "knownHosts",
    };
    const char *url = value_is_map(map) ? value_get_text(map, "url", NULL) : value_cstr(map);
    if (url == NULL)
        return error_set(err, ERR_INVALID, "setting 'sources': an entry has no 'url'");
    for (size_t i = 0; value_is_map(map) && i < value_count(map); i++) {
        const char *key = map->map.members[i].key;
        if (!is_one_of(keys, COUNT_OF(keys), key))
            return unknown_key(keys, COUNT_OF(keys), key, err);
    }
    usec_t interval = config_duration(config, "source.interval");
    const char *own = value_get_text(map, "interval", NULL);
    if (own != NULL && !duration_parse(own, &interval, NULL, err))
        return error_wrap(err, "setting 'sources': interval");
    const char *name = value_get_text(map, "name", NULL);
    *out = (struct source_config){
        .name = name == NULL ? source_name(arena, url) : name,
        .address = url,
        .branch = value_get_text(map, "branch", config_text(config, "source.branch")),
        .folder = value_get_text(map, "path", NULL),
        .interval = interval,
        .access = {
            .user = value_get_text(map, "user", NULL),
            .password = value_get_text(map, "password", value_get_text(map, "token", NULL)),
            .ssh_key = value_get_text(map, "sshKey", NULL),
            .ssh_hosts = value_get_text(map, "knownHosts", NULL),
        },
    };
    return true;
}

static bool open_agent(struct sources *sources,
                       const struct config *config,
                       const char *data,
                       const char *address,
                       struct error *err)
{
    struct arena *arena = sources->arena;
    const struct value *list = config_value(config, "sources");
    size_t count = value_count(list);
    struct source_config *rows = ARENA_ARRAY(arena, count + 1, struct source_config);
    for (size_t i = 0; i < count; i++) {
        if (!source_of(arena, config, value_item(list, i), &rows[i], err))
            return false;
    }
    if (address != NULL &&
        !source_of(arena, config, value_string(arena, address), &rows[count++], err))
        return false;
    sources->names = ARENA_ARRAY(arena, count + 1, const char *);
    for (size_t i = 0; i < count; i++)
        sources->names[i] = rows[i].name;
    struct agent_config options = {
        .sources = rows,
        .sources_count = count,
        .folder = arena_printf(arena, "%s/mirrors", data),
    };
    struct agent_ops ops = {
        .data = sources, .deliver = deliver, .applied = applied, .progress = fetching
    };
    sources->agent = agent_new(&options, &ops, err);
    return sources->agent != NULL && agent_start(sources->agent, err);
}

struct sources *sources_start(struct runtime *runtime,
                              const struct config *config,
                              const char *data,
                              const char *address,
                              struct error *err)
{
    struct sources *sources = check_calloc(1, sizeof(*sources));
    sources->runtime = runtime;
    sources->arena = arena_new();
    sources->progress.label = "fetching";
    CHECK(pthread_mutex_init(&sources->lock, NULL) == 0);
    if (!open_agent(sources, config, data, address, err)) {
        sources_stop(sources);
        return NULL;
    }
    runtime_set_sources(runtime, sources_value, sources);
    runtime_set_reconcile(runtime, reconcile_call, sources);
    return sources;
}

struct agent *sources_agent(struct sources *sources)
{
    return sources->agent;
}

struct runtime *sources_runtime(struct sources *sources)
{
    return sources->runtime;
}

const char *const *sources_names(struct sources *sources)
{
    return sources->names;
}

void sources_stop(struct sources *sources)
{
    if (sources == NULL)
        return;
    runtime_set_sources(sources->runtime, NULL, NULL);
    runtime_set_reconcile(sources->runtime, NULL, NULL);
    if (sources->agent != NULL)
        agent_stop(sources->agent);
    agent_free(sources->agent);
    size_t at = 0;
    for (struct map_slot *slot; (slot = map_next(&sources->delivered, &at)) != NULL;) {
        struct delivered *delivered = slot->value;
        arena_free(delivered->arena);
        free(delivered);
    }
    map_free(&sources->delivered);
    (void)pthread_mutex_destroy(&sources->lock);
    arena_free(sources->arena);
    free(sources);
}
