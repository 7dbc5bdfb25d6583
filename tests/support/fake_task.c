/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_task.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/str.h"
#include "core/expr/expr.h"
#include "core/json.h"
#include "core/plugin.h"
#include "core/yaml.h"
#include "runtime/plugins.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/evaluate.h"
#include "runtime/worker/runner.h"
#include "tests/support/test.h"

/* ---- services ---- */

static struct fake_entry *find_entry(struct fake_task *fake, const char *namespace, const char *key)
{
    for (size_t i = 0; i < fake->kv.count; i++)
        if (str_eq(fake->kv.items[i].namespace, namespace) && str_eq(fake->kv.items[i].key, key))
            return &fake->kv.items[i];
    return NULL;
}

static bool kv_get(void *data,
                   struct arena *arena,
                   const char *namespace,
                   const char *key,
                   struct kv_entry *out,
                   struct error *err)
{
    (void)arena;
    const struct fake_entry *entry = find_entry(data, namespace, key);
    if (entry == NULL)
        return error_set(err, ERR_NOT_FOUND, "no such key");
    *out = entry->entry;
    return true;
}

static bool kv_put(void *data,
                   const char *namespace,
                   const struct kv_entry *entry,
                   bool overwrite,
                   struct error *err)
{
    struct fake_task *fake = data;
    struct fake_entry *old = find_entry(fake, namespace, entry->key);
    if (old != NULL && !overwrite)
        return error_set(err, ERR_CONFLICT, "exists");
    if (old == NULL)
        old = VEC_PUSH_ARENA(fake->arena, &fake->kv);
    old->namespace = arena_strdup(fake->arena, namespace);
    old->key = arena_strdup(fake->arena, entry->key);
    old->entry = *entry;
    old->entry.key = old->key;
    old->entry.value = value_copy(fake->arena, entry->value);
    return true;
}

static bool kv_delete(
    void *data, const char *namespace, const char *key, bool *existed, struct error *err)
{
    struct fake_task *fake = data;
    (void)err;
    struct fake_entry *entry = find_entry(fake, namespace, key);
    *existed = entry != NULL;
    if (entry != NULL)
        *entry = fake->kv.items[--fake->kv.count];
    return true;
}

static bool kv_list(void *data,
                    struct arena *arena,
                    const char *namespace,
                    const char *prefix,
                    struct kv_entry **out,
                    size_t *count,
                    struct error *err)
{
    struct fake_task *fake = data;
    VEC(struct kv_entry) found = { 0 };
    (void)err;
    for (size_t i = 0; i < fake->kv.count; i++)
        if (str_eq(fake->kv.items[i].namespace, namespace) &&
            (prefix == NULL || str_starts(fake->kv.items[i].key, prefix)))
            *VEC_PUSH_ARENA(arena, &found) = fake->kv.items[i].entry;
    *out = found.items;
    *count = found.count;
    return true;
}

static struct fake_file *find_file(struct fake_task *fake, const char *namespace, const char *path)
{
    for (size_t i = 0; i < fake->files.count; i++)
        if (str_eq(fake->files.items[i].namespace, namespace) &&
            str_eq(fake->files.items[i].path, path))
            return &fake->files.items[i];
    return NULL;
}

static bool file_find(void *data,
                      struct arena *arena,
                      const char *namespace,
                      const char *path,
                      int64_t revision,
                      struct file_entry *out,
                      struct error *err)
{
    (void)arena;
    const struct fake_file *file = find_file(data, namespace, path);
    if (file == NULL || (revision > 0 && file->revision != revision))
        return error_set(err, ERR_NOT_FOUND, "no file '%s' in namespace '%s'", path, namespace);
    *out = (struct file_entry){ .path = file->path,
                                .content = file->content,
                                .bytes = file->bytes,
                                .revision = file->revision };
    return true;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct file_entry *)a)->path, ((const struct file_entry *)b)->path);
}

static bool file_list(void *data,
                      struct arena *arena,
                      const char *namespace,
                      struct file_entry **out,
                      size_t *count,
                      struct error *err)
{
    struct fake_task *fake = data;
    VEC(struct file_entry) found = { 0 };
    (void)err;
    for (size_t i = 0; i < fake->files.count; i++) {
        const struct fake_file *file = &fake->files.items[i];
        if (str_eq(file->namespace, namespace))
            *VEC_PUSH_ARENA(arena, &found) = (struct file_entry){ .path = file->path,
                                                                  .content = file->content,
                                                                  .bytes = file->bytes,
                                                                  .revision = file->revision };
    }
    if (found.count > 0)
        qsort(found.items, found.count, sizeof(found.items[0]), compare_paths);
    *out = found.items;
    *count = found.count;
    return true;
}

