/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/redact.h"
#include "base/str.h"

/* A longer text of a field or message is cut, so that one line cannot fill a disk. */
#define TEXT_BYTES_MAX 8192U

/* log.lock: taken last, nothing is called while it is held but write(). */
static struct {
    pthread_mutex_t lock;
    _Atomic enum log_level level;
    enum log_format format;
    bool is_coloured;
    int fd;
} sink = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .level = LOG_INFO,
    .format = LOG_FORMAT_TEXT,
    .fd = STDERR_FILENO,
};

static const struct {
    const char *name;
    const char *padded;
    const char *colour;
} levels[] = {
    [LOG_TRACE] = { "TRACE", "TRACE", "\033[2m" },  [LOG_DEBUG] = { "DEBUG", "DEBUG", "\033[2m" },
    [LOG_INFO] = { "INFO", "INFO ", "\033[32m" },   [LOG_WARN] = { "WARN", "WARN ", "\033[33m" },
    [LOG_ERROR] = { "ERROR", "ERROR", "\033[31m" }, [LOG_NONE] = { "NONE", "NONE ", "" },
};

#define COLOUR_OFF  "\033[0m"
#define COLOUR_NAME "\033[2m"

static bool wants_colour(const struct log_options *options)
{
    if (options->colour != LOG_COLOUR_AUTO)
        return options->colour == LOG_COLOUR_ALWAYS;
    const char *refused = getenv("NO_COLOR");
    return isatty(options->fd) == 1 && (refused == NULL || refused[0] == '\0');
}

void log_open(const struct log_options *options)
{
    bool is_coloured = wants_colour(options);
    (void)pthread_mutex_lock(&sink.lock);
    sink.level = options->level;
    sink.format = options->format;
    sink.is_coloured = is_coloured;
    sink.fd = options->fd;
    (void)pthread_mutex_unlock(&sink.lock);
}

bool log_enabled(enum log_level level)
{
    return level >= sink.level && level < LOG_NONE;
}

const char *log_level_name(enum log_level level)
{
    CHECK((size_t)level < COUNT_OF(levels));
    return levels[level].name;
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (str_eq_nocase(text, levels[i].name)) {
            *out = (enum log_level)i;
            return true;
        }
    }
    if (!str_eq_nocase(text, "WARNING"))
        return false;
    *out = LOG_WARN;
    return true;
}

static void put_time(struct buf *out, usec_t at)
{
    time_t seconds = (time_t)(at / USEC_SEC);
    usec_t micros = at % USEC_SEC;
    if (micros < 0) {
        micros += USEC_SEC;
        seconds--;
    }
    struct tm fields;
    if (gmtime_r(&seconds, &fields) == NULL) {
        buf_put_int(out, at);
        return;
    }
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", fields.tm_year + 1900, fields.tm_mon + 1,
               fields.tm_mday, fields.tm_hour, fields.tm_min, fields.tm_sec,
               (int)(micros / USEC_MSEC));
}

/* Seconds with as many digits as the span has. */
static void put_span(struct buf *out, usec_t span)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%.6f", (double)span / (double)USEC_SEC);
    size_t length = strlen(text);
    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    buf_add(out, text, length);
}

/*
 * Text with control characters and malformed UTF-8 made harmless, so that a field cannot forge a
 * line or steer a terminal. Quotes and backslashes are escaped when is_quoted.
 */
static void put_text(struct buf *out, const char *text, bool is_quoted)
{
    const char *end = text + strnlen(text, TEXT_BYTES_MAX);
    bool is_cut = *end != '\0';
    while (text < end) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x80) {
            text++;
            if (c == '\n')
                buf_puts(out, "\\n");
            else if (c == '\r')
                buf_puts(out, "\\r");
            else if (c == '\t')
                buf_puts(out, "\\t");
            else if (c < 0x20 || c == 0x7f)
                buf_printf(out, "\\u%04x", c);
            else if (is_quoted && (c == '"' || c == '\\'))
                buf_printf(out, "\\%c", c);
            else
                buf_putc(out, (char)c);
            continue;
        }
        uint32_t point = utf8_next(&text, end);
        if (point >= 0x80 && point < 0xa0)
            buf_printf(out, "\\u%04x", point);
        else
            buf_put_utf8(out, point);
    }
    if (is_cut)
        buf_puts(out, "…");
}

