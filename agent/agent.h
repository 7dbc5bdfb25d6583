/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches repositories and delivers each new commit to whoever deploys it.
 *
 * Sources of one repository share its copy and one request per interval. Repositories are asked on
 * a pool of threads, each by one thread at a time; a slow one delays nobody but itself. What a
 * delivery reads and does is not the agent's business: see struct agent_ops.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/poll.h"
#include "base/clock.h"
#include "base/git_auth.h"
#include "base/git_peer.h"
#include "base/oid.h"
#include "core/snapshot.h"

struct agent;
struct arena;
struct error;

/* Repositories of one agent. */
#define AGENT_SOURCES_MAX 10000U

/* A branch of a repository that is deployed. Texts are copied. */
struct source_config {
    const char *name;    /* unique; letters, digits, '.', '_', '-' */
    const char *address; /* URL or path */
    struct git_access access;
    const char *branch; /* NULL: the default branch of the remote */
    const char *folder; /* of the repository that is deployed; NULL or "": all of it */
    usec_t interval;    /* 0: POLL_INTERVAL_DEFAULT */
};

enum delivery {
    DELIVERY_APPLIED, /* everything is as the commit says */
    DELIVERY_HELD,    /* it waits for something */
    DELIVERY_FAILED,  /* err says why; delivered again later */
};

/*
 * Who deploys. Called on threads of the agent, for one source one at a time.
 */
struct agent_ops {
    void *data;

    /*
     * Deploys a commit, or finds that it must wait. The same commit may be delivered again: at the
     * start, after a failure, and now and then while it is held.
     *
     * summary  out: one line about what was done or what it waits for; owned by the arena
     */
    enum delivery (*deliver)(void *data,
                             const struct snapshot *snapshot,
                             struct arena *arena,
                             const char **summary,
                             struct error *err);

    /* The commit applied last from a source; false when there is none. */
    bool (*applied)(void *data, const char *source, struct oid *out);

    /* Called while a pack comes in; may be NULL. */
    void (*progress)(void *data, const char *source, const struct git_pack_progress *progress);

    /* Called after the state of a source changed; may be NULL. */
    void (*changed)(void *data, const char *source);
};

struct agent_config {
    const struct source_config *sources;
    size_t sources_count;
    const char *folder;   /* of the copies; made when absent */
    unsigned threads;     /* 0: 16 */
    usec_t held_every;    /* between two deliveries of a held commit; 0: 60 s */
    uint64_t seed;        /* of the jitter; 0: from the system */
    usec_t (*now)(void);  /* monotonic; NULL: clock_monotonic. For tests */
    struct git_call call; /* limits of requests; cancel and progress are the agent's */
};

/*
 * Errors   ERR_INVALID  an address or a name is none, a name is given twice
 */
struct agent *agent_new(const struct agent_config *config,
                        const struct agent_ops *ops,
                        struct error *err);

/* Stopped first. NULL is fine. */
void agent_free(struct agent *agent);

/* Watches on threads of its own until agent_stop(). */
bool agent_start(struct agent *agent, struct error *err);

/* Cancels what waits for remotes, waits for deliveries under way. */
void agent_stop(struct agent *agent);

/* Asks every due repository once, in the calling thread; for tests and one-shot commands. */
void agent_turn(struct agent *agent);

/*
 * There may be something new: asks at once. name NULL: all sources.
 *
 * Returns  false when no source has that name
 */
bool agent_wake(struct agent *agent, const char *name);

/*
 * Has the newest commit delivered again although it is known, for example because somebody lifted
 * what held it.
 */
bool agent_redeliver(struct agent *agent, const char *name);

/* Wakes sources by the address of their repository, as webhooks name it. Returns how many. */
size_t agent_wake_address(struct agent *agent, const char *address);

enum source_state {
    SOURCE_NEW,      /* not asked yet */
    SOURCE_FETCHING, /* being asked or fetched */
    SOURCE_APPLYING, /* a commit is being delivered */
    SOURCE_IN_STEP,  /* the newest commit is applied */
    SOURCE_HELD,     /* the newest commit waits */
    SOURCE_FAILING,  /* see error */
};

/* "new", "fetching" … */
const char *source_state_name(enum source_state state);

/* For `weir status`, pages and metrics. Texts are owned by an arena. */
struct source_status {
    const char *name;
    const char *shown;  /* address without credentials */
    const char *branch; /* NULL: not known yet */
    const char *folder;
    enum source_state state;
    struct oid tip; /* newest commit seen; none yet */
    const char *subject;
    const char *author;
    usec_t committed_at;
    struct oid applied;  /* applied last by this process, or before; none */
    const char *summary; /* of the last delivery; NULL none */
    const char *error;   /* NULL: the last round went well */
    usec_t failing_since;
    usec_t polled_at; /* last answer of the remote; 0 never */
    usec_t due;       /* next question */
    unsigned failures;
    bool is_rewritten; /* history was rewritten at the last delivery */
    const char *copy;  /* folder of the copy, for reading */
};

/* All sources in the order of their configuration. */
const struct source_status *agent_status(struct agent *agent, struct arena *arena, size_t *count);

#endif
