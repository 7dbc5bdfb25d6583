/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [ERR_NONE] = "none",
    [ERR_INVALID] = "invalid",
    [ERR_DENIED] = "denied",
    [ERR_NOT_FOUND] = "not found",
    [ERR_CONFLICT] = "conflict",
    [ERR_LIMIT] = "limit",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CANCELLED] = "cancelled",
    [ERR_INTERNAL] = "internal",
};

/* A text that did not fit ends in an ellipsis instead of silently losing its end. */
static void mark_cut(char *text, int length)
{
    if (length >= ERROR_TEXT_BYTES)
        memcpy(text + ERROR_TEXT_BYTES - 4, "\xe2\x80\xa6", 4);
}

static void fill(struct error *err, enum error_code code, const char *format, va_list args)
{
    err->code = code;
    err->line = 0;
    err->column = 0;
    mark_cut(err->text, vsnprintf(err->text, sizeof(err->text), format, args));
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    return false;
}

bool error_set_at(struct error *err,
                  enum error_code code,
                  uint32_t line,
                  uint32_t column,
                  const char *format,
                  ...)
{
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    err->line = line;
    err->column = column;
    return false;
}

bool error_wrap(struct error *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    char before[ERROR_TEXT_BYTES];
    char inner[ERROR_TEXT_BYTES];
    memcpy(inner, err->text, sizeof(inner));
    va_list args;
    va_start(args, format);
    (void)vsnprintf(before, sizeof(before), format, args);
    va_end(args);
    mark_cut(err->text, snprintf(err->text, sizeof(err->text), "%s: %s", before, inner));
    return false;
}

const char *error_code_name(enum error_code code)
{
    return names[code];
}
