/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wire.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/httpd.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/rng.h"
#include "base/str.h"
#include "cli/services.h"
#include "cli/version.h"
#include "core/config.h"
#include "core/json.h"
#include "core/value.h"
#include "runtime/api/api.h"
#include "runtime/driver/driver.h"
#include "runtime/plugins.h"
#include "runtime/secrets/crypt.h"
#include "runtime/secrets/secrets.h"
#include "runtime/storage/storage.h"
#include "runtime/store/logstore.h"
#include "runtime/store/store.h"
#include "runtime/worker/worker.h"

/* How often housekeeping of the store is looked at when there was nothing to do. */
#define MAINTAIN_EVERY_SECONDS 1

/* What a worker with so many places is given, so that none is empty while a commit is written. */
#define ORDERS_GIVEN(places) (2 * (size_t)(places) + 32)

struct server {
    struct runtime runtime; /* first */
    struct arena *arena;
    struct server_services services;
    struct engine_world world;
    struct redact *masks; /* NULL: outputs are shown as they are */
    struct worker *worker;
    struct api *api;
    struct httpd *httpd;
    pthread_t maintainer;
    bool is_maintaining;
    atomic_bool is_stopping;
    pthread_mutex_t sources_lock;
    runtime_sources_fn *sources;
    void *sources_data;
    runtime_reconcile_fn *reconcile; /* under sources_lock */
    void *reconcile_data;
};

/* ---- from settings ---- */

/* Environment variables with one of the prefixes, without it and in lower case. */
static const struct value *envs_of(struct arena *arena, const struct value *prefixes)
{
    struct value_builder envs = value_build(arena);
    for (char **at = environ; *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        for (size_t i = 0; equals != NULL && i < value_count(prefixes); i++) {
            const char *prefix = value_cstr(value_item(prefixes, i));
            if (prefix == NULL || !str_starts(*at, prefix) || *at + strlen(prefix) >= equals)
                continue;
            char *name =
                arena_strndup(arena, *at + strlen(prefix), (size_t)(equals - *at) - strlen(prefix));
            for (char *c = name; *c != '\0'; c++)
                *c = (char)tolower((unsigned char)*c);
            value_put_text(&envs, name, equals + 1);
        }
    }
    return value_build_map(&envs);
}

static const struct value *kestra_of(struct arena *arena, const struct config *config)
{
    struct value_builder kestra = value_build(arena);
    const char *environment = config_text(config, "environment");
    if (environment != NULL) {
        struct value_builder inner = value_build(arena);
        value_put_text(&inner, "name", environment);
        value_put(&kestra, "environment", value_build_map(&inner));
    }
    value_put_text(&kestra, "url", config_text(config, "url"));
    return value_build_map(&kestra);
}

static struct storage *open_storage(struct server *server,
                                    const struct config *config,
                                    const char *data,
                                    struct error *err)
{
    if (str_eq(config_text(config, "storage.type"), "s3")) {
        struct storage_s3_options options = {
            .endpoint = config_text(config, "storage.s3.endpoint"),
            .region = config_text(config, "storage.s3.region"),
            .bucket = config_text(config, "storage.s3.bucket"),
            .prefix = config_text(config, "storage.s3.prefix"),
            .access_key = config_text(config, "storage.s3.accessKey"),
            .secret_key = config_text(config, "storage.s3.secretKey"),
            .path_style = config_bool(config, "storage.s3.pathStyle"),
        };
        return storage_s3_new(&options, err);
    }
    const char *path = config_text(config, "storage.path");
    if (path == NULL)
        path = arena_printf(server->arena, "%s/storage", data);
    return storage_local_new(path, err);
}

static const char *const *texts_of(struct arena *arena, const struct value *list)
{
    const char **texts = ARENA_ARRAY(arena, value_count(list) + 1, const char *);
    size_t count = 0;
    for (size_t i = 0; i < value_count(list); i++) {
        const char *text = value_cstr(value_item(list, i));
        if (text != NULL)
            texts[count++] = text;
    }
    return texts;
}

static enum recover_missed recover_of(const struct config *config)
{
    const char *word = config_text(config, "schedules.recoverMissed");
    if (str_eq(word, "LAST"))
        return RECOVER_LAST;
    return str_eq(word, "NONE") ? RECOVER_NONE : RECOVER_ALL;
}

