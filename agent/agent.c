/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/mirror.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/str.h"

#define THREADS_DEFAULT    16U
#define HELD_EVERY_DEFAULT (60 * USEC_SEC)

/*
 * The watching thread looks at all repositories at most this often: a thousand that are due at a
 * thousand different instants of a second would otherwise wake it a thousand times.
 */
#define LOOK_SPAN (10 * USEC_MSEC)

enum { POLLS, POLL_FAILURES, POLL_TIME, DELIVERIES, DELIVERY_TIME, IN_STEP, HELD, FAILING };

static struct metric metrics[] = {
    [POLLS] = { METRIC_COUNTER, "weir_agent_polls_total", "Questions asked of remotes." },
    [POLL_FAILURES] = { METRIC_COUNTER, "weir_agent_poll_failures_total", "Those that failed." },
    [POLL_TIME] = { METRIC_HISTOGRAM, "weir_agent_poll_seconds", "Asking and fetching." },
    [DELIVERIES] = { METRIC_COUNTER, "weir_agent_deliveries_total", "Commits delivered." },
    [DELIVERY_TIME] = { METRIC_HISTOGRAM, "weir_agent_delivery_seconds", "Planning, applying." },
    [IN_STEP] = { METRIC_GAUGE, "weir_agent_sources_in_step", "Sources at their newest commit." },
    [HELD] = { METRIC_GAUGE, "weir_agent_sources_held", "Sources whose newest commit waits." },
    [FAILING] = { METRIC_GAUGE, "weir_agent_sources_failing", "Sources with an error." },
};

struct source {
    const char *name;
    const char *branch; /* as configured, NULL: default */
    const char *folder;
    struct repository *repository;

    /* Guarded by agent.lock. Texts on the heap. */
    enum source_state state;
    char *branch_seen;
    char *subject;
    char *author;
    char *summary;
    char *error;
    usec_t committed_at;
    usec_t failing_since;
    usec_t polled_at;
    struct oid tip;
    struct oid applied;
    bool is_rewritten;

    /* Of the thread that asks the repository. */
    struct oid delivered;  /* applied or held */
    usec_t deliver_again;  /* monotonic; USEC_NEVER: only what is new */
    atomic_bool is_wanted; /* agent_redeliver() */
};

struct repository {
    struct agent *agent;
    struct mirror *mirror;
    const char *address;
    struct git_access access;
    struct source **sources;
    size_t sources_count;
    struct poll poll; /* guarded by agent.lock */
    bool is_asked;    /* once at least */
};

/*
 * Locks: agent.lock alone. It guards the polls and states, never a wait for a remote or a delivery.
 */
struct agent {
    struct arena *arena;
    struct agent_ops ops;
    struct agent_config config;
    struct source *sources;
    size_t sources_count;
    struct map sources_by_name;
    struct repository *repositories;
    size_t repositories_count;
    struct rng rng;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* something is due, or the agent stops */
    pthread_t thread;
    struct pool *pool;
    bool is_started;
    atomic_bool is_stopping;
};

static usec_t now_of(const struct agent *agent)
{
    return agent->config.now();
}

/* ---- states ---- */

static void set_text(char **slot, const char *text)
{
    free(*slot);
    *slot = text == NULL ? NULL : check_strdup(text);
}

static void count_states(struct agent *agent)
{
    int64_t counts[SOURCE_FAILING + 1] = { 0 };
    for (size_t i = 0; i < agent->sources_count; i++)
        counts[agent->sources[i].state]++;
    metric_set(&metrics[IN_STEP], counts[SOURCE_IN_STEP]);
    metric_set(&metrics[HELD], counts[SOURCE_HELD]);
    metric_set(&metrics[FAILING], counts[SOURCE_FAILING]);
}

/* Under the lock. Tells whether the state is another one than before. */
static bool set_state(struct source *source, enum source_state state, const char *error)
{
    struct agent *agent = source->repository->agent;
    bool is_other = source->state != state || !str_eq(source->error, error);
    source->state = state;
    if (!str_eq(source->error, error))
        set_text(&source->error, error);
    if (error == NULL)
        source->failing_since = 0;
    else if (source->failing_since == 0)
        source->failing_since = clock_now();
    if (is_other)
        count_states(agent);
    return is_other;
}

static void tell_changed(struct source *source)
{
    const struct agent_ops *ops = &source->repository->agent->ops;
    if (ops->changed != NULL)
        ops->changed(ops->data, source->name);
}

