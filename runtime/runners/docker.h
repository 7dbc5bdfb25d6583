/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of the runner Docker, and the container that they describe (connectors.md 17). */
#ifndef RUNTIME_RUNNERS_DOCKER_H
#define RUNTIME_RUNNERS_DOCKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/prop.h"
#include "runtime/runners/docker_engine.h"

struct error;
struct process_spec;
struct task_ctx;
struct value;

enum docker_pull_policy { DOCKER_PULL_IF_NOT_PRESENT, DOCKER_PULL_ALWAYS, DOCKER_PULL_NEVER };
enum docker_strategy { DOCKER_VOLUME, DOCKER_MOUNT };

struct docker_cpu {
    double cpus;
};

struct docker_memory {
    int64_t memory;
    const char *swap; /* "-1" is no limit */
    int64_t swappiness;
    int64_t reservation;
    int64_t kernel;
    bool is_oom_kill_disabled;
};

struct docker_props {
    const char *host;
    const struct value *config;
    struct docker_login login;
    const char *user;
    const struct value *entry_point;
    const struct value *extra_hosts;
    const char *network_mode;
    const struct value *port_bindings;
    const struct value *volumes;
    const char *image;
    int pull_policy; /* enum docker_pull_policy */
    const struct value *device_requests;
    struct docker_cpu cpu;
    struct docker_memory memory;
    int64_t shm_size;
    bool privileged;
    const char *user_ns;
    int strategy; /* enum docker_strategy */
    bool remove;
    bool wait;
    bool resume;
    usec_t grace;
};

extern const struct prop docker_props[];

/* What one container is made of, besides the properties. */
struct docker_container {
    struct task_ctx *ctx;
    const struct process_spec *spec;
    const char *image;
    const char *folder; /* working directory inside */
    const struct value *labels;
    bool is_podman;
};

/*
 * Body of the call that creates it. Warns of properties that the settings do not allow.
 *
 * Errors  ERR_INVALID  a port binding or a size that cannot be read
 */
const struct value *docker_container_config(const struct docker_props *props,
                                            const struct docker_container *container,
                                            struct error *err);

#endif
