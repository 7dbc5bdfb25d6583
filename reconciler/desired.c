/* SPDX-License-Identifier: Apache-2.0 */
/* What files define: flows, namespace files, KV entries. */
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/flow.h"
#include "core/json.h"
#include "core/value.h"
#include "core/yaml.h"
#include "reconciler/parallel.h"
#include "reconciler/planner.h"

/* What one thread of the reading has of its own. */
struct reader {
    struct planner *planner;
    struct arena *arenas[PARALLEL_THREADS_MAX];
    atomic_bool has_failed; /* a file cannot be read: the rest need not be */
};

/* ---- flows ---- */

static const struct object_ref *collect_refs(struct arena *arena,
                                             const struct flow *flow,
                                             size_t *count)
{
    size_t found = 0;
    const struct flow_reference *refs = flow_references(flow, arena, &found);
    if (found > OBJECT_REFS_MAX)
        found = OBJECT_REFS_MAX;
    struct object_ref *out = ARENA_ARRAY(arena, found, struct object_ref);
    *count = 0;
    for (size_t i = 0; i < found; i++) {
        const struct flow_reference *ref = &refs[i];
        enum object_kind kind = OBJECT_FLOW;
        const char *name = ref->name;
        switch (ref->kind) {
        case REF_SUBFLOW:
        case REF_FLOW_TRIGGER:
            break;
        case REF_FILE:
            kind = OBJECT_FILE;
            while (*name == '/')
                name++;
            break;
        case REF_KV:
            kind = OBJECT_KV;
            break;
        case REF_SECRET:
            continue; // lives elsewhere
        }
        const char *namespace = ref->namespace == NULL ? flow->namespace : ref->namespace;
        out[(*count)++] = (struct object_ref){
            .key = { .kind = kind,
                     .namespace = arena_strdup(arena, namespace),
                     .name = arena_strdup(arena, name) },
            .is_trigger = ref->kind == REF_FLOW_TRIGGER,
            .at = arena_strdup(arena, ref->path == NULL ? "" : ref->path),
            .line = ref->line,
            .column = ref->column,
        };
    }
    return out;
}

/* A flow that is written by a module: the text that it stands for; NULL when it has mistakes. */
static const char *expand(struct planner *planner,
                          struct arena *arena,
                          struct file_job *job,
                          const char *text,
                          size_t *length,
                          const char *name,
                          const struct module **module,
                          struct module_map *map)
{
    struct error err = { 0 };
    const struct planned_module *planned = planner_module(planner, name, &err);
    if (planned == NULL) {
        job->error = arena_memdup(arena, &err, sizeof(err));
        return NULL;
    }
    if (planned->module != NULL) {
        *module = planned->module;
        return module_expand(arena, planned->module, job->path, text, *length, job->place.namespace,
                             length, map, &job->findings);
    }
    struct error ignored = { 0 }; // its name was read from it before
    const struct value *doc = yaml_parse_first(arena, text, *length, NULL, &ignored);
    struct diag *diag = diag_add(
        &job->findings, DIAG_ERROR, DIAG_TYPE, "module", value_get(doc, "module"), "module",
        planned->path == NULL ? "there is no module '%s'" : "module '%s' has mistakes", name);
    diag->width = (uint32_t)strlen(name);
    diag->advice = planned->path == NULL
                       ? "modules are folders with a module.yaml below what 'modules' of weir.yaml "
                         "names"
                       : arena_printf(arena, "see %s", planned->path);
    return NULL;
}

static void read_flow(struct planner *planner,
                      struct arena *arena,
                      struct file_job *job,
                      const char *text,
                      size_t length)
{
    if (job->place.rule->sniffs && !layout_looks_like_flow(text, length)) {
        job->is_ignored = true;
        return;
    }
    const struct module *module = NULL;
    struct module_map map = { 0 };
    const char *module_name = module_of(arena, text, length);
    if (module_name != NULL)
        text = expand(planner, arena, job, text, &length, module_name, &module, &map);
    if (text == NULL) {
        job->is_invalid = true;
        return;
    }
    struct flow_options options = {
        .file = job->path,
        .namespace = job->place.namespace,
        .defaults = planner->options->plugin_defaults,
    };
    AUTO(flow_unrefp)
    struct flow *flow =
        flow_parse(planner->options->plugins, text, length, &options, &job->findings);
    if (module != NULL)
        module_place(module, &map, job->path, &job->findings);
    if (flow == NULL) {
        job->is_invalid = true;
        return;
    }
    struct desired_object *object = ARENA_NEW(arena, struct desired_object);
    *object = (struct desired_object){
        .key = { .kind = OBJECT_FLOW,
                 .namespace = arena_strdup(arena, flow->namespace),
                 .name = arena_strdup(arena, flow->id) },
        .path = job->path,
        .line = flow->doc == NULL ? 1 : flow->doc->line,
        .blob = job->after,
        .digest = digest_sha256_hex(arena, text, length),
        .text = text,
        .length = length,
        .disabled = flow->disabled,
        .module = module_name,
        .ttl = USEC_NEVER,
    };
    object->refs = collect_refs(arena, flow, &object->refs_count);
    if (planner->target->ops->prepare != NULL)
        object->prepared = planner->target->ops->prepare(planner->target, arena, flow);
    job->objects = object;
    job->objects_count = 1;
}

