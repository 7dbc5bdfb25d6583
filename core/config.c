/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <ctype.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/diag.h"
#include "core/value.h"
#include "core/words.h"
#include "core/yaml.h"

#define PREFIX "WEIR_"

static const char *const level_words[] = { "trace", "debug", "info", "warn", "error", NULL };
static const char *const format_words[] = { "text", "json", NULL };
static const char *const storage_words[] = { "local", "s3", NULL };
static const char *const recover_words[] = { "ALL", "LAST", "NONE", NULL };

const struct setting settings[] = {
    { "data", SETTING_TEXT, ".weir", .option = "data", .metavar = "FOLDER",
      .doc = "Folder of everything weir keeps: database, logs, files, mirrors." },
    { "listen", SETTING_TEXT, "127.0.0.1:8080", .option = "listen", .metavar = "ADDRESS",
      .doc =
          "Address and port of the API, HOST:PORT. Beyond loopback set auth.user or auth.tokens." },
    { "url", SETTING_TEXT, NULL,
      .doc = "Public address of this server, for links in answers and notifications." },
    { "environment", SETTING_TEXT, NULL,
      .doc = "Name of this installation, `{{ kestra.environment }}` in expressions." },
    { "timezone", SETTING_TEXT, "UTC", .doc = "Time zone of schedules and dates that name none." },

    { "sources", SETTING_LIST, "[]",
      .doc = "Repositories to watch: url, and optionally name, branch, path, interval, user, "
             "password, token, sshKey, knownHosts." },
    { "source.branch", SETTING_TEXT, NULL, .option = "branch", .metavar = "BRANCH",
      .doc = "Branch of a source that names none; the remote's default branch otherwise." },
    { "source.interval", SETTING_DURATION, "PT30S", .option = "interval", .metavar = "DURATION",
      .doc = "How often a source is asked for news." },
    { "source.timeout", SETTING_DURATION, "PT2M", .doc = "How long one fetch may take." },

    { "auth.user", SETTING_TEXT, NULL,
      .doc = "User for basic authentication; without it and without tokens the API is open." },
    { "auth.password", SETTING_TEXT, NULL, .is_secret = true, .doc = "Its password." },
    { "auth.tokens", SETTING_LIST, "[]", .is_secret = true,
      .doc = "Tokens accepted as `Authorization: Bearer`." },

    { "encryption.key", SETTING_TEXT, NULL, .is_secret = true,
      .doc = "Base64 of 32 bytes; encrypts SECRET inputs and outputs at rest. "
             "Without it such inputs are refused." },
    { "secrets.prefix", SETTING_TEXT, "SECRET_",
      .doc = "Environment variables with this prefix are the secrets; their values are Base64." },
    { "secrets.maskOutputs", SETTING_BOOL, "true",
      .doc = "Whether answers about executions mask the values of secrets in inputs, outputs and "
             "variables. Later tasks see the values either way." },

    { "storage.type", SETTING_WORD, "local", .words = storage_words,
      .doc = "Where files of executions and namespaces are kept." },
    { "storage.path", SETTING_TEXT, NULL,
      .doc = "Folder of local storage; `storage` below the data folder by default." },
    { "storage.s3.endpoint", SETTING_TEXT, NULL, .doc = "URL of the S3-compatible server." },
    { "storage.s3.region", SETTING_TEXT, "us-east-1", .doc = "Region for signatures." },
    { "storage.s3.bucket", SETTING_TEXT, NULL, .doc = "Bucket, which must exist." },
    { "storage.s3.prefix", SETTING_TEXT, NULL, .doc = "Put before every key." },
    { "storage.s3.accessKey", SETTING_TEXT, NULL, .doc = "Access key." },
    { "storage.s3.secretKey", SETTING_TEXT, NULL, .is_secret = true, .doc = "Secret key." },
    { "storage.s3.pathStyle", SETTING_BOOL, "true",
      .doc = "Bucket in the path instead of the host name." },
    { "files.allowed", SETTING_LIST, "[]",
      .doc = "Local folders whose files flows may read as file:// URIs." },

    { "variables.globals", SETTING_MAP, "{}", .doc = "`{{ globals.… }}` in expressions." },
    { "variables.envPrefixes", SETTING_LIST, "[ENV_, KESTRA_]",
      .doc = "Environment variables with these prefixes are `{{ envs.… }}`, without the prefix and "
             "in lower case." },
    { "plugins.defaults", SETTING_LIST, "[]",
      .doc = "Plugin defaults for all flows, as `pluginDefaults` of a flow." },

    { "schedules.recoverMissed", SETTING_WORD, "ALL", .words = recover_words,
      .doc = "Which dates that passed while the server was down are executed." },
    { "retention", SETTING_DURATION, NULL,
      .doc = "Ended executions older than this are deleted; kept for ever without it." },

    { "workers.threads", SETTING_INT, "16", .min = 1, .max = 1024,
      .doc = "Threads for short blocking work: HTTP calls, SQL, files." },
    { "workers.processes", SETTING_INT, "16", .min = 1, .max = 10000,
      .doc = "Child processes at a time; more wait." },
    { "docker.volumes", SETTING_BOOL, "false",
      .doc = "Tasks with the Docker runner may mount folders of the machine (`volumes`)." },
    { "docker.privileged", SETTING_BOOL, "false",
      .doc = "Tasks with the Docker runner may run privileged containers." },
    { "limits.requestBytes", SETTING_BYTES, "100MB",
      .doc = "Largest body of a request in memory; uploaded files go to disk." },
    { "limits.inbox", SETTING_INT, "65536", .min = 16, .max = 10000000,
      .doc = "Requests that may wait for the driver; beyond it the answer is 503." },

    { "log.level", SETTING_WORD, "info", .words = level_words, .option = "log-level",
      .metavar = "LEVEL", .doc = "Least level of the server's own log." },
    { "log.format", SETTING_WORD, "text", .words = format_words, .option = "log-format",
      .metavar = "FORMAT", .doc = "Form of the server's own log." },
    { 0 },
};