/* Whether a value needs quotes in the text form: empty, or a blank, quote, '=' or control in it. */
static bool needs_quotes(const char *text)
{
    if (text[0] == '\0')
        return true;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at <= ' ' || *at == '"' || *at == '=' || *at == '\\' || *at == 0x7f)
            return true;
    }
    return false;
}

static void put_value(struct buf *out, const struct log_field *field, bool is_json)
{
    switch (field->kind) {
    case LOG_FIELD_STR: {
        bool is_quoted = is_json || needs_quotes(field->text);
        if (is_quoted)
            buf_putc(out, '"');
        put_text(out, field->text, is_quoted);
        if (is_quoted)
            buf_putc(out, '"');
        break;
    }
    case LOG_FIELD_INT:
        buf_put_int(out, field->integer);
        break;
    case LOG_FIELD_DOUBLE:
        if (is_json && !isfinite(field->number))
            buf_puts(out, "null");
        else
            buf_printf(out, "%g", field->number);
        break;
    case LOG_FIELD_BOOL:
        buf_puts(out, field->boolean ? "true" : "false");
        break;
    case LOG_FIELD_TIME:
        if (is_json)
            buf_putc(out, '"');
        put_time(out, field->integer);
        if (is_json)
            buf_putc(out, '"');
        break;
    case LOG_FIELD_SPAN:
        put_span(out, field->integer);
        if (!is_json)
            buf_putc(out, 's');
        break;
    case LOG_FIELD_END:
        break;
    }
}

static void put_line(struct buf *out,
                     enum log_level level,
                     const char *message,
                     const struct log_field *fields,
                     bool is_json,
                     bool is_coloured)
{
    buf_puts(out, is_json ? "{\"time\":\"" : is_coloured ? COLOUR_NAME : "");
    put_time(out, clock_now());
    if (is_json) {
        buf_printf(out, "\",\"level\":\"%s\",\"message\":\"", levels[level].name);
        put_text(out, message, true);
        buf_putc(out, '"');
    } else if (is_coloured) {
        buf_printf(out, COLOUR_OFF " %s%s" COLOUR_OFF " ", levels[level].colour,
                   levels[level].padded);
        put_text(out, message, false);
    } else {
        buf_printf(out, " %s ", levels[level].padded);
        put_text(out, message, false);
    }
    bool is_first = true;
    for (; fields->kind != LOG_FIELD_END; fields++) {
        if (fields->kind == LOG_FIELD_STR && fields->text == NULL)
            continue;
        if (is_json)
            buf_printf(out, ",\"%s\":", fields->name);
        else if (is_coloured)
            buf_printf(out, "%s" COLOUR_NAME "%s=" COLOUR_OFF, is_first ? "  " : " ", fields->name);
        else
            buf_printf(out, "%s%s=", is_first ? "  " : " ", fields->name);
        put_value(out, fields, is_json);
        is_first = false;
    }
    buf_puts(out, is_json ? "}\n" : "\n");
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    if (!log_enabled(level))
        return;
    (void)pthread_mutex_lock(&sink.lock);
    bool is_json = sink.format == LOG_FORMAT_JSON;
    bool is_coloured = sink.is_coloured && !is_json;
    (void)pthread_mutex_unlock(&sink.lock);

    AUTO(buf_free) struct buf line = { 0 };
    put_line(&line, level, message, fields, is_json, is_coloured);
    AUTO(buf_free) struct buf masked = { 0 };
    const struct buf *shown = &line;
    if (redact_apply(redact_process(), line.bytes, line.length, &masked))
        shown = &masked;

    (void)pthread_mutex_lock(&sink.lock);
    // Nowhere to report a log that cannot be written.
    (void)fs_write_fd(sink.fd, shown->bytes, shown->length, "log", NULL);
    (void)pthread_mutex_unlock(&sink.lock);
}
