/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of dates, durations, offsets, zones and date patterns. What is read is written and read
 * again to the same; a pattern that formats a moment must not crash reading it back.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/timefmt.h"
#include "core/expr/date_names.h"
#include "core/expr/date_pattern.h"
#include "core/tz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_instant(const char *text, struct buf *buf)
{
    usec_t at = 0;
    usec_t again = 0;
    int32_t nanos = 0;
    int32_t nanos_again = 0;
    if (!time_parse_instant(text, &at, &nanos, NULL))
        return;
    buf_clear(buf);
    time_write_instant(buf, at, nanos);
    CHECK(time_parse_instant(buf_text(buf), &again, &nanos_again, NULL));
    CHECK(at == again);
    CHECK(nanos == nanos_again);
}

static void check_duration(const char *text, struct buf *buf)
{
    usec_t span = 0;
    usec_t again = 0;
    int32_t nanos = 0;
    int32_t nanos_again = 0;
    if (!duration_parse(text, &span, &nanos, NULL))
        return;
    buf_clear(buf);
    duration_write(buf, span, nanos);
    CHECK(duration_parse(buf_text(buf), &again, &nanos_again, NULL));
    CHECK(span == again);
    CHECK(nanos == nanos_again);
    buf_clear(buf);
    duration_write_seconds(buf, span, nanos);
    CHECK(duration_parse(buf_text(buf), &again, &nanos_again, NULL));
    CHECK(span == again);
    CHECK(nanos == nanos_again);
}

static void check_zone(const char *text)
{
    static const usec_t local = 1711852200000000; // 2024-03-31T02:30
    usec_t at = 0;
    const struct tz *tz = tz_get(text, NULL);
    if (tz == NULL)
        return;
    if (tz_resolve(tz, local, &at) != TZ_GAP)
        CHECK(tz_local(tz, at) == local);
}

/* The text as a pattern; what it writes may be read back. */
static void check_pattern(const char *text, struct buf *buf)
{
    struct moment moment = moment_at(1709802303123456, 789, tz_get("Europe/Paris", NULL));
    struct moment back;
    struct error err = { 0 };
    buf_clear(buf);
    if (!date_format(buf, &moment, text, date_locale_find(NULL), &err)) {
        CHECK(err.code == ERR_INVALID);
        return;
    }
    (void)date_parse(buf_text(buf), buf->length, text, moment.tz, &back, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct arena *arena = arena_new();
    struct buf buf = { 0 };
    struct time_text parts;
    struct moment moment;
    const char *text = arena_strndup(arena, (const char *)bytes, length);
    check_instant(text, &buf);
    check_duration(text, &buf);
    check_zone(text);
    check_pattern(text, &buf);
    if (time_text_parse(text, strlen(text), &parts, NULL))
        CHECK(civil_valid(&parts.civil));
    // before the first line end a pattern, behind it a text
    const char *line = strchr(text, '\n');
    if (line != NULL)
        (void)date_parse(line + 1, strlen(line + 1),
                         arena_strndup(arena, text, (size_t)(line - text)), tz_utc(), &moment,
                         NULL);
    buf_free(&buf);
    arena_free(arena);
    return 0;
}