/* Key of the flow that a file held when it was applied; false when it held none. */
static bool old_flow_key(struct arena *arena,
                         const struct file_job *job,
                         const char *text,
                         size_t length,
                         struct object_key *out)
{
    struct error ignored = { 0 }; // what cannot be read now gave no object then
    const struct value *doc = yaml_parse_first(arena, text, length, NULL, &ignored);
    const char *id = value_get_text(doc, "id", NULL);
    const char *namespace = value_get_text(doc, "namespace", job->place.namespace);
    if (id == NULL || namespace == NULL)
        return false;
    *out = (struct object_key){ .kind = OBJECT_FLOW, .namespace = namespace, .name = id };
    return true;
}

/* ---- KV entries ---- */

static const char *const kv_types[] = { "STRING", "NUMBER",   "BOOLEAN", "DATETIME",
                                        "DATE",   "DURATION", "JSON" };

/* The type of an entry that names none. */
static const char *natural_type(const struct value *value)
{
    if (value_is_number(value))
        return "NUMBER";
    if (value->kind == VALUE_BOOL)
        return "BOOLEAN";
    return value_is_map(value) || value_is_list(value) ? "JSON" : "STRING";
}

/* `{ value: …, type: …, description: …, ttl: … }`, nothing else. */
static bool is_long_form(const struct value *value)
{
    static const char *const known[] = { "value", "type", "description", "ttl" };
    if (!value_is_map(value) || value_get(value, "value") == NULL)
        return false;
    for (uint32_t i = 0; i < value->map.count; i++) {
        bool is_known = false;
        for (size_t k = 0; k < COUNT_OF(known) && !is_known; k++)
            is_known = str_eq(value->map.members[i].key, known[k]);
        if (!is_known)
            return false;
    }
    return true;
}

static bool time_fits(const char *type, const char *text)
{
    struct time_text time;
    struct error ignored = { 0 }; // the finding names the type
    usec_t span;
    if (str_eq(type, "DURATION"))
        return duration_parse(text, &span, NULL, &ignored);
    if (!time_text_parse(text, strlen(text), &time, &ignored))
        return false;
    return str_eq(type, "DATE") ? time.has_date && !time.has_time : time.has_date && time.has_time;
}

/* Does the value suit the type that the entry names? */
static bool kv_fits(const char *type, const struct value *value)
{
    if (str_eq(type, "JSON"))
        return true;
    if (str_eq(type, "NUMBER"))
        return value_is_number(value);
    if (str_eq(type, "BOOLEAN"))
        return value->kind == VALUE_BOOL;
    const char *text = value_cstr(value);
    if (text == NULL)
        return false;
    return str_eq(type, "STRING") || time_fits(type, text);
}

static bool kv_key_is_valid(const char *key)
{
    size_t length = strlen(key);
    if (length == 0 || length > 256)
        return false;
    for (const char *at = key; *at != '\0'; at++) {
        bool is_word = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                       (*at >= 'A' && *at <= 'Z') || *at == '_' || *at == '-' || *at == '.';
        if (!is_word || (at == key && (*at == '_' || *at == '-' || *at == '.')))
            return false;
    }
    return true;
}