/* "host:port" or ":port" or "port". */
static bool split_listen(
    struct arena *arena, const char *text, const char **host, unsigned *port, struct error *err)
{
    const char *colon = strrchr(text, ':');
    int64_t number = 0;
    if (!str_to_int(colon == NULL ? text : colon + 1, 0, 65535, &number))
        return error_set(err, ERR_INVALID,
                         "setting 'listen' is '%s'; write HOST:PORT, for example 127.0.0.1:8080",
                         text);
    *port = (unsigned)number;
    *host =
        colon == NULL || colon == text ? NULL : arena_strndup(arena, text, (size_t)(colon - text));
    return true;
}

/* ---- what the parts ask of one another ---- */

static void log_written(void *data, const struct log_row *row)
{
    struct server *server = data; // nothing is written before the driver is there
    driver_log_written(server->runtime.driver, row);
}

static const struct value *decrypt(void *data, struct arena *arena, const struct value *stored)
{
    struct server *server = data;
    return crypt_world_decrypt(server->services.crypt, arena, stored);
}

static const struct value *encrypt(void *data, struct arena *arena, const struct value *clear)
{
    struct server *server = data;
    return crypt_world_encrypt(server->services.crypt, arena, clear);
}

static void mask(void *data, const char *execution_id, const char *text, size_t length)
{
    struct server *server = data;
    worker_mask(server->worker, execution_id, text, length);
}

static bool redact(
    void *data, const char *execution_id, const char *text, size_t length, struct buf *out)
{
    struct server *server = data;
    return worker_redact(server->worker, execution_id, text, length, out);
}

/* ---- parts ---- */

static bool open_store(struct server *server,
                       const struct runtime_options *options,
                       struct error *err)
{
    struct runtime *runtime = &server->runtime;
    if (options->is_volatile) {
        runtime->store = store_memory_new();
    } else {
        struct store_sqlite_options store = {
            .path = arena_printf(server->arena, "%s/weir.db", options->data),
        };
        runtime->store = store_sqlite_open(&store, err);
    }
    if (runtime->store == NULL)
        return false;
    struct logstore_options logs = {
        .folder =
            options->is_volatile ? NULL : arena_printf(server->arena, "%s/logs", options->data),
        .written = log_written,
        .data = server,
    };
    runtime->logs = logstore_new(&logs, err);
    return runtime->logs != NULL;
}

static bool open_services(struct server *server,
                          const struct runtime_options *options,
                          struct error *err)
{
    const struct config *config = options->config;
    struct server_services *services = &server->services;
    services->crypt = crypt_new(config_text(config, "encryption.key"), err);
    if (services->crypt == NULL)
        return error_wrap(err, "setting 'encryption.key'");
    services->secrets[0] = secrets_environment_new(NULL);
    services->store = server->runtime.store;
    services->readers = reader_pool_new(server->runtime.store);
    // Tasks see these paths from folders of their own.
    AUTO_FREE char *data = realpath(options->data, NULL);
    if (data == NULL)
        return fs_error(err, errno, "open", options->data);
    services->base.work_root = arena_printf(server->arena, "%s/work", data);
    services->base.cache_root = arena_printf(server->arena, "%s/cache", data);
    services->base.storage = server->runtime.storage;
    const struct value *roots = config_value(config, "files.allowed");
    services->base.local_roots = texts_of(server->arena, roots);
    services->base.allow_local_files = value_count(roots) > 0;
    services->base.allow_docker_volumes = config_bool(config, "docker.volumes");
    services->base.allow_docker_privileged = config_bool(config, "docker.privileged");
    server_services_init(services);

    server->world = (struct engine_world){
        .plugins = server->runtime.plugins,
        .envs = envs_of(server->arena, config_value(config, "variables.envPrefixes")),
        .globals = config_value(config, "variables.globals"),
        .kestra = kestra_of(server->arena, config),
        .zone = server->runtime.zone,
        .decrypt = decrypt,
        .encrypt = crypt_has_key(services->crypt) ? encrypt : NULL,
        .mask = mask,
        .data = server,
        .work_root = services->base.work_root,
    };
    return true;
}

static bool open_worker(struct server *server, const struct config *config, struct error *err)
{
    struct worker_options options = {
        .services = &server->services.base,
        .plugins = server->runtime.plugins,
        .logs = server->runtime.logs,
        .slots = (size_t)config_int(config, "workers.processes"),
        .threads = (size_t)config_int(config, "workers.threads"),
    };
    server->worker = worker_new(&options, err);
    return server->worker != NULL;
}

