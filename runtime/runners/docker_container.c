/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "core/value.h"
#include "runtime/runners/docker.h"
#include "runtime/worker/services.h"
#include "runtime/worker/task.h"

/* ---- properties ---- */

static const char *const pull_words[] = { "IF_NOT_PRESENT", "ALWAYS", "NEVER", NULL };
static const char *const strategy_words[] = { "VOLUME", "MOUNT", NULL };

static const struct prop cpu_props[] = {
    { "cpus", DOUBLE(struct docker_cpu, cpus), .flags = PROP_EXPR, .fallback = "0",
      .doc = "Processors that the container may use, for example `1.5`; all when absent." },
    { 0 },
};

static const struct prop memory_props[] = {
    { "memory", BYTES(struct docker_memory, memory), .flags = PROP_EXPR,
      .doc = "Most memory, for example `512MB`." },
    { "memorySwap", STR(struct docker_memory, swap), .flags = PROP_EXPR,
      .doc = "Most memory and swap space together; `-1` is no limit." },
    { "memorySwappiness", INT(struct docker_memory, swappiness), .flags = PROP_EXPR,
      .fallback = "-1", .min = -1, .max = 100,
      .doc = "How eagerly memory is swapped out, 0 to 100; the engine's default is -1." },
    { "memoryReservation", BYTES(struct docker_memory, reservation), .flags = PROP_EXPR,
      .doc = "Memory that the container gets back to when memory is scarce." },
    { "kernelMemory", BYTES(struct docker_memory, kernel), .flags = PROP_EXPR,
      .doc = "Most memory of the kernel; newer engines ignore it." },
    { "oomKillDisable", BOOL(struct docker_memory, is_oom_kill_disabled), .flags = PROP_EXPR,
      .fallback = "false", .doc = "Do not kill processes that run out of memory." },
    { 0 },
};

