/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates of the expression language: reading values as moments, and named formats.
 */
#ifndef CORE_EXPR_DATE_H
#define CORE_EXPR_DATE_H

#include <stdbool.h>

#include "core/expr/date_names.h"
#include "core/expr/date_pattern.h"

struct call;
struct value;

/* How a call wants dates read and written. */
struct date_options {
    const struct tz *tz;
    const struct value *format;   /* string, or NULL: iso */
    const struct value *existing; /* string or NULL */
    const struct date_locale *locale;
    struct date_locale regional; /* what `locale` points to when a language was given */
};

/* Reads the arguments; an index of -1 means that the callable has no such parameter. */
bool date_options(
    struct call *call, int format, int zone, int existing, int locale, struct date_options *out);

/* The moment a value stands for (expressions.md 7.1); false with the failure noted. */
bool date_moment(struct call *call,
                 const struct value *value,
                 const struct date_options *options,
                 struct moment *out);

/* The moment in the wanted format, as a string value. */
const struct value *date_text(struct call *call,
                              const struct moment *moment,
                              const struct date_options *options);

#endif
