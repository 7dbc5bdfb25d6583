/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process log for operators: a fixed message plus fields, one line each, on one descriptor.
 *
 *     log_info("flow deployed", LOG_STR("flow", flow->id), LOG_INT("revision", revision));
 *
 * As text:  2026-07-01T09:30:00.123Z INFO  flow deployed  flow=company.team/orders revision=8
 * As JSON:  {"time":"…","level":"INFO","message":"flow deployed","flow":"…","revision":8}
 *
 * Thread safe. Each line is one write. Secrets known to the process registry of base/redact.h are
 * masked here, whatever the caller passed. Nothing is written below the level set by log_open();
 * arguments are evaluated anyway.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum log_level {
    LOG_TRACE,
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
    LOG_NONE, /* as a threshold: silence */
};

enum log_format {
    LOG_FORMAT_TEXT,
    LOG_FORMAT_JSON,
};

enum log_colour {
    LOG_COLOUR_AUTO, /* when the descriptor is a terminal and NO_COLOR is not set */
    LOG_COLOUR_NEVER,
    LOG_COLOUR_ALWAYS,
};

struct log_options {
    enum log_level level;
    enum log_format format;
    enum log_colour colour;
    int fd; /* borrowed until the next log_open() */
};

/* May be called again at any time. Before the first call: INFO, text, standard error. */
void log_open(const struct log_options *options);

bool log_enabled(enum log_level level);

/* "INFO" …; log_level_parse() ignores case and takes WARNING too. */
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *text, enum log_level *out);

enum log_field_kind {
    LOG_FIELD_END,
    LOG_FIELD_STR,
    LOG_FIELD_INT,
    LOG_FIELD_DOUBLE,
    LOG_FIELD_BOOL,
    LOG_FIELD_TIME,
    LOG_FIELD_SPAN,
};

struct log_field {
    enum log_field_kind kind;
    const char *name;
    union {
        const char *text;
        int64_t integer;
        double number;
        bool boolean;
    };
};

/* NULL text is left out of the line. */
#define LOG_STR(name_, value_)                                                                     \
    ((struct log_field){ .kind = LOG_FIELD_STR, .name = (name_), .text = (value_) })
#define LOG_INT(name_, value_)                                                                     \
    ((struct log_field){ .kind = LOG_FIELD_INT, .name = (name_), .integer = (int64_t)(value_) })
#define LOG_DOUBLE(name_, value_)                                                                  \
    ((struct log_field){ .kind = LOG_FIELD_DOUBLE, .name = (name_), .number = (value_) })
#define LOG_BOOL(name_, value_)                                                                    \
    ((struct log_field){ .kind = LOG_FIELD_BOOL, .name = (name_), .boolean = (value_) })
/* A usec_t instant, printed as ISO 8601. */
#define LOG_TIME(name_, value_)                                                                    \
    ((struct log_field){ .kind = LOG_FIELD_TIME, .name = (name_), .integer = (value_) })
/* A usec_t span, printed as seconds: 1.25s. In JSON a number of seconds. */
#define LOG_SPAN(name_, value_)                                                                    \
    ((struct log_field){ .kind = LOG_FIELD_SPAN, .name = (name_), .integer = (value_) })
/* What went wrong: fields "error" and "code" of a struct error pointer. */
#define LOG_ERR(err_)  LOG_STR("code", error_code_name((err_)->code)), LOG_STR("error", (err_)->text)
#define LOG_FIELDS_END ((struct log_field){ .kind = LOG_FIELD_END })

#define log_trace(...) LOG_AT(LOG_TRACE, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)

/* The message is the first argument, the fields are the rest. */
#define LOG_AT(level_, ...)                                                                        \
    log_write((level_), LOG_MESSAGE(__VA_ARGS__, LOG_FIELDS_END),                                  \
              (const struct log_field[]){ LOG_REST(__VA_ARGS__, LOG_FIELDS_END) })
#define LOG_MESSAGE(message_, ...) message_
#define LOG_REST(message_, ...)    __VA_ARGS__

/* fields end with LOG_FIELDS_END. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

#endif