static const struct prop login_props[] = {
    { "registry", STR(struct docker_login, registry), .flags = PROP_EXPR,
      .doc = "Address of the registry; that of the image when absent." },
    { "username", STR(struct docker_login, username), .flags = PROP_EXPR, .doc = "User." },
    { "password", STR(struct docker_login, password), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Password." },
    { "registryToken", STR(struct docker_login, registry_token), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Bearer token." },
    { "identityToken", STR(struct docker_login, identity_token), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Token of an earlier login." },
    { "auth", STR(struct docker_login, auth), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Base64 of `user:password`." },
    { 0 },
};

static const struct prop device_props[] = {
    { "driver", .kind = PROP_STRING, .flags = PROP_EXPR, .doc = "Driver, for example `nvidia`." },
    { "count", .kind = PROP_INT, .flags = PROP_EXPR, .doc = "How many; -1 is all." },
    { "deviceIds", .kind = PROP_LIST, .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Which ones." },
    { "capabilities", .kind = PROP_LIST, .item = PROP_ANY, .flags = PROP_EXPR,
      .doc = "Lists of capabilities; one of the lists must be met." },
    { "options", .kind = PROP_MAP, .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Options of the driver." },
    { 0 },
};

const struct prop docker_props[] = {
    { "host", STR(struct docker_props, host), .flags = PROP_EXPR,
      .doc = "Address of the engine, `unix://…` or `tcp://…`; DOCKER_HOST or the first socket of "
             "Docker or Podman that is there when absent." },
    { "config", ANY(struct docker_props, config), .flags = PROP_EXPR | PROP_SECRET,
      .doc = "Docker's `config.json`, as text or map; its `auths` are used." },
    { "credentials", OBJECT(struct docker_props, login, login_props), .flags = PROP_EXPR,
      .doc = "Login for the registry of the image." },
    { "user", STR(struct docker_props, user), .flags = PROP_EXPR,
      .doc = "User of the commands; that of the image when absent." },
    { "entryPoint", LIST(struct docker_props, entry_point), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Entry point; none when absent, whatever the image says." },
    { "extraHosts", LIST(struct docker_props, extra_hosts), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Host names to add, each `name:address`." },
    { "networkMode", STR(struct docker_props, network_mode), .flags = PROP_EXPR,
      .doc = "Network: `bridge`, `host`, `none`, or the name of one." },
    { "portBindings", LIST(struct docker_props, port_bindings), .item = PROP_STRING,
      .flags = PROP_EXPR,
      .doc = "Ports to publish, each `host:container`; also `address:host:container/protocol`." },
    { "volumes", LIST(struct docker_props, volumes), .item = PROP_STRING, .flags = PROP_EXPR,
      .doc =
          "Folders of the engine's machine to mount, each `/folder:/path` or `/folder:/path:ro`; "
          "only where the setting `docker.volumes` allows it." },
    { "image", STR(struct docker_props, image), .flags = PROP_EXPR | PROP_DEPRECATED,
      .doc = "Use `containerImage` of the task." },
    { "pullPolicy", ENUM(struct docker_props, pull_policy), .words = pull_words, .flags = PROP_EXPR,
      .fallback = "IF_NOT_PRESENT", .doc = "When the image is pulled." },
    { "deviceRequests", OBJECTS(struct docker_props, device_requests), .object = device_props,
      .flags = PROP_EXPR, .doc = "Devices such as GPUs." },
    { "cpu", OBJECT(struct docker_props, cpu, cpu_props), .flags = PROP_EXPR,
      .doc = "Limits of processor time." },
    { "memory", OBJECT(struct docker_props, memory, memory_props), .flags = PROP_EXPR,
      .doc = "Limits of memory." },
    { "shmSize", BYTES(struct docker_props, shm_size), .flags = PROP_EXPR,
      .doc = "Size of `/dev/shm`, for example `128MB`." },
    { "privileged", BOOL(struct docker_props, privileged), .flags = PROP_EXPR, .fallback = "false",
      .doc = "All rights for the container; only where the setting `docker.privileged` allows "
             "it." },
    { "userNs", STR(struct docker_props, user_ns), .flags = PROP_EXPR,
      .doc = "User namespace, for example `keep-id` of a Podman without root." },
    { "fileHandlingStrategy", ENUM(struct docker_props, strategy), .words = strategy_words,
      .flags = PROP_EXPR, .fallback = "VOLUME",
      .doc = "`VOLUME` copies the working directory into the container and back; `MOUNT` mounts "
             "it, which needs an engine on this machine." },
    { "delete", BOOL(struct docker_props, remove), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Remove the container when its commands have ended." },
    { "wait", BOOL(struct docker_props, wait), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Wait for the end of the container; otherwise the task ends when it has started." },
    { "resume", BOOL(struct docker_props, resume), .flags = PROP_EXPR, .fallback = "true",
      .doc = "Go on with the container of an attempt that lost its worker." },
    { "killGracePeriod", DURATION(struct docker_props, grace), .flags = PROP_EXPR,
      .fallback = "PT0S", .min = 0, .max = USEC_HOUR,
      .doc = "Time between asking the commands to end and killing them." },
    { 0 },
};

/* ---- the container ---- */

/* "address:host:container/protocol", all but the container's port optional. */
static bool add_port(struct arena *arena,
                     const char *binding,
                     struct value_builder *exposed,
                     struct value_builder *ports,
                     struct error *err)
{
    const char *last = strrchr(binding, ':');
    const char *inner = last == NULL ? binding : last + 1;
    const char *outer = last == NULL ? "" : arena_strndup(arena, binding, (size_t)(last - binding));
    const char *colon = strrchr(outer, ':');
    const char *address = colon == NULL ? "" : arena_strndup(arena, outer, (size_t)(colon - outer));
    if (colon != NULL)
        outer = colon + 1;
    if (strspn(inner, "0123456789-") == 0)
        return error_set(err, ERR_INVALID, "'portBindings': '%s' names no port of the container",
                         binding);
    const char *key = strchr(inner, '/') != NULL ? inner : arena_printf(arena, "%s/tcp", inner);
    struct value_builder place = value_build(arena);
    value_put_text(&place, "HostIp", address);
    value_put_text(&place, "HostPort", outer);
    struct value_builder list = value_build(arena);
    value_add(&list, value_build_map(&place));
    value_put(exposed, key, &value_empty_map);
    value_put(ports, key, value_build_list(&list));
    return true;
}

static const struct value *device_of(struct arena *arena, const struct value *request)
{
    static const struct {
        const char *from;
        const char *to;
    } names[] = {
        { "driver", "Driver" },
        { "count", "Count" },
        { "deviceIds", "DeviceIDs" },
        { "options", "Options" },
    };
    struct value_builder map = value_build(arena);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!value_is_null(value_get(request, names[i].from)))
            value_put(&map, names[i].to, value_get(request, names[i].from));
    // One list of words stands for a list with that list.
    const struct value *capabilities = value_get(request, "capabilities");
    if (value_count(capabilities) > 0 && !value_is_list(value_item(capabilities, 0)))
        capabilities = value_list(arena, &capabilities, 1);
    if (value_count(capabilities) > 0)
        value_put(&map, "Capabilities", capabilities);
    return value_build_map(&map);
}

static bool put_memory(struct arena *arena,
                       const struct docker_memory *memory,
                       struct value_builder *host,
                       struct error *err)
{
    struct swap {
        int64_t bytes;
    } swap = { 0 };
    static const struct prop swap_props[] = {
        { "memorySwap", BYTES(struct swap, bytes), .doc = "" },
        { 0 },
    };
    if (memory->memory > 0)
        value_put_int(host, "Memory", memory->memory);
    if (memory->reservation > 0)
        value_put_int(host, "MemoryReservation", memory->reservation);
    if (memory->kernel > 0)
        value_put_int(host, "KernelMemory", memory->kernel);
    if (memory->swappiness >= 0)
        value_put_int(host, "MemorySwappiness", memory->swappiness);
    if (memory->is_oom_kill_disabled)
        value_put_bool(host, "OomKillDisable", true);
    if (str_empty(memory->swap))
        return true;
    if (str_eq(memory->swap, "-1")) {
        value_put_int(host, "MemorySwap", -1);
        return true;
    }
    const struct value *text = value_string(arena, memory->swap);
    if (!prop_bind(swap_props, value_with(arena, NULL, "memorySwap", text), &swap, arena, err))
        return false;
    value_put_int(host, "MemorySwap", swap.bytes);
    return true;
}

static const struct value *host_config(const struct docker_props *p,
                                       const struct docker_container *c,
                                       const struct value *ports,
                                       struct error *err)
{
    struct task_ctx *ctx = c->ctx;
    struct value_builder binds = value_build(ctx->arena);
    struct value_builder host = value_build(ctx->arena);
    if (p->strategy == DOCKER_MOUNT)
        value_add(&binds, value_string(ctx->arena,
                                       arena_printf(ctx->arena, "%s:%s", c->folder, c->folder)));
    if (value_count(p->volumes) > 0 && !ctx->services->allow_docker_volumes)
        task_log(ctx, LOG_WARN,
                 "'volumes' is ignored: the setting 'docker.volumes' does not allow tasks to mount "
                 "folders of this machine");
    for (size_t i = 0; ctx->services->allow_docker_volumes && i < value_count(p->volumes); i++)
        value_add(&binds, value_item(p->volumes, i));
    if (p->privileged && !ctx->services->allow_docker_privileged)
        task_log(ctx, LOG_WARN,
                 "'privileged' is ignored: the setting 'docker.privileged' does not allow it");
    value_put(&host, "Binds", value_build_list(&binds));
    value_put_bool(&host, "Privileged", p->privileged && ctx->services->allow_docker_privileged);
    value_put_bool(&host, "AutoRemove", false);
    if (!str_empty(p->network_mode))
        value_put_text(&host, "NetworkMode", p->network_mode);
    if (!str_empty(p->user_ns))
        value_put_text(&host, "UsernsMode", p->user_ns);
    if (p->cpu.cpus > 0)
        value_put_int(&host, "NanoCpus", (int64_t)llround(p->cpu.cpus * 1e9));
    if (p->shm_size > 0)
        value_put_int(&host, "ShmSize", p->shm_size);
    if (value_count(p->extra_hosts) > 0)
        value_put(&host, "ExtraHosts", p->extra_hosts);
    if (value_count(ports) > 0)
        value_put(&host, "PortBindings", ports);
    struct value_builder devices = value_build(ctx->arena);
    for (size_t i = 0; i < value_count(p->device_requests); i++)
        value_add(&devices, device_of(ctx->arena, value_item(p->device_requests, i)));
    if (value_count(p->device_requests) > 0)
        value_put(&host, "DeviceRequests", value_build_list(&devices));
    return put_memory(ctx->arena, &p->memory, &host, err) ? value_build_map(&host) : NULL;
}

static const struct value *texts(struct arena *arena, const char *const *items)
{
    struct value_builder list = value_build(arena);
    for (; items != NULL && *items != NULL; items++)
        value_add(&list, value_string(arena, *items));
    return value_build_list(&list);
}

const struct value *docker_container_config(const struct docker_props *p,
                                            const struct docker_container *c,
                                            struct error *err)
{
    const struct process_spec *spec = c->spec;
    struct arena *arena = c->ctx->arena;
    struct value_builder ports = value_build(arena);
    struct value_builder exposed = value_build(arena);
    struct value_builder config = value_build(arena);
    for (size_t i = 0; i < value_count(p->port_bindings); i++) {
        const char *binding = value_cstr(value_item(p->port_bindings, i));
        if (!add_port(arena, binding == NULL ? "" : binding, &exposed, &ports, err))
            return NULL;
    }
    const struct value *host = host_config(p, c, value_build_map(&ports), err);
    if (host == NULL)
        return NULL;
    // An empty text clears the image's entry point; Podman wants an empty list for that.
    const struct value *empty = &value_empty_string;
    const struct value *entry_point = p->entry_point;
    if (value_count(entry_point) == 0)
        entry_point = c->is_podman ? &value_empty_list : value_list(arena, &empty, 1);
    value_put_text(&config, "Image", c->image);
    value_put(&config, "Cmd", texts(arena, spec->argv));
    value_put(&config, "Entrypoint", entry_point);
    value_put_text(&config, "WorkingDir", c->folder);
    if (!str_empty(p->user))
        value_put_text(&config, "User", p->user);
    value_put(&config, "Env", texts(arena, spec->own_env));
    value_put(&config, "Labels", c->labels);
    value_put_bool(&config, "AttachStdout", true);
    value_put_bool(&config, "AttachStderr", true);
    if (exposed.count > 0)
        value_put(&config, "ExposedPorts", value_build_map(&exposed));
    value_put(&config, "HostConfig", host);
    return value_build_map(&config);
}
