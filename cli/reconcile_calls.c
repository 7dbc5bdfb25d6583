/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/reconcile_calls.h"

#include <string.h>

#include "agent/agent.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/sources.h"
#include "cli/target_store.h"
#include "cli/wire.h"
#include "core/value.h"
#include "reconciler/drift.h"
#include "reconciler/notes.h"
#include "reconciler/reconcile.h"
#include "reconciler/render_json.h"
#include "reconciler/target.h"

/* One question about one source. */
struct question {
    struct sources *sources;
    struct arena *arena;
    const struct value *arguments;
    const struct source_status *source;
    struct git_repo *repo;
    struct target *target;
    struct snapshot snapshot;
    struct reconcile_options options;
};

static void question_release(struct question *question)
{
    git_repo_free(question->repo);
    target_free(question->target);
}

/* ---- arguments ---- */

static bool find_source(struct question *question, struct error *err)
{
    const char *name = value_get_text(question->arguments, "source", NULL);
    size_t count = 0;
    const struct source_status *all =
        agent_status(sources_agent(question->sources), question->arena, &count);
    if (name == NULL && count == 1) {
        question->source = &all[0];
        return true;
    }
    if (name == NULL)
        return error_set(err, ERR_INVALID, "there are %zu sources; say which one: source=NAME",
                         count);
    for (size_t i = 0; i < count; i++) {
        if (str_eq(all[i].name, name)) {
            question->source = &all[i];
            return true;
        }
    }
    const char *nearest = str_nearest(name, sources_names(question->sources), count);
    return error_set(err, ERR_NOT_FOUND, "there is no source '%s'%s%s%s", name,
                     nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "'?");
}

static bool add_override(const char *word, size_t length, unsigned *out, struct error *err)
{
    static const struct {
        const char *word;
        enum reconcile_override override;
    } rows[] = {
        { "deletions", OVERRIDE_DELETIONS },
        { "protected", OVERRIDE_PROTECTED },
        { "windows", OVERRIDE_WINDOWS },
        { "approvals", OVERRIDE_APPROVALS },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strlen(rows[i].word) == length && memcmp(rows[i].word, word, length) == 0) {
            *out |= (unsigned)rows[i].override;
            return true;
        }
    }
    return error_set(err, ERR_INVALID,
                     "'%.*s' cannot be overridden; deletions, protected, windows, approvals can",
                     (int)length, word);
}

static bool read_overrides(const struct value *value, unsigned *out, struct error *err)
{
    for (size_t i = 0; value_is_list(value) && i < value_count(value); i++) {
        const char *word = value_cstr(value_item(value, i));
        if (word != NULL && !add_override(word, strlen(word), out, err))
            return false;
    }
    const char *text = value_cstr(value);
    while (text != NULL && *text != '\0') {
        size_t length = strcspn(text, ",");
        if (length > 0 && !add_override(text, length, out, err))
            return false;
        text += length + (text[length] == ',' ? 1 : 0);
    }
    return true;
}

/* ---- plans ---- */

/* Was the history between what is applied and the commit rewritten? */
static bool is_rewritten(struct question *question)
{
    struct oid applied;
    bool is_ancestor = false;
    struct error ignored = { 0 }; // a commit that is gone is no ancestor
    return target_store_applied(sources_runtime(question->sources), question->source->name,
                                &applied) &&
           (!git_repo_is_ancestor(question->repo, &applied, &question->snapshot.commit.id,
                                  &is_ancestor, &ignored) ||
            !is_ancestor);
}

/* Names only: what Git understands beyond them can be a search through all history. */
static bool ref_is_plain(const char *ref)
{
    for (const char *at = ref; *at != '\0'; at++) {
        bool is_word = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                       (*at >= 'A' && *at <= 'Z') || strchr("._/-", *at) != NULL;
        if (!is_word)
            return false;
    }
    return *ref != '\0' && *ref != '-' && strstr(ref, "..") == NULL;
}

static bool open_question(struct question *question, struct error *err)
{
    struct runtime *runtime = sources_runtime(question->sources);
    const struct source_status *source = question->source;
    const char *ref = value_get_text(question->arguments, "ref", NULL);
    CHECK(source != NULL); // found before
    if (oid_is_none(&source->tip))
        return error_set(err, ERR_CONFLICT, "nothing was fetched from source '%s' yet%s%s",
                         source->name, source->error == NULL ? "" : ": ",
                         source->error == NULL ? "" : source->error);
    question->repo = git_repo_open(source->copy, err);
    if (question->repo == NULL)
        return false;
    if (ref != NULL && !ref_is_plain(ref))
        return error_set(err, ERR_INVALID, "'%s' is not a branch, tag or id of a commit", ref);
    struct oid id = source->tip;
    if (ref != NULL && !git_repo_resolve(question->repo, ref, &id, err))
        return false;
    question->snapshot = (struct snapshot){
        .source = source->name,
        .shown = source->shown,
        .branch = ref != NULL ? ref : source->branch,
        .folder = source->folder,
        .repo = question->repo,
    };
    if (!git_repo_commit(question->repo, question->arena, &id, &question->snapshot.commit, err))
        return false;
    question->snapshot.is_rewritten = is_rewritten(question);
    question->options = (struct reconcile_options){
        .plugins = runtime->plugins,
        .plugin_defaults = runtime->plugin_defaults,
        .now = clock_now(),
        .zone = runtime->zone,
        .sources = sources_names(question->sources),
    };
    question->target = target_store_new(runtime, err);
    return question->target != NULL && read_overrides(value_get(question->arguments, "override"),
                                                      &question->options.overrides, err);
}