static bool open_driver(struct server *server, const struct config *config, struct error *err)
{
    struct runtime *runtime = &server->runtime;
    struct driver_config options = {
        .store = runtime->store,
        .logs = runtime->logs,
        .world = &server->world,
        .plugins = runtime->plugins,
        .plugin_defaults = runtime->plugin_defaults,
        .services = &server->services.base,
        .worker = worker_interface(server->worker),
        .processes_max = ORDERS_GIVEN(config_int(config, "workers.processes")),
        .calls_max = ORDERS_GIVEN(config_int(config, "workers.threads")),
        .zone = runtime->zone,
        .recover_missed = recover_of(config),
        .retention = config_duration(config, "retention"),
        .inbox_max = (size_t)config_int(config, "limits.inbox"),
        .linger = 5 * USEC_MSEC,
        .redact = redact,
        .redact_data = server,
    };
    runtime->driver = driver_new(&options, err);
    if (runtime->driver == NULL)
        return false;
    server->services.driver = runtime->driver;
    server->services.operations = (struct driver_operations){
        .driver = runtime->driver,
        .store = runtime->store,
        .logs = runtime->logs,
        .storage = runtime->storage,
    };
    struct worker_answers answers = driver_worker_answers(runtime->driver);
    worker_connect(server->worker, &answers);
    return driver_start(runtime->driver, err);
}

static const struct value *current_sources(void *data, struct arena *arena)
{
    struct server *server = data;
    (void)pthread_mutex_lock(&server->sources_lock);
    runtime_sources_fn *sources = server->sources;
    void *sources_data = server->sources_data;
    (void)pthread_mutex_unlock(&server->sources_lock);
    return sources == NULL ? &value_empty_list : sources(sources_data, arena);
}

static const struct value *current_reconcile(void *data,
                                             struct arena *arena,
                                             const char *verb,
                                             const struct value *arguments,
                                             struct error *err)
{
    struct server *server = data;
    (void)pthread_mutex_lock(&server->sources_lock);
    runtime_reconcile_fn *reconcile = server->reconcile;
    void *reconcile_data = server->reconcile_data;
    (void)pthread_mutex_unlock(&server->sources_lock);
    if (reconcile != NULL)
        return reconcile(reconcile_data, arena, verb, arguments, err);
    (void)error_set(err, ERR_NOT_FOUND, "no repository is watched");
    return NULL;
}

/* Texts of a secret that is a JSON document: `subkey` gives them one by one. */
static void mask_members(struct redact *masks, const struct value *value)
{
    for (size_t i = 0; i < value_count(value); i++) {
        const struct value *member =
            value_is_map(value) ? value->map.members[i].value : value_item(value, i);
        if (value_is_string(member))
            (void)redact_add_bytes(masks, member->string.bytes, member->string.length);
        mask_members(masks, member);
    }
}

/* Every secret there is, since outputs may hold what an earlier server read. */
static struct redact *masks_new(const struct server_services *services, struct arena *arena)
{
    struct redact *masks = redact_new(NULL);
    const char *const *names = secrets_names(services->secrets, arena);
    for (; *names != NULL; names++) {
        struct error err = { 0 };
        const char *text = secrets_get(services->secrets, arena, "", *names, &err);
        if (text == NULL)
            continue; // told where a flow asks for it
        if (!redact_add(masks, text))
            log_warn("more secrets than can be masked", LOG_INT("most", REDACT_COUNT_MAX));
        mask_members(masks, json_parse(arena, text, strlen(text), NULL));
    }
    return masks;
}

static bool open_api(struct server *server, const struct config *config, struct error *err)
{
    struct runtime *runtime = &server->runtime;
    struct api_user user = {
        .name = config_text(config, "auth.user"),
        .password = config_text(config, "auth.password"),
    };
    struct api_user *users = arena_memdup(server->arena, &user, sizeof(user));
    const struct value *tokens = config_value(config, "auth.tokens");
    if (config_bool(config, "secrets.maskOutputs"))
        server->masks = masks_new(&server->services, server->arena);
    struct api_config options = {
        .driver = runtime->driver,
        .store = runtime->store,
        .logs = runtime->logs,
        .storage = runtime->storage,
        .services = &server->services.base,
        .plugins = runtime->plugins,
        .plugin_defaults = runtime->plugin_defaults,
        .world = &server->world,
        .public_url = config_text(config, "url"),
        .zone = runtime->zone,
        .version = WEIR_VERSION,
        .users = users,
        .users_count = user.name == NULL ? 0 : 1,
        .tokens = value_count(tokens) == 0 ? NULL : texts_of(server->arena, tokens),
        .secret_keys = secrets_names(server->services.secrets, server->arena),
        .masks = server->masks,
        .environment_name = config_text(config, "environment"),
        .body_max = config_int(config, "limits.requestBytes"),
        .sources = current_sources,
        .sources_data = server,
        .reconcile = current_reconcile,
        .reconcile_data = server,
    };
    server->api = api_new(&options, err);
    if (server->api == NULL)
        return false;
    struct httpd_options http = {
        .setting = "listen (option --listen)",
        .handler = api_handle,
        .begin = api_begin,
        .refuse = api_refuse,
        .context = server->api,
    };
    if (!split_listen(server->arena, config_text(config, "listen"), &http.host, &http.port, err))
        return false;
    server->httpd = httpd_start(&http, err);
    if (server->httpd == NULL)
        return false;
    runtime->port = httpd_port(server->httpd);
    return true;
}

