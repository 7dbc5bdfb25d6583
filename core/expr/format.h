/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and texts by pattern: the `format` and `numberFormat` filters.
 */
#ifndef CORE_EXPR_FORMAT_H
#define CORE_EXPR_FORMAT_H

struct call;
struct value;

/* printf-style: conversions s S d x X o c b e f g % n; the arguments are those of the call. */
const struct value *format_text(struct call *call, const struct value *pattern);

/* Decimal patterns, `#,##0.00`; a NULL pattern groups by three with at most three decimals. */
const struct value *format_number(struct call *call, const struct value *pattern);

#endif
