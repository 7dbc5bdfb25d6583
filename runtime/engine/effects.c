/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions with effects: questions go out as COMMAND_EVALUATE, answers are kept until what asked
 * has been dispatched. While it is asking, time and random numbers of an expression stand still, so
 * that it asks the same again.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/str.h"
#include "runtime/engine/engine_internal.h"

char *engine_answer_key(struct arena *arena, const char *function, const struct value *arguments)
{
    struct buf buf = { 0 };
    buf_puts(&buf, function);
    buf_putc(&buf, ' ');
    value_write_json_full(&buf, arguments == NULL ? &value_empty_map : arguments);
    char *key = buf_dup(&buf, arena);
    buf_free(&buf);
    return key;
}

struct answers *effects_of(struct engine *engine, struct task_run *run)
{
    if (run == NULL)
        return &engine->memory->answers;
    if (run->answers == NULL)
        run->answers = ARENA_NEW(engine->execution->arena, struct answers);
    return run->answers;
}

static struct answer *find(const struct answers *answers, const char *key)
{
    for (struct answer *at = answers->first; at != NULL; at = at->next) {
        if (strcmp(at->key, key) == 0)
            return at;
    }
    return NULL;
}

const struct value *effects_ask(struct engine *engine,
                                struct task_run *run,
                                const char *function,
                                const struct value *arguments,
                                struct error *err)
{
    struct arena *arena = engine->execution->arena;
    struct answers *answers = effects_of(engine, run);
    char *key = engine_answer_key(engine->scratch, function, arguments);
    struct answer *answer = find(answers, key);
    if (answer != NULL && answer->is_answered) {
        if (answer->message == NULL)
            return answer->value;
        error_set(err, ERR_INVALID, "%s", answer->message);
        return NULL;
    }
    if (answer == NULL && answers->count >= ANSWERS_MAX) {
        error_set(err, ERR_INVALID, "more than %u calls of functions with effects", ANSWERS_MAX);
        return NULL;
    }
    if (answer == NULL) {
        answer = ARENA_NEW(arena, struct answer);
        answer->key = arena_strdup(arena, key);
        answer->next = answers->first;
        answers->first = answer;
        if (answers->count++ == 0) {
            answers->asked_at = engine->now;
            answers->seed = engine->event->seed;
        }
        struct command *command = command_add(engine, COMMAND_EVALUATE, run);
        command->attempt = run == NULL ? 0 : run_attempt(run);
        command->key = arena_strdup(engine->commands->arena, function);
        command->props = value_copy(engine->commands->arena, arguments);
    }
    error_set(err, ERR_UNAVAILABLE, "%s() is not answered yet", function);
    return NULL;
}

static const struct value *host_call(void *data,
                                     struct arena *arena,
                                     const char *function,
                                     const struct value *arguments,
                                     struct error *err)
{
    struct engine *engine = data;
    (void)arena; // answers live as long as the dispatch that asked
    return effects_ask(engine, engine->asking, function, arguments, err);
}

static void host_secret(void *data, const char *secret, size_t length)
{
    struct engine *engine = data;
    if (engine->world->mask != NULL)
        engine->world->mask(engine->world->data, engine->execution->id.text, secret, length);
}

/* Other numbers for each task run and attempt. */
static uint64_t seed_of(const struct engine *engine, const struct task_run *run, uint64_t seed)
{
    const char *id = run == NULL ? engine->execution->id.text : run->id.text;
    size_t attempt = run == NULL ? 1 : run->attempts.count + 2;
    return (seed ^ map_hash(id, strlen(id))) + 0x9e3779b97f4a7c15U * attempt;
}

/* Templates of a flow are compiled once; only the engine's thread uses them. */
static struct expr_cache *cache_of(const struct engine *engine)
{
    struct flow *flow = engine->execution->flow;
    if (flow == NULL)
        return NULL;
    if (flow->cache == NULL)
        flow->cache = expr_cache_new();
    return flow->cache;
}

struct expr_env engine_env_with(struct engine *engine,
                                struct task_run *run,
                                const struct value *extra)
{
    const struct answers *answers = run == NULL ? &engine->memory->answers : run->answers;
    bool is_asking = answers != NULL && answers->count > 0;
    engine->asking = run;
    engine->host = (struct expr_host){
        .call = host_call,
        .secret = host_secret,
        .data = engine,
    };
    return (struct expr_env){
        .context = context_make(engine->execution, run, engine->world, extra, engine->scratch),
        .host = &engine->host,
        .cache = cache_of(engine),
        .now = is_asking ? answers->asked_at : engine->now,
        .zone = engine->world->zone,
        .seed = seed_of(engine, run, is_asking ? answers->seed : engine->event->seed),
    };
}

struct expr_env engine_env(struct engine *engine, struct task_run *run)
{
    return engine_env_with(engine, run, NULL);
}

void effects_answer(struct engine *engine, const struct event *event)
{
    struct task_run *run = NULL;
    if (event->run_id != NULL) {
        run = execution_find_run(engine->execution, event->run_id);
        if (run == NULL)
            return;
    }
    struct answers *answers = run == NULL ? &engine->memory->answers : run->answers;
    struct answer *answer =
        answers == NULL || event->key == NULL ? NULL : find(answers, event->key);
    if (answer == NULL || answer->is_answered)
        return;
    struct arena *arena = engine->execution->arena;
    answer->is_answered = true;
    if (event->is_error)
        answer->message = arena_strdup(arena, event->message == NULL ? "failed" : event->message);
    else
        answer->value = event->values == NULL ? &value_null : value_copy(arena, event->values);
    if (run == NULL) {
        engine->memory->waits_for_answers = false;
        engine_changed(engine, &engine->memory->top);
    } else if (run->is_waiting || states[run->state.current].is_created) {
        engine_queue(engine, run);
    } else {
        engine_changed(engine, run->scope);
    }
}

void effects_forget(struct engine *engine, struct task_run *run)
{
    if (run == NULL)
        engine->memory->answers = (struct answers){ 0 };
    else
        run->answers = NULL;
    if (run != NULL)
        run->is_waiting = false;
}