static void fail_source(struct source *source, const struct error *err)
{
    struct agent *agent = source->repository->agent;
    (void)pthread_mutex_lock(&agent->lock);
    bool is_other = set_state(source, SOURCE_FAILING, err->text);
    (void)pthread_mutex_unlock(&agent->lock);
    if (!is_other || err->code == ERR_CANCELLED)
        return; // said already
    log_warn("source failing", LOG_STR("source", source->name), LOG_ERR(err));
    tell_changed(source);
}

static void move_source(struct source *source, enum source_state state)
{
    struct agent *agent = source->repository->agent;
    (void)pthread_mutex_lock(&agent->lock);
    bool is_other = set_state(source, state, NULL);
    (void)pthread_mutex_unlock(&agent->lock);
    if (is_other)
        tell_changed(source);
}

/* ---- delivering ---- */

/* Was the history that leads to what is applied rewritten? */
static bool is_rewritten(struct git_repo *repo, const struct oid *applied, const struct oid *tip)
{
    bool is_ancestor = false;
    struct error ignored = { 0 }; // a commit that is gone is no ancestor
    if (oid_is_none(applied))
        return false;
    return !git_repo_is_ancestor(repo, applied, tip, &is_ancestor, &ignored) || !is_ancestor;
}

static void note_commit(struct source *source,
                        const struct git_commit_info *commit,
                        const char *branch,
                        bool rewritten)
{
    struct agent *agent = source->repository->agent;
    (void)pthread_mutex_lock(&agent->lock);
    source->tip = commit->id;
    source->committed_at = commit->at;
    source->is_rewritten = rewritten;
    set_text(&source->subject, commit->subject);
    set_text(&source->author, commit->author);
    set_text(&source->branch_seen, branch);
    (void)pthread_mutex_unlock(&agent->lock);
    if (rewritten)
        log_warn("history rewritten", LOG_STR("source", source->name), LOG_STR("branch", branch),
                 LOG_STR("subject", commit->subject));
}

static void note_delivery(struct source *source,
                          const struct snapshot *snapshot,
                          enum delivery delivery,
                          const char *summary)
{
    struct agent *agent = source->repository->agent;
    bool is_applied = delivery == DELIVERY_APPLIED;
    usec_t held_every =
        agent->config.held_every == 0 ? HELD_EVERY_DEFAULT : agent->config.held_every;
    source->delivered = snapshot->commit.id;
    source->deliver_again = is_applied ? USEC_NEVER : now_of(agent) + held_every;
    (void)pthread_mutex_lock(&agent->lock);
    set_text(&source->summary, summary);
    if (is_applied)
        source->applied = snapshot->commit.id;
    (void)pthread_mutex_unlock(&agent->lock);
    move_source(source, is_applied ? SOURCE_IN_STEP : SOURCE_HELD);
}

/* A copy that lacks something is thrown away, to be fetched again at the next round. */
static void check_copy(struct repository *repository, const struct oid *tip)
{
    struct error err = { 0 };
    if (mirror_repo(repository->mirror) == NULL || mirror_is_whole(repository->mirror, tip))
        return;
    log_warn("copy of a repository is damaged and made again",
             LOG_STR("repository", mirror_shown(repository->mirror)));
    if (!mirror_drop(repository->mirror, &err))
        log_error("cannot remove the copy of a repository", LOG_ERR(&err));
}

/* Returns false when it must be tried again soon. */
static bool deliver(struct source *source, const struct mirror_tip *tip, struct arena *arena)
{
    struct repository *repository = source->repository;
    struct agent *agent = repository->agent;
    struct git_repo *repo = mirror_repo(repository->mirror);
    struct snapshot snapshot = {
        .source = source->name,
        .shown = mirror_shown(repository->mirror),
        .branch = tip->branch,
        .folder = source->folder,
        .repo = repo,
    };
    struct error err = { 0 };
    if (!git_repo_commit(repo, arena, &tip->id, &snapshot.commit, &err)) {
        fail_source(source, &err);
        check_copy(repository, &tip->id);
        return false;
    }
    struct oid applied = oid_none;
    if (agent->ops.applied != NULL && !agent->ops.applied(agent->ops.data, source->name, &applied))
        applied = oid_none;
    snapshot.is_rewritten = is_rewritten(repo, &applied, &tip->id);
    (void)pthread_mutex_lock(&agent->lock);
    source->applied = applied;
    (void)pthread_mutex_unlock(&agent->lock);
    note_commit(source, &snapshot.commit, tip->branch, snapshot.is_rewritten);
    move_source(source, SOURCE_APPLYING);

    const char *summary = NULL;
    usec_t started = clock_monotonic();
    enum delivery delivery = agent->ops.deliver(agent->ops.data, &snapshot, arena, &summary, &err);
    metric_observe(&metrics[DELIVERY_TIME], clock_monotonic() - started);
    metric_add(&metrics[DELIVERIES], 1);
    if (delivery == DELIVERY_FAILED) {
        fail_source(source, &err);
        if (err.code == ERR_NOT_FOUND || err.code == ERR_UNAVAILABLE)
            check_copy(repository, &tip->id);
        return false;
    }
    note_delivery(source, &snapshot, delivery, summary);
    return true;
}