static bool file_put(void *data,
                     const char *namespace,
                     const char *path,
                     const char *local,
                     bool overwrite,
                     struct error *err)
{
    struct fake_task *fake = data;
    size_t length = 0;
    if (find_file(fake, namespace, path) != NULL && !overwrite)
        return error_set(err, ERR_CONFLICT, "exists");
    const char *text = fs_read(fake->arena, local, 1 << 20, &length, err);
    if (text == NULL)
        return false;
    fake_file(fake, namespace, path, text);
    return true;
}

static bool file_delete(
    void *data, const char *namespace, const char *path, bool *existed, struct error *err)
{
    struct fake_task *fake = data;
    (void)err;
    struct fake_file *file = find_file(fake, namespace, path);
    *existed = file != NULL;
    if (file != NULL)
        *file = fake->files.items[--fake->files.count];
    return true;
}

static const char *get_secret(
    void *data, struct arena *arena, const char *namespace, const char *key, struct error *err)
{
    struct fake_task *fake = data;
    (void)arena;
    (void)namespace;
    const char *value = map_find(&fake->secrets, key);
    if (value == NULL)
        error_set(err, ERR_NOT_FOUND, "Cannot find secret for key '%s'.", key);
    return value;
}

static const struct value *operate(void *data,
                                   struct arena *arena,
                                   const char *operation,
                                   const struct value *arguments,
                                   struct error *err)
{
    struct fake_task *fake = data;
    buf_printf(&fake->operations, "%s ", operation);
    value_write_json_full(&fake->operations, arguments);
    buf_putc(&fake->operations, '\n');
    const char *failure = map_find(&fake->operation_failures, operation);
    if (failure != NULL) {
        error_set(err, ERR_NOT_FOUND, "%s", failure);
        return NULL;
    }
    const char *answer = map_find(&fake->operation_answers, operation);
    return answer == NULL ? &value_empty_map : json_parse(arena, answer, strlen(answer), err);
}

static const struct value *encrypt(void *data,
                                   struct arena *arena,
                                   const struct value *clear,
                                   struct error *err)
{
    (void)data;
    (void)err;
    return value_with(arena, NULL, "sealed", value_int(arena, (int64_t)clear->string.length));
}

/* ---- the task ---- */

static void write_log(struct job *job, enum log_level level, const char *text, size_t length)
{
    struct fake_task *fake = (struct fake_task *)job;
    buf_printf(&fake->log, "%s ", log_level_name(level));
    buf_add(&fake->log, text, length);
    buf_putc(&fake->log, '\n');
}

static const char context_json[] =
    "{\"flow\":{\"id\":\"my_flow\",\"namespace\":\"company.team\",\"revision\":1},"
    "\"execution\":{\"id\":\"exec1\"},\"task\":{\"id\":\"my_task\"},\"taskrun\":{\"id\":\"run1\"}}";

struct fake_task *fake_task_new(void)
{
    struct fake_task *fake = check_calloc(1, sizeof(*fake));
    struct error err = { 0 };
    fake->arena = arena_new();
    fake->folder = test_folder();
    fake->services = (struct services){
        .data = fake,
        .storage = storage_local_new(arena_printf(fake->arena, "%s/storage", fake->folder), &err),
        .kv_get = kv_get,
        .kv_put = kv_put,
        .kv_delete = kv_delete,
        .kv_list = kv_list,
        .file_find = file_find,
        .file_list = file_list,
        .file_put = file_put,
        .file_delete = file_delete,
        .secret = get_secret,
        .operate = operate,
        .encrypt = encrypt,
        .work_root = arena_printf(fake->arena, "%s/work", fake->folder),
    };
    CHECK(fake->services.storage != NULL);
    fake->context = json_parse(fake->arena, context_json, sizeof(context_json) - 1, &err);
    CHECK(fake->context != NULL);
    job_init(&fake->job);
    fake->job.log = write_log;
    fake->job.scratch = arena_printf(fake->arena, "%s/exec1/.run1-1", fake->services.work_root);
    fake->job.owns_working_dir = true;
    struct task_ctx *ctx = &fake->job.ctx;
    ctx->arena = fake->arena;
    ctx->services = &fake->services;
    ctx->execution_id = "exec1";
    ctx->namespace = "company.team";
    ctx->flow_id = "my_flow";
    ctx->flow_revision = 1;
    ctx->task_id = "my_task";
    ctx->run_id = "run1";
    ctx->attempt = 1;
    ctx->working_dir = arena_printf(fake->arena, "%s/exec1/run1", fake->services.work_root);
    ctx->deadline = USEC_NEVER;
    ctx->redact = redact_new(NULL);
    ctx->context = fake->context;
    return fake;
}