struct entry {
    const struct value *value; /* NULL: not set */
    const char *origin;
};

struct config {
    size_t count;
    struct entry *entries; /* one per row of the table */
};

static size_t settings_count(void)
{
    size_t count = 0;
    while (settings[count].name != NULL)
        count++;
    return count;
}

static size_t setting_at(const char *name)
{
    for (size_t i = 0; settings[i].name != NULL; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return i;
    }
    return SIZE_MAX;
}

char *config_variable(struct arena *arena, const char *name)
{
    struct buf out = { 0 };
    buf_puts(&out, PREFIX);
    for (const char *at = name; *at != '\0'; at++) {
        if (*at == '.') {
            buf_putc(&out, '_');
            continue;
        }
        if (isupper((unsigned char)*at))
            buf_putc(&out, '_');
        buf_putc(&out, (char)toupper((unsigned char)*at));
    }
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

/* ---- values ---- */

static bool bytes_parse(const char *text, int64_t *out)
{
    static const struct {
        const char *suffix;
        int64_t factor;
    } units[] = {
        { "KB", 1024 },  { "MB", 1024LL * 1024 },  { "GB", 1024LL * 1024 * 1024 },
        { "KiB", 1024 }, { "MiB", 1024LL * 1024 }, { "GiB", 1024LL * 1024 * 1024 },
        { "", 1 },
    };
    size_t digits = strspn(text, "0123456789");
    char number[20];
    if (digits == 0 || digits >= sizeof(number))
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (strcmp(text + digits, units[i].suffix) == 0 &&
            str_to_int(number, 0, INT64_MAX / units[i].factor, out)) {
            *out *= units[i].factor;
            return true;
        }
    }
    return false;
}

/* Text of a scalar as people write it. */
static const char *scalar_text(struct arena *arena, const struct value *value)
{
    struct buf out = { 0 };
    value_write_print(&out, value);
    char *text = buf_dup(&out, arena);
    buf_free(&out);
    return text;
}

/* The value in the form of its kind; NULL and *problem when it does not fit. */
static const struct value *fit(struct arena *arena,
                               const struct setting *setting,
                               const struct value *value,
                               const char **problem)
{
    bool is_collection = value_is_list(value) || value_is_map(value);
    const char *text = is_collection ? NULL : scalar_text(arena, value);
    int64_t number = 0;
    struct error err = { 0 };
    switch (setting->kind) {
    case SETTING_TEXT:
        if (is_collection)
            break;
        return value_string(arena, text);
    case SETTING_INT:
        if (text != NULL && str_to_int(text, setting->min, setting->max, &number))
            return value_int(arena, number);
        *problem = arena_printf(arena, "must be a number from %lld to %lld",
                                (long long)setting->min, (long long)setting->max);
        return NULL;
    case SETTING_BOOL:
        if (str_eq(text, "true") || str_eq(text, "false"))
            return value_bool(str_eq(text, "true"));
        *problem = "must be true or false";
        return NULL;
    case SETTING_DURATION:
        if (text != NULL && duration_parse(text, &number, NULL, &err))
            return value_int(arena, number);
        *problem = "must be a duration such as PT30S";
        return NULL;
    case SETTING_BYTES:
        if (text != NULL && bytes_parse(text, &number))
            return value_int(arena, number);
        *problem = "must be a size such as 100MB";
        return NULL;
    case SETTING_WORD:
        if (text != NULL && words_find(setting->words, text) >= 0)
            return value_string(arena, text);
        *problem = "must be one of:";
        for (size_t i = 0; setting->words[i] != NULL; i++)
            *problem = arena_printf(arena, "%s %s", *problem, setting->words[i]);
        return NULL;
    case SETTING_LIST:
        if (value_is_list(value))
            return value;
        if (!is_collection && !value_is_null(value)) {
            struct value_builder one = value_build(arena);
            value_add(&one, value);
            return value_build_list(&one);
        }
        *problem = "must be a list";
        return NULL;
    case SETTING_MAP:
        if (value_is_map(value))
            return value;
        *problem = "must be a map";
        return NULL;
    }
    *problem = "must be a text";
    return NULL;
}