static bool needs_delivery(struct source *source, const struct oid *tip)
{
    struct agent *agent = source->repository->agent;
    return atomic_exchange(&source->is_wanted, false) || !oid_equal(&source->delivered, tip) ||
           source->deliver_again <= now_of(agent);
}

/* ---- asking ---- */

static void on_progress(void *context, const struct git_pack_progress *progress)
{
    const struct repository *repository = context;
    const struct agent_ops *ops = &repository->agent->ops;
    for (size_t i = 0; ops->progress != NULL && i < repository->sources_count; i++)
        ops->progress(ops->data, repository->sources[i]->name, progress);
}

/* The branches of all sources, each once; of_source gets the position of each source's branch. */
static size_t collect_branches(const struct repository *repository,
                               struct mirror_tip *tips,
                               size_t *of_source)
{
    size_t count = 0;
    for (size_t i = 0; i < repository->sources_count; i++) {
        size_t at = 0;
        while (at < count && !str_eq(tips[at].branch, repository->sources[i]->branch))
            at++;
        if (at == count)
            tips[count++] = (struct mirror_tip){ .branch = repository->sources[i]->branch };
        of_source[i] = at;
    }
    return count;
}

/* One round of a repository: ask, fetch, deliver. Returns whether all went well. */
static bool run_round(struct repository *repository, struct arena *arena)
{
    struct agent *agent = repository->agent;
    struct mirror_tip tips[MIRROR_BRANCHES_MAX];
    size_t *of_source = ARENA_ARRAY(arena, repository->sources_count, size_t);
    size_t count = collect_branches(repository, tips, of_source);
    struct git_call call = agent->config.call;
    call.cancel = &agent->is_stopping;
    call.progress = on_progress;
    call.context = repository;
    for (size_t i = 0; !repository->is_asked && i < repository->sources_count; i++)
        move_source(repository->sources[i], SOURCE_FETCHING);
    repository->is_asked = true;

    struct error err = { 0 };
    usec_t started = clock_monotonic();
    bool ok = mirror_update(repository->mirror, arena, &call, tips, count, &err);
    metric_add(&metrics[POLLS], 1);
    metric_add(&metrics[POLL_FAILURES], ok ? 0 : 1);
    metric_observe(&metrics[POLL_TIME], clock_monotonic() - started);
    for (size_t i = 0; !ok && i < repository->sources_count; i++)
        fail_source(repository->sources[i], &err);
    if (!ok)
        return false;

    for (size_t i = 0; i < repository->sources_count; i++) {
        struct source *source = repository->sources[i];
        const struct mirror_tip *tip = &tips[of_source[i]];
        (void)pthread_mutex_lock(&agent->lock);
        source->polled_at = clock_now();
        bool was_failing = source->state == SOURCE_FAILING;
        (void)pthread_mutex_unlock(&agent->lock);
        if (atomic_load(&agent->is_stopping) || mirror_repo(repository->mirror) == NULL)
            return false;
        if (tip->error.code != ERR_NONE) {
            fail_source(source, &tip->error);
            ok = false;
        } else if (needs_delivery(source, &tip->id)) {
            ok = deliver(source, tip, arena) && ok;
        } else if (was_failing) {
            // the remote is back, and nothing has changed meanwhile
            move_source(source, source->deliver_again == USEC_NEVER ? SOURCE_IN_STEP : SOURCE_HELD);
        }
    }
    return ok;
}