void fake_task_free(struct fake_task *fake)
{
    storage_free(fake->services.storage);
    redact_free(fake->job.ctx.redact);
    map_free(&fake->secrets);
    map_free(&fake->operation_answers);
    map_free(&fake->operation_failures);
    buf_free(&fake->log);
    buf_free(&fake->operations);
    arena_free(fake->arena);
    free(fake);
}

/* Rendered and bound properties; NULL with fake->error. */
static const void *bind(struct fake_task *fake, const struct plugin *plugin, const char *yaml)
{
    struct task_ctx *ctx = &fake->job.ctx;
    struct evaluate evaluate = { .services = &fake->services,
                                 .context = fake->context,
                                 .redact = ctx->redact,
                                 .is_task = true };
    struct expr_host host = evaluate_host(&evaluate);
    struct expr_env env = { .context = fake->context, .host = &host, .now = clock_now() };
    fake->error = (struct error){ 0 };
    fake->outputs = &value_empty_map;
    ctx->context = fake->context;
    ctx->task_type = plugin->id;
    const struct value *map = yaml_parse(fake->arena, yaml, strlen(yaml), NULL, &fake->error);
    if (map == NULL)
        return NULL;
    if (value_is_null(map))
        map = &value_empty_map;
    ctx->props = prop_render(plugin->props, map, &env, fake->arena, &fake->error);
    void *bound = arena_alloc(fake->arena, plugin->props_size);
    bool ok = ctx->props != NULL &&
              prop_bind(plugin->props, ctx->props, bound, fake->arena, &fake->error);
    return ok ? bound : NULL;
}

bool fake_task_run(struct fake_task *fake, const struct plugin *plugin, const char *yaml)
{
    struct value_builder out = value_build(fake->arena);
    const void *bound = bind(fake, plugin, yaml);
    bool ok = bound != NULL && plugin->call_ops->run(&fake->job.ctx, bound, &out, &fake->error) &&
              job_sync(&fake->job, &fake->error);
    fake->outputs = value_build_map(&out);
    return ok;
}

/* ---- runners ---- */

struct elsewhere {
    struct fake_task *fake;
    const struct plugin *plugin;
    const void *bound;
    struct buf partial[2];
};

static void take_line(struct elsewhere *e, bool is_stderr)
{
    struct task_ctx *ctx = &e->fake->job.ctx;
    const struct process_ops *ops = e->plugin->process_ops;
    const char *line = buf_text(&e->partial[is_stderr]);
    size_t length = e->partial[is_stderr].length;
    if (ops->line == NULL || !ops->line(ctx, e->bound, is_stderr, line, length))
        task_log_text(ctx, is_stderr ? LOG_ERROR : LOG_INFO, line, length);
    buf_clear(&e->partial[is_stderr]);
}

static void on_output(struct runner_run *run, bool is_stderr, const char *bytes, size_t length)
{
    struct elsewhere *e = run->data;
    e->fake->job.is_quiet = run->is_replay;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n')
            take_line(e, is_stderr);
        else
            buf_putc(&e->partial[is_stderr], bytes[i]);
    }
    e->fake->job.is_quiet = false;
}