static void read_kv_entry(struct arena *arena,
                          struct file_job *job,
                          const struct value_member *member)
{
    const struct value *entry = member->value;
    struct diag_list *findings = &job->findings;
    const char *type = NULL;
    const char *description = NULL;
    usec_t ttl = USEC_NEVER;
    const struct value *value = entry;
    struct value at = { .line = member->line, .column = (uint16_t)member->column };
    if (!kv_key_is_valid(member->key))
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "kv-key", &at, member->key,
                       "'%s' is not a key: letters, digits, '.', '_', '-', starting with a letter "
                       "or digit",
                       member->key);
    if (is_long_form(entry)) {
        value = value_get(entry, "value");
        type = value_get_text(entry, "type", NULL);
        description = value_get_text(entry, "description", NULL);
        const char *text = value_get_text(entry, "ttl", NULL);
        struct error err = { 0 };
        if (text != NULL && !duration_parse(text, &ttl, NULL, &err))
            (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "kv-ttl", value_get(entry, "ttl"),
                           member->key, "ttl of '%s': %s", member->key, err.text);
    }
    if (value_is_null(value)) {
        (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "kv-value", &at, member->key,
                       "'%s' has no value", member->key);
        return;
    }
    if (type == NULL) {
        type = natural_type(value);
    } else {
        const char *known = NULL;
        for (size_t i = 0; i < COUNT_OF(kv_types) && known == NULL; i++)
            if (str_eq_nocase(type, kv_types[i]))
                known = kv_types[i];
        const struct value *where = value_get(entry, "type");
        if (known == NULL) {
            struct diag *diag = diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "kv-type", where,
                                         member->key, "'%s' is not a type of values", type);
            diag->advice = "STRING, NUMBER, BOOLEAN, DATETIME, DATE, DURATION or JSON";
            return;
        }
        type = known;
        if (!kv_fits(type, value)) {
            (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, "kv-value", value, member->key,
                           "the value of '%s' is not a %s", member->key, type);
            return;
        }
    }
    struct buf json = { 0 };
    value_write_json_full(&json, value);
    struct desired_object *object = &job->objects[job->objects_count++];
    *object = (struct desired_object){
        .key = { .kind = OBJECT_KV,
                 .namespace = job->place.namespace,
                 .name = arena_strdup(arena, member->key) },
        .path = job->path,
        .line = member->line,
        .blob = job->after,
        .text = buf_dup(&json, arena),
        .length = json.length,
        .type = type,
        .description = arena_strdup(arena, description),
        .ttl = ttl,
    };
    buf_free(&json);
    object->digest = object_kv_digest(arena, type, description, object->text);
}

static void read_kv(struct arena *arena, struct file_job *job, const char *text, size_t length)
{
    struct error err = { 0 };
    const struct value *doc = yaml_parse(arena, text, length, NULL, &err);
    if (doc == NULL) {
        struct value at = { .line = err.line, .column = (uint16_t)err.column };
        (void)diag_add(&job->findings, DIAG_ERROR, DIAG_SYNTAX, "yaml", &at, NULL, "%s", err.text);
    } else if (value_is_map(doc) && value_count(doc) <= KV_FILE_ENTRIES_MAX) {
        job->objects = ARENA_ARRAY(arena, value_count(doc), struct desired_object);
        for (uint32_t i = 0; i < doc->map.count; i++)
            read_kv_entry(arena, job, &doc->map.members[i]);
    } else if (value_is_map(doc)) {
        (void)diag_add(&job->findings, DIAG_ERROR, DIAG_CONSTRAINT, "kv-count", doc, NULL,
                       "the file has more than %u entries", KV_FILE_ENTRIES_MAX);
    } else if (!value_is_null(doc)) {
        (void)diag_add(&job->findings, DIAG_ERROR, DIAG_SYNTAX, "kv-shape", doc, NULL,
                       "a KV file is a mapping of keys to values, not %s", value_kind_name(doc));
    }
    job->is_invalid = job->findings.errors > 0;
    if (job->is_invalid)
        job->objects_count = 0;
}

/* ---- one file ---- */

static size_t bytes_max(enum layout_role role)
{
    switch (role) {
    case LAYOUT_FLOW:
        return FLOW_BYTES_MAX;
    case LAYOUT_FILE:
        return NAMESPACE_FILE_BYTES_MAX;
    case LAYOUT_KV:
    case LAYOUT_MODULE:
    case LAYOUT_NONE:
        break;
    }
    return KV_FILE_BYTES_MAX;
}

static void read_namespace_file(struct arena *arena,
                                struct file_job *job,
                                const char *bytes,
                                size_t length)
{
    struct desired_object *object = ARENA_NEW(arena, struct desired_object);
    *object = (struct desired_object){
        .key = { .kind = OBJECT_FILE, .namespace = job->place.namespace, .name = job->place.name },
        .path = job->path,
        .line = 1,
        .blob = job->after,
        .digest = digest_sha256_hex(arena, bytes, length),
        .length = length,
        .ttl = USEC_NEVER,
    };
    job->objects = object;
    job->objects_count = 1;
}

/*
 * The flow that a broken file means to define, by its lines alone: whoever moves a flow and breaks
 * it on the way has not deleted it.
 */