static void ask(void *context)
{
    struct repository *repository = context;
    struct agent *agent = repository->agent;
    struct arena *arena = arena_new();
    bool ok = run_round(repository, arena);
    arena_free(arena);
    usec_t retry_after = ok ? 0 : mirror_retry_after(repository->mirror);
    (void)pthread_mutex_lock(&agent->lock);
    poll_end(&repository->poll, ok, retry_after, now_of(agent), &agent->rng);
    (void)pthread_cond_signal(&agent->changed);
    (void)pthread_mutex_unlock(&agent->lock);
}

/* Gives what is due to the pool. Under the lock. Returns when something is due next. */
static usec_t start_due(struct agent *agent)
{
    usec_t now = now_of(agent);
    usec_t soonest = USEC_NEVER;
    for (size_t i = 0; i < agent->repositories_count; i++) {
        struct repository *repository = &agent->repositories[i];
        if (poll_is_due(&repository->poll, now)) {
            bool is_woken = repository->poll.is_woken;
            poll_start(&repository->poll);
            if (pool_submit(agent->pool, ask, repository))
                continue;
            // every thread is busy; the next one that ends looks again
            repository->poll.is_running = false;
            repository->poll.is_woken = is_woken;
        } else if (!repository->poll.is_running && repository->poll.due < soonest) {
            soonest = repository->poll.due;
        }
    }
    return soonest;
}

static void *watch(void *context)
{
    struct agent *agent = context;
    (void)pthread_mutex_lock(&agent->lock);
    while (!atomic_load(&agent->is_stopping)) {
        usec_t until = start_due(agent);
        usec_t earliest = now_of(agent) + LOOK_SPAN;
        if (until < earliest)
            until = earliest;
        if (until == USEC_NEVER) {
            (void)pthread_cond_wait(&agent->changed, &agent->lock);
            continue;
        }
        struct timespec at = {
            .tv_sec = (time_t)(until / USEC_SEC),
            .tv_nsec = (long)(until % USEC_SEC) * 1000,
        };
        (void)pthread_cond_timedwait(&agent->changed, &agent->lock, &at);
    }
    (void)pthread_mutex_unlock(&agent->lock);
    return NULL;
}

void agent_turn(struct agent *agent)
{
    // each repository once: one that is due again at once waits for the next turn
    for (size_t i = 0; i < agent->repositories_count; i++) {
        struct repository *repository = &agent->repositories[i];
        (void)pthread_mutex_lock(&agent->lock);
        bool is_due = poll_is_due(&repository->poll, now_of(agent));
        if (is_due)
            poll_start(&repository->poll);
        (void)pthread_mutex_unlock(&agent->lock);
        if (is_due)
            ask(repository);
    }
}

bool agent_start(struct agent *agent, struct error *err)
{
    CHECK(!agent->is_started);
    unsigned threads = agent->config.threads == 0 ? THREADS_DEFAULT : agent->config.threads;
    agent->pool = pool_new("agent", threads, threads);
    int code = pthread_create(&agent->thread, NULL, watch, agent);
    if (code != 0) {
        pool_free(agent->pool);
        agent->pool = NULL;
        return error_set(err, ERR_LIMIT, "start a thread: %s", strerror(code));
    }
    agent->is_started = true;
    return true;
}

void agent_stop(struct agent *agent)
{
    if (!agent->is_started)
        return;
    (void)pthread_mutex_lock(&agent->lock);
    atomic_store(&agent->is_stopping, true);
    (void)pthread_cond_signal(&agent->changed);
    (void)pthread_mutex_unlock(&agent->lock);
    (void)pthread_join(agent->thread, NULL);
    pool_free(agent->pool);
    agent->pool = NULL;
    agent->is_started = false;
}

/* ---- waking ---- */

static void wake(struct agent *agent, struct repository *repository)
{
    poll_wake(&repository->poll, now_of(agent));
    (void)pthread_cond_signal(&agent->changed);
}

bool agent_wake(struct agent *agent, const char *name)
{
    const struct source *source = name == NULL ? NULL : map_find(&agent->sources_by_name, name);
    (void)pthread_mutex_lock(&agent->lock);
    for (size_t i = 0; name == NULL && i < agent->repositories_count; i++)
        wake(agent, &agent->repositories[i]);
    if (source != NULL)
        wake(agent, source->repository);
    (void)pthread_mutex_unlock(&agent->lock);
    return name == NULL || source != NULL;
}

