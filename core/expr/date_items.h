/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of a date pattern, shared by formatting and parsing.
 */
#ifndef CORE_EXPR_DATE_ITEMS_H
#define CORE_EXPR_DATE_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/vec.h"

struct error;

enum date_item_kind {
    DATE_LITERAL,
    DATE_FIELD,
    DATE_OPEN, /* [ */
    DATE_CLOSE,
};

struct date_item {
    enum date_item_kind kind;
    char letter;
    int32_t count;
    int32_t pad; /* width to fill with spaces before, 0: none */
    const char *text;
    size_t length;
};

struct date_items {
    VEC(struct date_item) all;
    struct buf literals; /* texts of quoted literals with '' undone */
};

/*
 * Splits a pattern and checks its letters. date_items_release() must follow, whatever the answer.
 * Errors   ERR_INVALID
 */
bool date_items_split(const char *pattern, struct date_items *items, struct error *err);
void date_items_release(struct date_items *items);

bool date_is_letter(char c);

/* Number of a weekday when weeks start on `first_day`: 1–7. */
int32_t date_local_weekday(int32_t weekday, int32_t first_day);

#endif