static const struct value *plan(struct question *question, struct error *err)
{
    if (!find_source(question, err) || !open_question(question, err))
        return NULL;
    AUTO(plan_freep)
    struct plan *plan =
        reconcile_plan(&question->snapshot, question->target, &question->options, err);
    return plan == NULL ? NULL : plan_to_value(question->arena, plan);
}

static const struct value *apply(struct question *question, struct error *err)
{
    if (!find_source(question, err) || !open_question(question, err))
        return NULL;
    AUTO(plan_freep)
    struct plan *plan =
        reconcile_plan(&question->snapshot, question->target, &question->options, err);
    if (plan == NULL)
        return NULL;
    const char *actor = value_get_text(question->arguments, "actor", NULL);
    struct apply_options options = {
        .actor = str_empty(actor) ? "somebody" : actor,
        .expected_digest = value_get_text(question->arguments, "digest", NULL),
    };
    const struct value *document = plan_to_value(question->arena, plan);
    if (!reconcile_apply(&question->snapshot, question->target, &question->options, &options, plan,
                         err))
        return NULL;
    log_info("commit applied on request", LOG_STR("source", question->source->name),
             LOG_STR("actor", options.actor), LOG_STR("plan", plan->digest));
    (void)agent_redeliver(sources_agent(question->sources), question->source->name);
    return value_with(question->arena, document, "applied", &value_true);
}

/* ---- drift and history ---- */

static bool add_drift(struct question *question,
                      const struct source_status *source,
                      struct value_builder *list,
                      size_t *drifted,
                      struct error *err)
{
    struct error absent = { 0 }; // without its copy, what operators own is not known
    AUTO(git_repo_freep) struct git_repo *repo = git_repo_open(source->copy, &absent);
    AUTO(target_freep)
    struct target *target = target_store_new(sources_runtime(question->sources), err);
    struct drift_report report;
    if (target == NULL ||
        !drift_find(target, question->arena, source->name, repo, source->folder, &report, err))
        return false;
    value_add(list, drift_to_value(question->arena, &report));
    *drifted += report.items.count;
    return true;
}

static const struct value *drift(struct question *question, struct error *err)
{
    struct value_builder list = value_build(question->arena);
    size_t drifted = 0;
    size_t count = 0;
    const struct source_status *all =
        agent_status(sources_agent(question->sources), question->arena, &count);
    if (value_get(question->arguments, "source") != NULL) {
        if (!find_source(question, err))
            return NULL;
        all = question->source;
        count = 1;
    }
    for (size_t i = 0; i < count; i++)
        if (!add_drift(question, &all[i], &list, &drifted, err))
            return NULL;
    struct value_builder map = value_build(question->arena);
    value_put_int(&map, "drifted", (int64_t)drifted);
    value_put(&map, "sources", value_build_list(&list));
    return value_build_map(&map);
}

static const struct value *history(struct question *question, struct error *err)
{
    if (!find_source(question, err))
        return NULL;
    question->target = target_store_new(sources_runtime(question->sources), err);
    const struct value **docs = NULL;
    size_t count = 0;
    size_t size = (size_t)value_get_int(question->arguments, "size", 50);
    if (question->target == NULL ||
        !applied_notes_load(question->target, question->arena, question->source->name, size, &docs,
                            &count, err))
        return NULL;
    struct value_builder map = value_build(question->arena);
    value_put(&map, "results", value_list(question->arena, docs, count));
    return value_build_map(&map);
}

static const struct value *sync_now(struct question *question, struct error *err)
{
    struct agent *agent = sources_agent(question->sources);
    bool is_one = value_get(question->arguments, "source") != NULL;
    if (is_one && !find_source(question, err))
        return NULL;
    (void)agent_wake(agent, is_one ? question->source->name : NULL);
    size_t count = 0;
    (void)agent_status(agent, question->arena, &count);
    struct value_builder map = value_build(question->arena);
    value_put_int(&map, "sources", is_one ? 1 : (int64_t)count);
    return value_build_map(&map);
}

const struct value *reconcile_call(void *data,
                                   struct arena *arena,
                                   const char *verb,
                                   const struct value *arguments,
                                   struct error *err)
{
    static const struct {
        const char *verb;
        const struct value *(*run)(struct question *question, struct error *err);
    } rows[] = {
        { "plan", plan },       { "apply", apply },   { "drift", drift },
        { "history", history }, { "sync", sync_now },
    };
    struct question question = { .sources = data, .arena = arena, .arguments = arguments };
    const struct value *answer = NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (str_eq(rows[i].verb, verb))
            answer = rows[i].run(&question, err);
    question_release(&question);
    return answer;
}