bool agent_redeliver(struct agent *agent, const char *name)
{
    struct source *source = map_find(&agent->sources_by_name, name);
    if (source != NULL)
        atomic_store(&source->is_wanted, true);
    return source != NULL && agent_wake(agent, name);
}

/* Equal apart from ".git", a final slash and credentials. */
static bool is_same_address(struct arena *arena, const char *a, const char *b)
{
    const char *texts[] = { a, b };
    const char *plain[2];
    for (size_t i = 0; i < 2; i++) {
        struct git_address address;
        struct error ignored = { 0 }; // what is no address is compared as it is
        const char *text = git_address_parse(arena, texts[i], &address, &ignored)
                               ? (address.scheme == GIT_HTTP ? address.url : address.shown)
                               : texts[i];
        size_t length = strlen(text);
        while (length > 0 && text[length - 1] == '/')
            length--;
        if (length > 4 && memcmp(text + length - 4, ".git", 4) == 0)
            length -= 4;
        plain[i] = arena_strndup(arena, text, length);
    }
    return str_eq_nocase(plain[0], plain[1]);
}

size_t agent_wake_address(struct agent *agent, const char *address)
{
    struct arena *scratch = arena_new();
    size_t count = 0;
    (void)pthread_mutex_lock(&agent->lock);
    for (size_t i = 0; i < agent->repositories_count; i++) {
        struct repository *repository = &agent->repositories[i];
        if (is_same_address(scratch, repository->address, address)) {
            wake(agent, repository);
            count += repository->sources_count;
        }
    }
    (void)pthread_mutex_unlock(&agent->lock);
    arena_free(scratch);
    return count;
}

/* ---- status ---- */

const char *source_state_name(enum source_state state)
{
    static const char *const names[] = {
        [SOURCE_NEW] = "new",           [SOURCE_FETCHING] = "fetching",
        [SOURCE_APPLYING] = "applying", [SOURCE_IN_STEP] = "in step",
        [SOURCE_HELD] = "held",         [SOURCE_FAILING] = "failing",
    };
    return names[state];
}

const struct source_status *agent_status(struct agent *agent, struct arena *arena, size_t *count)
{
    struct source_status *out = ARENA_ARRAY(arena, agent->sources_count, struct source_status);
    (void)pthread_mutex_lock(&agent->lock);
    usec_t monotonic = now_of(agent);
    for (size_t i = 0; i < agent->sources_count; i++) {
        const struct source *source = &agent->sources[i];
        const struct poll *poll = &source->repository->poll;
        const char *branch = source->branch_seen != NULL ? source->branch_seen : source->branch;
        usec_t left = poll->due > monotonic ? poll->due - monotonic : 0;
        out[i] = (struct source_status){
            .name = arena_strdup(arena, source->name),
            .shown = arena_strdup(arena, mirror_shown(source->repository->mirror)),
            .branch = arena_strdup(arena, branch),
            .folder = arena_strdup(arena, source->folder),
            .state = source->state,
            .tip = source->tip,
            .subject = arena_strdup(arena, source->subject),
            .author = arena_strdup(arena, source->author),
            .committed_at = source->committed_at,
            .applied = source->applied,
            .summary = arena_strdup(arena, source->summary),
            .error = arena_strdup(arena, source->error),
            .failing_since = source->failing_since,
            .polled_at = source->polled_at,
            .due = clock_now() + left,
            .failures = poll->failures,
            .is_rewritten = source->is_rewritten,
            .copy = arena_strdup(arena, mirror_folder(source->repository->mirror)),
        };
    }
    (void)pthread_mutex_unlock(&agent->lock);
    *count = agent->sources_count;
    return out;
}

/* ---- making ---- */

