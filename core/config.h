/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's settings: what must not come from a repository.
 *
 * One table (config.c) names every setting with its kind, default and meaning; it drives the file,
 * the environment, the options of `weir up`, `weir config` and the reference page. A setting is
 * taken from, later wins: default, file (weir.conf.yaml), environment (WEIR_NAME), option.
 *
 * To add a setting: one row in config.c, `make generate`.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct arena;
struct buf;
struct diag_list;
struct error;
struct value;

enum setting_kind {
    SETTING_TEXT,
    SETTING_INT,
    SETTING_BOOL,
    SETTING_DURATION,
    SETTING_BYTES,
    SETTING_WORD, /* one of `words` */
    SETTING_LIST, /* list of anything */
    SETTING_MAP,
};

struct setting {
    const char *name; /* "encryption.key": nested keys in the file */
    enum setting_kind kind;
    const char *fallback;     /* as in the file, NULL: not set */
    const char *const *words; /* SETTING_WORD, ended by NULL */
    int64_t min;              /* SETTING_INT */
    int64_t max;
    bool is_secret;     /* shown as "set" or "not set" */
    const char *option; /* of `weir up`, without dashes; NULL none */
    const char *metavar;
    const char *doc;
};

/* Ended by a row without name. */
extern const struct setting settings[];

struct config;

/* A value given on the command line. */
struct config_override {
    const char *name;
    const char *text;
};

struct config_sources {
    const char *file; /* path, for messages; NULL: no file */
    const char *text; /* its content */
    size_t length;
    char *const *environment;                /* NULL-terminated "NAME=value", may be NULL */
    const struct config_override *overrides; /* in order */
    size_t overrides_count;
};

/*
 * Reads all sources; reports every mistake: unknown settings with a suggestion, values that do not
 * fit. NULL when there were errors. Owned by the arena.
 */
const struct config *config_load(struct arena *arena,
                                 const struct config_sources *sources,
                                 struct diag_list *findings);

/* Values; the name must be one of the table (checked). Text is NULL when not set. */
const char *config_text(const struct config *config, const char *name);
int64_t config_int(const struct config *config, const char *name);
bool config_bool(const struct config *config, const char *name);
usec_t config_duration(const struct config *config, const char *name);
const struct value *config_value(const struct config *config, const char *name);

/* Where the value came from: "default", "weir.conf.yaml:3", "WEIR_LISTEN", "--listen". */
const char *config_origin(const struct config *config, const char *name);

/* WEIR_ENCRYPTION_KEY of encryption.key. */
char *config_variable(struct arena *arena, const char *name);

/* [{name, value, origin, default, doc}], secrets as "set" or "not set". */
const struct value *config_to_value(const struct config *config, struct arena *arena);

/* Markdown reference of the table. */
void config_markdown(struct buf *out);

#endif