static void claim(struct arena *arena, struct file_job *job, const char *text, size_t length)
{
    static const char *const names[] = { "id:", "namespace:" };
    const char *found[] = { NULL, job->place.namespace };
    const char *end = text + length;
    for (const char *at = text; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL)
            stop = end;
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            size_t span = strlen(names[i]);
            if ((size_t)(stop - at) > span && memcmp(at, names[i], span) == 0) {
                const char *from = at + span + strspn(at + span, " \t\"'");
                found[i] = arena_strndup(arena, from, strcspn(from, " \t\"'#\r\n"));
            }
        }
        at = stop + 1;
    }
    if (found[0] != NULL && found[1] != NULL)
        job->claim =
            (struct object_key){ .kind = OBJECT_FLOW, .namespace = found[1], .name = found[0] };
}

static void read_after(struct planner *planner, struct arena *arena, struct file_job *job)
{
    if (job->place.role == LAYOUT_MODULE) {
        job->is_ignored = true;
        return;
    }
    struct error err = { 0 };
    size_t limit = bytes_max(job->place.role);
    job->findings = diag_list_new(arena, job->path);
    if (job->place.role == LAYOUT_FILE) {
        AUTO(git_content_release) struct git_content content = { 0 };
        if (git_repo_read(planner->snapshot->repo, &job->after, GIT_KIND_BLOB, limit, &content,
                          &err)) {
            read_namespace_file(arena, job, content.bytes, content.length);
            return;
        }
    } else {
        size_t length = 0;
        const char *text =
            git_repo_blob(planner->snapshot->repo, arena, &job->after, limit, &length, &err);
        if (text != NULL && job->place.role == LAYOUT_FLOW)
            read_flow(planner, arena, job, text, length);
        else if (text != NULL)
            read_kv(arena, job, text, length);
        if (text != NULL && job->is_invalid && job->place.role == LAYOUT_FLOW)
            claim(arena, job, text, length);
        if (text != NULL)
            return;
    }
    if (err.code != ERR_LIMIT) {
        job->error = arena_memdup(arena, &err, sizeof(err));
        return;
    }
    job->is_invalid = true;
    (void)diag_add(&job->findings, DIAG_ERROR, DIAG_SYNTAX, "too-big", NULL, NULL,
                   "the file is too big: %s",
                   strstr(err.text, "has ") == NULL ? err.text : strstr(err.text, "has "));
}

/* What the file gave before, by the text it had then; not needed when everything is read. */
static void read_before(struct planner *planner, struct arena *arena, struct file_job *job)
{
    VEC(struct object_key) keys = { 0 };
    struct error err = { 0 };
    size_t length = 0;
    const char *text = NULL;
    if (job->place.role == LAYOUT_FILE) {
        *VEC_PUSH_ARENA(arena, &keys) = (struct object_key){ .kind = OBJECT_FILE,
                                                             .namespace = job->place.namespace,
                                                             .name = job->place.name };
    } else {
        text = git_repo_blob(planner->snapshot->repo, arena, &job->before,
                             bytes_max(job->place.role), &length, &err);
        if (text == NULL && err.code != ERR_LIMIT) {
            job->error = arena_memdup(arena, &err, sizeof(err));
            return;
        }
    }
    struct object_key key;
    if (text != NULL && job->place.role == LAYOUT_FLOW &&
        old_flow_key(arena, job, text, length, &key))
        *VEC_PUSH_ARENA(arena, &keys) = key;
    if (text != NULL && job->place.role == LAYOUT_KV) {
        const struct value *doc = yaml_parse(arena, text, length, NULL, &err);
        for (uint32_t i = 0; value_is_map(doc) && i < doc->map.count; i++)
            *VEC_PUSH_ARENA(arena, &keys) = (struct object_key){
                .kind = OBJECT_KV,
                .namespace = job->place.namespace,
                .name = doc->map.members[i].key,
            };
    }
    job->keys_before = keys.items;
    job->keys_before_count = keys.count;
}

static void read_job(void *context, size_t item, unsigned worker)
{
    struct reader *reader = context;
    struct planner *planner = reader->planner;
    struct file_job *job = &planner->jobs.items[item];
    if (atomic_load_explicit(&reader->has_failed, memory_order_relaxed))
        return;
    struct arena *arena = reader->arenas[worker];
    if (!oid_is_none(&job->before) && !planner->is_full)
        read_before(planner, arena, job);
    if (job->error == NULL && !oid_is_none(&job->after) && !job->is_problem)
        read_after(planner, arena, job);
    if (job->error != NULL)
        atomic_store_explicit(&reader->has_failed, true, memory_order_relaxed);
}