static bool run_elsewhere(struct elsewhere *e, struct value_builder *out)
{
    struct fake_task *fake = e->fake;
    struct process_spec spec = { 0 };
    if (!e->plugin->process_ops->prepare(&fake->job.ctx, e->bound, &spec, &fake->error))
        return false;
    const struct plugin *runner = plugin_find(plugins(), value_get_text(spec.runner, "type", ""));
    CHECK(runner != NULL && runner->role == PLUGIN_RUNNER && runner->ops != NULL);
    void *bound = arena_alloc(fake->arena, runner->props_size);
    if (!prop_bind(runner->props, spec.runner, bound, fake->arena, &fake->error))
        return false;
    struct runner_run run = {
        .ctx = &fake->job.ctx, .spec = &spec, .bound = bound, .output = on_output, .data = e
    };
    const struct runner_ops *ops = runner->ops;
    if (!ops->run(&run, &fake->error))
        return false;
    for (int i = 0; i < 2; i++)
        if (e->partial[i].length > 0)
            take_line(e, i == 1);
    if (run.details != NULL)
        value_put(out, "taskRunner", run.details);
    value_put_text(out, "note", run.exit_note);
    return e->plugin->process_ops->finish(&fake->job.ctx, e->bound, run.exit_code, out,
                                          &fake->error);
}

bool fake_task_run_elsewhere(struct fake_task *fake, const struct plugin *plugin, const char *yaml)
{
    struct value_builder out = value_build(fake->arena);
    struct elsewhere e = { .fake = fake, .plugin = plugin };
    e.bound = bind(fake, plugin, yaml);
    bool ok = e.bound != NULL && run_elsewhere(&e, &out);
    fake->outputs = value_build_map(&out);
    buf_free(&e.partial[0]);
    buf_free(&e.partial[1]);
    return ok;
}

const char *fake_output(struct fake_task *fake, const char *path)
{
    const struct value *value = value_path(fake->outputs, path);
    if (value == NULL)
        return NULL;
    return value_is_string(value) ? value_cstr(value) : value_to_json(fake->arena, value);
}

const char *fake_read(struct fake_task *fake, const char *uri)
{
    struct error err = { 0 };
    if (uri == NULL)
        fail_msg("no URI");
    const char *text = task_read_file(&fake->job.ctx, uri, 64 << 20, NULL, &err);
    if (text == NULL)
        fail_msg("%s: %s", uri, err.text);
    return text;
}

const char *fake_store(struct fake_task *fake, const char *name, const char *text)
{
    struct error err = { 0 };
    const char *uri = task_store_bytes(&fake->job.ctx, text, strlen(text), name, &err);
    if (uri == NULL)
        fail_msg("%s", err.text);
    return uri;
}

void fake_kv(struct fake_task *fake, const char *namespace, const char *key, const char *json)
{
    struct error err = { 0 };
    struct kv_entry entry = { .key = key,
                              .value = json_parse(fake->arena, json, strlen(json), &err),
                              .expires_at = USEC_NEVER };
    CHECK(entry.value != NULL);
    CHECK(kv_put(fake, namespace, &entry, true, &err));
}

const char *fake_kv_get(struct fake_task *fake, const char *namespace, const char *key)
{
    const struct fake_entry *entry = find_entry(fake, namespace, key);
    return entry == NULL ? NULL : value_to_json(fake->arena, entry->entry.value);
}

void fake_file(struct fake_task *fake, const char *namespace, const char *path, const char *text)
{
    struct error err = { 0 };
    struct storage *storage = fake->services.storage;
    struct fake_file *file = find_file(fake, namespace, path);
    int64_t revision = file == NULL ? 1 : file->revision + 1;
    if (file == NULL)
        file = VEC_PUSH_ARENA(fake->arena, &fake->files);
    *file = (struct fake_file){
        .namespace = arena_strdup(fake->arena, namespace),
        .path = arena_strdup(fake->arena, path),
        .content = storage_content_path(fake->arena, namespace,
                                        arena_printf(fake->arena, "%s-%d", path, (int)revision)),
        .bytes = (int64_t)strlen(text),
        .revision = revision,
    };
    CHECK(storage->ops->put_bytes(storage, file->content, text, strlen(text), 0, &err));
}

const char *fake_file_get(struct fake_task *fake, const char *namespace, const char *path)
{
    const struct fake_file *file = find_file(fake, namespace, path);
    const char *bytes = NULL;
    size_t length = 0;
    struct error err = { 0 };
    struct storage *storage = fake->services.storage;
    if (file == NULL)
        return NULL;
    CHECK(storage->ops->get_bytes(storage, fake->arena, file->content, 1 << 20, &bytes, &length,
                                  &err));
    return bytes;
}