struct loader {
    struct arena *arena;
    struct config *config;
    struct diag_list *findings;
};

static void set(struct loader *loader, size_t at, const struct value *value, const char *origin)
{
    const char *problem = NULL;
    if (value_is_null(value)) {
        loader->config->entries[at] = (struct entry){ NULL, origin };
        return;
    }
    const struct value *fitting = fit(loader->arena, &settings[at], value, &problem);
    if (fitting == NULL) {
        // the value itself is not shown: it may be a secret
        (void)diag_add(loader->findings, DIAG_ERROR, DIAG_CONSTRAINT, "setting", value,
                       settings[at].name, "setting '%s' (from %s) %s", settings[at].name, origin,
                       problem);
        return;
    }
    loader->config->entries[at] = (struct entry){ fitting, origin };
}

/* Text of an environment variable or option: lists and maps are YAML. */
static void set_text(struct loader *loader, size_t at, const char *text, const char *origin)
{
    bool is_collection = settings[at].kind == SETTING_LIST || settings[at].kind == SETTING_MAP;
    struct error err = { 0 };
    const struct value *value = is_collection
                                    ? yaml_parse(loader->arena, text, strlen(text), NULL, &err)
                                    : value_string(loader->arena, text);
    if (value == NULL) {
        (void)diag_add(loader->findings, DIAG_ERROR, DIAG_SYNTAX, "setting", NULL,
                       settings[at].name, "setting '%s' (from %s): %s", settings[at].name, origin,
                       err.text);
        return;
    }
    set(loader, at, value, origin);
}

/* ---- the file ---- */

static bool is_section(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; settings[i].name != NULL; i++) {
        if (strncmp(settings[i].name, name, length) == 0 && settings[i].name[length] == '.')
            return true;
    }
    return false;
}

static void unknown_setting(struct loader *loader,
                            const struct value_member *member,
                            const char *name)
{
    const char *names[128];
    size_t count = 0;
    for (size_t i = 0; settings[i].name != NULL && count < COUNT_OF(names); i++)
        names[count++] = settings[i].name;
    const char *nearest = str_nearest(name, names, count);
    struct diag *diag = diag_add(loader->findings, DIAG_ERROR, DIAG_TYPE, "unknown-setting",
                                 member->value, name, "unknown setting '%s'", name);
    diag->line = member->line;
    diag->column = member->column;
    diag->width = member->key_length;
    if (nearest != NULL)
        diag->advice = arena_printf(loader->arena, "did you mean '%s'?", nearest);
}

static void read_map(struct loader *loader,
                     const struct value *map,
                     const char *prefix,
                     const char *file)
{
    for (size_t i = 0; i < value_count(map); i++) {
        const struct value_member *member = &map->map.members[i];
        const char *name = arena_printf(loader->arena, "%s%s%s", prefix,
                                        prefix[0] == '\0' ? "" : ".", member->key);
        size_t at = setting_at(name);
        if (at != SIZE_MAX)
            set(loader, at, member->value,
                arena_printf(loader->arena, "%s:%u", file, member->line));
        else if (is_section(name) && value_is_map(member->value))
            read_map(loader, member->value, name, file);
        else
            unknown_setting(loader, member, name);
    }
}

static void read_file(struct loader *loader, const struct config_sources *sources)
{
    struct error err = { 0 };
    const struct value *doc = yaml_parse(loader->arena, sources->text, sources->length, NULL, &err);
    if (doc == NULL) {
        struct diag *diag =
            diag_add(loader->findings, DIAG_ERROR, DIAG_SYNTAX, "yaml", NULL, "", "%s", err.text);
        diag->line = err.line;
        diag->column = err.column;
    } else if (value_is_map(doc)) {
        read_map(loader, doc, "", sources->file);
    } else if (!value_is_null(doc)) {
        (void)diag_add(loader->findings, DIAG_ERROR, DIAG_SYNTAX, "yaml", doc, "",
                       "the settings must be a map, this is %s", value_kind_name(doc));
    }
}