/* Checkpoints and expiry in small steps, away from the driver's thread. */
static void *maintain(void *data)
{
    struct server *server = data;
    struct store *store = server->runtime.store;
    while (!atomic_load(&server->is_stopping)) {
        if (!store->ops->maintain(store, clock_now()))
            (void)sleep(MAINTAIN_EVERY_SECONDS);
    }
    return NULL;
}

static bool start_all(struct server *server,
                      const struct runtime_options *options,
                      struct error *err)
{
    const struct config *config = options->config;
    struct runtime *runtime = &server->runtime;
    runtime->plugins = plugins();
    runtime->plugin_defaults = config_value(config, "plugins.defaults");
    runtime->zone = config_text(config, "timezone");
    if (!fs_mkdirs(options->data, 0700, err))
        return error_wrap(err, "data folder (setting 'data')");
    if (!open_store(server, options, err))
        return false;
    runtime->storage = open_storage(server, config, options->data, err);
    if (runtime->storage == NULL)
        return error_wrap(err, "storage (setting 'storage.type')");
    if (!open_services(server, options, err) || !open_worker(server, config, err) ||
        !open_driver(server, config, err))
        return false;
    if (options->is_open && !open_api(server, config, err))
        return false;
    if (!options->is_volatile) {
        server->is_maintaining = pthread_create(&server->maintainer, NULL, maintain, server) == 0;
        if (!server->is_maintaining)
            return error_set(err, ERR_UNAVAILABLE, "a thread cannot be started");
    }
    return true;
}

struct runtime *runtime_start(const struct runtime_options *options, struct error *err)
{
    struct server *server = check_calloc(1, sizeof(*server));
    server->arena = arena_new();
    CHECK(pthread_mutex_init(&server->sources_lock, NULL) == 0);
    if (!start_all(server, options, err)) {
        runtime_stop(&server->runtime);
        return NULL;
    }
    return &server->runtime;
}

void runtime_stop(struct runtime *runtime)
{
    if (runtime == NULL)
        return;
    struct server *server = (struct server *)runtime;
    atomic_store(&server->is_stopping, true);
    if (server->httpd != NULL)
        httpd_quiesce(server->httpd);
    if (server->api != NULL)
        api_quiesce(server->api);
    // The driver is there for the last answers of the worker, and knows then what had not begun.
    if (server->worker != NULL)
        worker_stop(server->worker);
    if (runtime->driver != NULL)
        driver_stop(runtime->driver);
    api_free(server->api);
    httpd_stop(server->httpd);
    if (server->is_maintaining)
        (void)pthread_join(server->maintainer, NULL);
    driver_free(runtime->driver);
    worker_free(server->worker);
    reader_pool_free(server->services.readers);
    logstore_free(runtime->logs);
    store_free(runtime->store);
    storage_free(runtime->storage);
    redact_free(server->masks);
    secrets_free(server->services.secrets[0]);
    crypt_free(server->services.crypt);
    (void)pthread_mutex_destroy(&server->sources_lock);
    arena_free(server->arena);
    free(server);
}

void runtime_set_sources(struct runtime *runtime, runtime_sources_fn *fn, void *data)
{
    struct server *server = (struct server *)runtime;
    (void)pthread_mutex_lock(&server->sources_lock);
    server->sources = fn;
    server->sources_data = data;
    (void)pthread_mutex_unlock(&server->sources_lock);
}

void runtime_set_reconcile(struct runtime *runtime, runtime_reconcile_fn *fn, void *data)
{
    struct server *server = (struct server *)runtime;
    (void)pthread_mutex_lock(&server->sources_lock);
    server->reconcile = fn;
    server->reconcile_data = data;
    (void)pthread_mutex_unlock(&server->sources_lock);
}
