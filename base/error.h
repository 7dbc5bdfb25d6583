/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What went wrong, as a value: a code that names the reaction, and one line of text.
 *
 * A function that can fail takes `struct error *err` last and returns false or NULL. On failure err
 * is filled, on success untouched; out-parameters are written only on success. Texts are lower
 * case, one line, name the thing, quote user input in ticks, carry no credentials.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

enum error_code {
    ERR_NONE = 0,
    ERR_INVALID,     /* the author must change a text */
    ERR_DENIED,      /* credentials or rights are missing */
    ERR_NOT_FOUND,   /* the named thing does not exist */
    ERR_CONFLICT,    /* the world moved: reload, decide again */
    ERR_LIMIT,       /* a documented bound was reached */
    ERR_UNAVAILABLE, /* retry later */
    ERR_TIMEOUT,     /* retry later */
    ERR_CANCELLED,   /* somebody asked to stop */
    ERR_INTERNAL,    /* our mistake or the machine's */
};

/* Longer texts end in "…"; long enough for a path, a remote's answer and a reason. */
#define ERROR_TEXT_BYTES 1024

struct error {
    enum error_code code;
    uint32_t line;   /* 1-based, 0 when unknown */
    uint32_t column; /* 1-based, 0 when unknown */
    char text[ERROR_TEXT_BYTES];
};

/* Fills err (which may be NULL) and returns false. Clears line and column. */
bool error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set(), with a position in a text. */
bool error_set_at(struct error *err,
                  enum error_code code,
                  uint32_t line,
                  uint32_t column,
                  const char *format,
                  ...) __attribute__((format(printf, 5, 6)));

/* Puts "<format>: " before the text; keeps code and position. Returns false. */
bool error_wrap(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "invalid", "not found" … for logs and JSON. */
const char *error_code_name(enum error_code code);

#endif