const struct config *config_load(struct arena *arena,
                                 const struct config_sources *sources,
                                 struct diag_list *findings)
{
    size_t errors = findings->errors;
    struct config *config = ARENA_NEW(arena, struct config);
    config->count = settings_count();
    config->entries = ARENA_ARRAY(arena, config->count, struct entry);
    struct loader loader = { .arena = arena, .config = config, .findings = findings };

    for (size_t i = 0; i < config->count; i++) {
        config->entries[i].origin = "default";
        if (settings[i].fallback != NULL)
            set_text(&loader, i, settings[i].fallback, "default");
    }
    if (sources->file != NULL)
        read_file(&loader, sources);
    for (size_t i = 0; i < config->count; i++) {
        const char *variable = config_variable(arena, settings[i].name);
        size_t length = strlen(variable);
        for (char *const *at = sources->environment; at != NULL && *at != NULL; at++) {
            if (strncmp(*at, variable, length) == 0 && (*at)[length] == '=')
                set_text(&loader, i, *at + length + 1, variable);
        }
    }
    for (size_t i = 0; i < sources->overrides_count; i++) {
        size_t at = setting_at(sources->overrides[i].name);
        CHECK(at != SIZE_MAX);
        const char *origin = settings[at].option == NULL
                                 ? "option"
                                 : arena_printf(arena, "--%s", settings[at].option);
        set_text(&loader, at, sources->overrides[i].text, origin);
    }
    return findings->errors == errors ? config : NULL;
}

/* ---- reading ---- */

static const struct entry *entry_of(const struct config *config, const char *name)
{
    size_t at = setting_at(name);
    CHECK(at != SIZE_MAX);
    return &config->entries[at];
}

const struct value *config_value(const struct config *config, const char *name)
{
    return entry_of(config, name)->value;
}

const char *config_text(const struct config *config, const char *name)
{
    return value_cstr(config_value(config, name));
}

int64_t config_int(const struct config *config, const char *name)
{
    const struct value *value = config_value(config, name);
    return value == NULL ? 0 : value->integer;
}

usec_t config_duration(const struct config *config, const char *name)
{
    return config_int(config, name);
}

bool config_bool(const struct config *config, const char *name)
{
    const struct value *value = config_value(config, name);
    return value != NULL && value->boolean;
}

const char *config_origin(const struct config *config, const char *name)
{
    return entry_of(config, name)->origin;
}

static const struct value *shown(struct arena *arena,
                                 const struct setting *setting,
                                 const struct value *value)
{
    if (setting->is_secret)
        return value_string(
            arena,
            value == NULL || (value_is_list(value) && value_count(value) == 0) ? "not set" : "set");
    if (value != NULL && setting->kind == SETTING_DURATION)
        return value_string(arena, duration_format(arena, value->integer));
    return value == NULL ? &value_null : value;
}

const struct value *config_to_value(const struct config *config, struct arena *arena)
{
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < config->count; i++) {
        struct value_builder row = value_build(arena);
        value_put_text(&row, "name", settings[i].name);
        value_put(&row, "value", shown(arena, &settings[i], config->entries[i].value));
        value_put_text(&row, "origin", config->entries[i].origin);
        value_put_text(&row, "variable", config_variable(arena, settings[i].name));
        value_put_text(&row, "default", settings[i].fallback);
        value_put_text(&row, "doc", settings[i].doc);
        value_add(&list, value_build_map(&row));
    }
    return value_build_list(&list);
}

void config_markdown(struct buf *out)
{
    buf_puts(out, "| setting | environment | default | meaning |\n"
                  "|---|---|---|---|\n");
    struct arena *scratch = arena_new();
    for (const struct setting *row = settings; row->name != NULL; row++) {
        buf_printf(out, "| `%s` | `%s` | %s%s%s | %s%s%s%s |\n", row->name,
                   config_variable(scratch, row->name), row->fallback == NULL ? "" : "`",
                   row->fallback == NULL ? "not set" : row->fallback,
                   row->fallback == NULL ? "" : "`", row->doc,
                   row->option == NULL ? "" : " Option `--", row->option == NULL ? "" : row->option,
                   row->option == NULL ? "" : "`.");
    }
    arena_free(scratch);
}