/* ---- all files ---- */

/* The entries behind the keys that a file gave before. */
static bool find_entries(struct planner *planner, struct file_job *job, struct error *err)
{
    if (job->keys_before_count == 0)
        return true;
    job->entries =
        ARENA_ARRAY(planner->arena, job->keys_before_count, const struct inventory_entry *);
    for (size_t i = 0; i < job->keys_before_count; i++) {
        const struct inventory_entry *entry = NULL;
        if (!planner_entry(planner, &job->keys_before[i], &entry, err))
            return false;
        if (entry != NULL && str_eq(entry->path, job->path))
            job->entries[job->entries_count++] = entry;
    }
    return true;
}

/* A file that gave a flow and does not look like one now: a mistake more likely than a wish. */
static void check_lost(struct planner *planner, struct file_job *job)
{
    (void)planner;
    if (!job->is_ignored || job->entries_count == 0)
        return;
    const struct object_key *key = &job->entries[0]->key;
    struct diag *diag = diag_add(&job->findings, DIAG_ERROR, DIAG_RULE, "flow-lost", NULL, NULL,
                                 "the file defined flow '%s/%s' and does not look like a flow any "
                                 "more",
                                 key->namespace, key->name);
    diag->advice = "delete the file to delete the flow";
    job->is_invalid = true;
}

void planner_take_findings(struct planner *planner, const struct diag_list *findings)
{
    struct diag_list *all = &planner->plan->findings;
    const struct diag *diag;
    VEC_EACH(diag, &findings->all) {
        struct diag *copy =
            diag_add(all, diag->level, diag->stage, diag->code, NULL, NULL, "%s", "");
        *copy = *diag;
    }
    all->dropped += findings->dropped;
}

static struct diag *add_duplicate(struct planner *planner,
                                  const struct desired_object *object,
                                  const char *path,
                                  uint32_t line)
{
    struct diag_list *findings = &planner->plan->findings;
    struct value at = { .line = object->line, .column = 1 };
    findings->file = object->path;
    struct diag *diag =
        diag_add(findings, DIAG_ERROR, DIAG_RULE, "defined-twice", &at, NULL,
                 "%s '%s/%s' is defined in %s:%u too", object_kind_name(object->key.kind),
                 object->key.namespace, object->key.name, path, line);
    findings->file = NULL;
    return diag;
}

/* Adds what a file defines; a second definition, here or in a file that did not change, is wrong.
 */
static bool want(struct planner *planner, struct file_job *job, struct error *err)
{
    for (size_t i = 0; i < job->objects_count; i++) {
        struct desired_object *object = &job->objects[i];
        const char *key = object_key_text(planner->arena, &object->key);
        const struct desired_object *other = map_find(&planner->desired, key);
        const struct inventory_entry *entry = NULL;
        if (!planner_entry(planner, &object->key, &entry, err))
            return false;
        if (other != NULL) {
            (void)add_duplicate(planner, object, other->path, other->line);
            continue;
        }
        bool is_elsewhere = entry != NULL && !str_eq(entry->path, object->path) &&
                            !map_has(&planner->jobs_by_path, entry->path);
        if (is_elsewhere) {
            (void)add_duplicate(planner, object, entry->path, entry->line);
            continue;
        }
        (void)map_put(&planner->desired, key, object);
        *VEC_PUSH_ARENA(planner->arena, &planner->wanted) = object;
    }
    return true;
}

bool planner_read_files(struct planner *planner, struct error *err)
{
    struct reader reader = { .planner = planner };
    unsigned threads = planner->options->threads;
    if (threads == 0)
        threads = parallel_processors();
    if (threads > PARALLEL_THREADS_MAX)
        threads = PARALLEL_THREADS_MAX;
    for (unsigned i = 0; i < threads; i++) {
        reader.arenas[i] = arena_new();
        *VEC_PUSH_ARENA(planner->arena, &planner->plan->arenas) = reader.arenas[i];
    }
    parallel_each(planner->jobs.count, threads, read_job, &reader);

    struct file_job *job;
    VEC_EACH(job, &planner->jobs) {
        if (job->error != NULL) {
            *err = *job->error;
            return error_wrap(err, "file '%s'", job->path);
        }
    }
    VEC_EACH(job, &planner->jobs) {
        if (!find_entries(planner, job, err))
            return false;
        check_lost(planner, job);
        planner->plan->read += !oid_is_none(&job->after) && !job->is_ignored;
        planner_take_findings(planner, &job->findings);
        if (!want(planner, job, err))
            return false;
    }
    planner_take_module_findings(planner);
    return true;
}