static bool name_is_valid(const char *name)
{
    if (str_empty(name) || strlen(name) > 64 || name[0] == '.' || name[0] == '-')
        return false;
    for (; *name != '\0'; name++) {
        bool is_word = (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
                       (*name >= 'A' && *name <= 'Z') || strchr("._-", *name) != NULL;
        if (!is_word)
            return false;
    }
    return true;
}

/* Sources of one repository with the same credentials share it, up to a number of branches. */
static struct repository *find_repository(struct agent *agent, const struct source_config *config)
{
    for (size_t i = 0; i < agent->repositories_count; i++) {
        struct repository *repository = &agent->repositories[i];
        if (str_eq(repository->address, config->address) &&
            git_access_equal(&repository->access, &config->access) &&
            repository->sources_count < MIRROR_BRANCHES_MAX)
            return repository;
    }
    return NULL;
}

static bool add_repository(struct agent *agent,
                           const struct source_config *config,
                           struct repository **out,
                           struct error *err)
{
    struct repository *repository = &agent->repositories[agent->repositories_count];
    // the name is for people, the digest keeps addresses apart
    const char *digest = digest_sha256_hex(agent->arena, config->address, strlen(config->address));
    struct mirror_options options = {
        .address = config->address,
        .access = &config->access,
        .folder = arena_printf(agent->arena, "%s/%s-%.12s.git", agent->config.folder, config->name,
                               digest),
    };
    struct mirror *mirror = mirror_new(&options, err);
    if (mirror == NULL)
        return error_wrap(err, "source '%s'", config->name);
    *repository = (struct repository){
        .agent = agent,
        .mirror = mirror,
        .address = arena_strdup(agent->arena, config->address),
        .access = git_access_copy(agent->arena, &config->access),
        .sources = ARENA_ARRAY(agent->arena, MIRROR_BRANCHES_MAX, struct source *),
        .poll.interval = config->interval == 0 ? POLL_INTERVAL_DEFAULT : config->interval,
    };
    agent->repositories_count++;
    *out = repository;
    return true;
}

static bool add_source(struct agent *agent, const struct source_config *config, struct error *err)
{
    if (!name_is_valid(config->name))
        return error_set(err, ERR_INVALID,
                         "'%s' is not a name of a source: letters, digits, '.', '_', '-'",
                         config->name == NULL ? "" : config->name);
    if (map_has(&agent->sources_by_name, config->name))
        return error_set(err, ERR_INVALID, "there are two sources named '%s'", config->name);
    struct repository *repository = find_repository(agent, config);
    if (repository == NULL && !add_repository(agent, config, &repository, err))
        return false;
    struct source *source = &agent->sources[agent->sources_count++];
    *source = (struct source){
        .name = arena_strdup(agent->arena, config->name),
        .branch = arena_strdup(agent->arena, config->branch),
        .folder = config->folder == NULL ? "" : arena_strdup(agent->arena, config->folder),
        .repository = repository,
        .deliver_again = USEC_NEVER,
    };
    if (config->interval != 0 && config->interval < repository->poll.interval)
        repository->poll.interval = config->interval;
    repository->sources[repository->sources_count++] = source;
    (void)map_put(&agent->sources_by_name, source->name, source);
    return true;
}

static void register_metrics(void)
{
    metric_register(metrics, COUNT_OF(metrics));
}

struct agent *agent_new(const struct agent_config *config,
                        const struct agent_ops *ops,
                        struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_metrics);
    if (config->sources_count > AGENT_SOURCES_MAX) {
        (void)error_set(err, ERR_LIMIT, "more than %u sources", AGENT_SOURCES_MAX);
        return NULL;
    }
    struct agent *agent = check_calloc(1, sizeof(*agent));
    agent->arena = arena_new();
    agent->ops = *ops;
    agent->config = *config;
    agent->config.folder = arena_strdup(agent->arena, config->folder);
    if (agent->config.now == NULL)
        agent->config.now = clock_monotonic;
    agent->sources = ARENA_ARRAY(agent->arena, config->sources_count, struct source);
    agent->repositories = ARENA_ARRAY(agent->arena, config->sources_count, struct repository);
    agent->rng.state = config->seed != 0 ? config->seed : rng_seed();
    (void)pthread_mutex_init(&agent->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&agent->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    for (size_t i = 0; i < config->sources_count; i++) {
        if (!add_source(agent, &config->sources[i], err)) {
            agent_free(agent);
            return NULL;
        }
    }
    return agent;
}

void agent_free(struct agent *agent)
{
    if (agent == NULL)
        return;
    agent_stop(agent);
    for (size_t i = 0; i < agent->repositories_count; i++)
        mirror_free(agent->repositories[i].mirror);
    for (size_t i = 0; i < agent->sources_count; i++) {
        struct source *source = &agent->sources[i];
        free(source->branch_seen);
        free(source->subject);
        free(source->author);
        free(source->summary);
        free(source->error);
    }
    map_free(&agent->sources_by_name);
    (void)pthread_cond_destroy(&agent->changed);
    (void)pthread_mutex_destroy(&agent->lock);
    arena_free(agent->arena);
    free(agent);
}
