/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zoneinfo files (RFC 8536): a table of transitions, and a rule in POSIX TZ form for the time
 * after the last of them.
 */
#include "core/tz.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "base/timefmt.h"

#define ZONEINFO       "/usr/share/zoneinfo"
#define FILE_BYTES_MAX ((size_t)1024 * 1024) /* the largest real one has 4 KB */
#define NAME_BYTES_MAX 64U
#define HEADER_BYTES   44U
#define DAY_SECONDS    86400LL
/* Offsets of real zones lie within; the search around a local time needs a margin. */
#define OFFSET_MAX (26LL * 3600)

struct type {
    int32_t offset;
    bool is_dst;
    const char *abbreviation;
};

/* A day of the year and a time of that day at which the rule switches. */
struct rule_day {
    char form; /* 'M' month.week.weekday, 'J' day without leap day, '0' day with it */
    int32_t month;
    int32_t week;
    int32_t day;
    int32_t time; /* seconds of the local day, may be negative or beyond it */
};

struct rule {
    bool has_dst;
    struct type standard;
    struct type dst;
    struct rule_day start;
    struct rule_day end;
};

struct tz {
    const char *name;
    bool is_offset;
    size_t count;
    int64_t *transitions; /* seconds */
    uint8_t *type_of;     /* type from that transition on */
    size_t type_count;
    struct type *types; /* the first holds before the first transition */
    bool has_rule;
    struct rule rule;
};

/* ---- the rule text, for example CET-1CEST,M3.5.0,M10.5.0/3 ---- */

static bool rule_name(struct arena *arena, const char **at, const char **name)
{
    const char *start = *at;
    if (*start == '<') {
        const char *end = strchr(++start, '>');
        if (end == NULL || end == start)
            return false;
        *name = arena_strndup(arena, start, (size_t)(end - start));
        *at = end + 1;
        return true;
    }
    const char *end = start;
    while ((*end >= 'a' && *end <= 'z') || (*end >= 'A' && *end <= 'Z'))
        end++;
    *name = arena_strndup(arena, start, (size_t)(end - start));
    *at = end;
    return end - start >= 3;
}

static bool rule_number(const char **at, int32_t max, int32_t *out)
{
    int32_t number = 0;
    const char *start = *at;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        number = number * 10 + (**at - '0');
        if (number > max)
            return false;
    }
    *out = number;
    return *at > start;
}

/* [-+]h[:m[:s]] in seconds */
static bool rule_time(const char **at, int32_t *out)
{
    bool negative = **at == '-';
    if (**at == '-' || **at == '+')
        (*at)++;
    int32_t hours = 0;
    int32_t minutes = 0;
    int32_t seconds = 0;
    if (!rule_number(at, 167, &hours))
        return false;
    if (**at == ':' && ((*at)++, !rule_number(at, 59, &minutes)))
        return false;
    if (**at == ':' && ((*at)++, !rule_number(at, 59, &seconds)))
        return false;
    int32_t total = hours * 3600 + minutes * 60 + seconds;
    *out = negative ? -total : total;
    return true;
}

static bool rule_char(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

static bool rule_month_day(const char **at, struct rule_day *day)
{
    return rule_number(at, 12, &day->month) && day->month >= 1 && rule_char(at, '.') &&
           rule_number(at, 5, &day->week) && day->week >= 1 && rule_char(at, '.') &&
           rule_number(at, 6, &day->day);
}

static bool rule_day(const char **at, struct rule_day *day)
{
    bool sound = false;
    *day = (struct rule_day){ .time = 2 * 3600 };
    if (!rule_char(at, ','))
        return false;
    day->form = **at == 'M' || **at == 'J' ? *(*at)++ : '0';
    if (day->form == 'M')
        sound = rule_month_day(at, day);
    else
        sound = rule_number(at, 365, &day->day);
    return sound && (!rule_char(at, '/') || rule_time(at, &day->time));
}

static bool parse_rule(struct arena *arena, const char *text, struct rule *rule)
{
    const char *at = text;
    if (!rule_name(arena, &at, &rule->standard.abbreviation) ||
        !rule_time(&at, &rule->standard.offset))
        return false;
    rule->standard.offset = -rule->standard.offset; // POSIX counts west
    if (*at == '\0')
        return true;
    rule->has_dst = true;
    rule->dst.is_dst = true;
    rule->dst.offset = rule->standard.offset + 3600;
    if (!rule_name(arena, &at, &rule->dst.abbreviation))
        return false;
    if (*at != ',') {
        if (!rule_time(&at, &rule->dst.offset))
            return false;
        rule->dst.offset = -rule->dst.offset;
    }
    return rule_day(&at, &rule->start) && rule_day(&at, &rule->end) && *at == '\0';
}

/* Seconds since 1970 of the switch in a year, when `offset` holds before it. */
static int64_t rule_switch(const struct rule_day *day, int32_t year, int32_t offset)
{
    int64_t days = civil_days(year, 1, 1);
    if (day->form == 'M') {
        days = civil_days(year, day->month, 1);
        int64_t weekday = ((days + 4) % 7 + 7) % 7; // 0 Sunday
        int64_t ahead = (day->day - weekday + 7) % 7 + (day->week - 1) * 7LL;
        while (ahead >= civil_month_days(year, day->month))
            ahead -= 7;
        days += ahead;
    } else if (day->form == 'J') {
        days += day->day - 1 + (civil_is_leap(year) && day->day > 59 ? 1 : 0);
    } else {
        days += day->day;
    }
    return days * DAY_SECONDS + day->time - offset;
}

static const struct type *rule_at(const struct rule *rule,
                                  int64_t seconds,
                                  int64_t *from,
                                  int64_t *until)
{
    *until = INT64_MAX;
    if (!rule->has_dst)
        return &rule->standard;
    usec_t local = (seconds + rule->standard.offset) * USEC_SEC;
    int32_t year = civil_of(local).year;
    // The switches of three years hold every span that may contain the instant.
    const struct type *type = &rule->standard;
    int64_t begun = INT64_MIN;
    for (int32_t y = year - 1; y <= year + 1; y++) {
        int64_t switches[] = {
            rule_switch(&rule->start, y, rule->standard.offset),
            rule_switch(&rule->end, y, rule->dst.offset),
        };
        for (size_t i = 0; i < COUNT_OF(switches); i++) {
            if (switches[i] <= seconds && switches[i] >= begun) {
                begun = switches[i];
                type = i == 0 ? &rule->dst : &rule->standard;
            } else if (switches[i] > seconds && switches[i] < *until) {
                *until = switches[i];
            }
        }
    }
    if (begun > *from)
        *from = begun;
    return type;
}

/* ---- the file ---- */

struct reader {
    const unsigned char *at;
    const unsigned char *end;
};

static uint32_t be32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t be64(const unsigned char *at)
{
    return (int64_t)((uint64_t)be32(at) << 32 | be32(at + 4));
}

struct header {
    size_t utc_flags;
    size_t std_flags;
    size_t leaps;
    size_t transitions;
    size_t types;
    size_t chars;
};

static bool read_header(struct reader *reader, struct header *header)
{
    const unsigned char *at = reader->at;
    if ((size_t)(reader->end - at) < HEADER_BYTES || memcmp(at, "TZif", 4) != 0 || at[4] < '2')
        return false;
    size_t counts[6];
    for (size_t i = 0; i < 6; i++) {
        counts[i] = be32(at + 20 + 4 * i);
        if (counts[i] > FILE_BYTES_MAX)
            return false;
    }
    *header = (struct header){ counts[0], counts[1], counts[2], counts[3], counts[4], counts[5] };
    reader->at += HEADER_BYTES;
    return true;
}

static size_t block_bytes(const struct header *header, size_t time_bytes)
{
    return header->transitions * (time_bytes + 1) + header->types * 6 + header->chars +
           header->leaps * (time_bytes + 4) + header->std_flags + header->utc_flags;
}

static bool read_types(struct arena *arena,
                       const struct header *header,
                       const unsigned char *at,
                       struct tz *tz)
{
    char *chars = arena_strndup(arena, (const char *)at + header->types * 6, header->chars);
    tz->type_count = header->types;
    tz->types = ARENA_ARRAY(arena, header->types, struct type);
    for (size_t i = 0; i < header->types; i++, at += 6) {
        int32_t offset = (int32_t)be32(at);
        if (offset < -OFFSET_MAX || offset > OFFSET_MAX || at[5] >= header->chars)
            return false;
        tz->types[i] = (struct type){ offset, at[4] != 0, chars + at[5] };
    }
    return true;
}

static bool read_transitions(struct arena *arena,
                             const struct header *header,
                             const unsigned char *at,
                             struct tz *tz)
{
    const unsigned char *indexes = at + header->transitions * 8;
    tz->count = header->transitions;
    tz->transitions = ARENA_ARRAY(arena, tz->count, int64_t);
    tz->type_of = ARENA_ARRAY(arena, tz->count, uint8_t);
    for (size_t i = 0; i < tz->count; i++) {
        tz->transitions[i] = be64(at + i * 8);
        tz->type_of[i] = indexes[i];
        if (indexes[i] >= header->types || (i > 0 && tz->transitions[i] <= tz->transitions[i - 1]))
            return false;
    }
    return true;
}

static bool read_footer(struct arena *arena, struct reader *reader, struct tz *tz)
{
    size_t left = (size_t)(reader->end - reader->at);
    const unsigned char *end = left < 2 ? NULL : memchr(reader->at + 1, '\n', left - 1);
    if (end == NULL || *reader->at != '\n')
        return false;
    char *text = arena_strndup(arena, (const char *)reader->at + 1, (size_t)(end - reader->at - 1));
    tz->has_rule = *text != '\0';
    return !tz->has_rule || parse_rule(arena, text, &tz->rule);
}

static bool parse_file(struct arena *arena, const void *bytes, size_t length, struct tz *tz)
{
    struct reader reader = { bytes, (const unsigned char *)bytes + length };
    struct header header = { 0 };
    // The first block holds 32-bit times, for programs of the past.
    for (size_t time_bytes = 4; time_bytes <= 8; time_bytes += 4) {
        if (!read_header(&reader, &header) ||
            block_bytes(&header, time_bytes) > (size_t)(reader.end - reader.at))
            return false;
        if (time_bytes == 4)
            reader.at += block_bytes(&header, time_bytes);
    }
    if (header.types == 0 || header.types > 256 ||
        !read_transitions(arena, &header, reader.at, tz) ||
        !read_types(arena, &header, reader.at + header.transitions * 9, tz))
        return false;
    reader.at += block_bytes(&header, 8);
    return read_footer(arena, &reader, tz);
}

/* Reads a whole small file; NULL with errno when that fails. */
static char *read_file(struct arena *arena, const char *path, size_t *length)
{
    AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return NULL;
    if (!S_ISREG(info.st_mode) || (size_t)info.st_size > FILE_BYTES_MAX) {
        errno = S_ISDIR(info.st_mode) ? ENOENT : EFBIG;
        return NULL;
    }
    char *bytes = arena_bytes_alloc(arena, (size_t)info.st_size + 1);
    *length = 0;
    while (*length < (size_t)info.st_size) {
        ssize_t got = read(fd, bytes + *length, (size_t)info.st_size - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        *length += (size_t)got;
    }
    return bytes;
}

/* ---- names ---- */

/* Files of the zoneinfo folder that are no zones, and zones whose letters mean different things. */
static bool is_refused(const char *name)
{
    static const char *const refused[] = {
        "EST", "MST", "HST", "localtime", "posixrules", "Factory"
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (strcmp(name, refused[i]) == 0)
            return true;
    }
    return str_starts(name, "posix/") || str_starts(name, "right/");
}

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    if (length > NAME_BYTES_MAX || strstr(name, "..") != NULL || strstr(name, "//") != NULL ||
        name[length - 1] == '/' || is_refused(name))
        return false;
    for (const char *at = name; *at != '\0'; at++) {
        bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!is_letter && (at == name || strchr("0123456789_+-/~.", *at) == NULL))
            return false;
    }
    return true;
}

static struct tz *fixed(struct arena *arena, const char *name, int32_t offset, bool is_offset)
{
    struct tz *tz = ARENA_NEW(arena, struct tz);
    tz->name = arena_strdup(arena, name);
    tz->is_offset = is_offset;
    tz->type_count = 1;
    tz->types = ARENA_NEW(arena, struct type);
    tz->types->offset = offset;
    tz->types->abbreviation = tz->name;
    return tz;
}

/*
 * An offset, or UTC, GMT, UT with one. Writes the usual spelling of the name. Returns false when
 * the name is something else.
 */
static bool parse_fixed(const char *name, struct buf *usual, int32_t *offset, bool *is_offset)
{
    static const char *const prefixes[] = { "UTC", "GMT", "UT", "" };
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        if (!str_starts(name, prefixes[i]))
            continue;
        const char *rest = name + strlen(prefixes[i]);
        *is_offset = *prefixes[i] == '\0';
        *offset = 0;
        if (*is_offset ? str_eq(rest, "z") : str_eq_nocase(rest, "z"))
            return false;
        bool is_bare = *rest == '\0' && !*is_offset;
        if (!is_bare && !time_parse_offset(rest, strlen(rest), offset))
            return false; // GMT0 and the like are files
        buf_puts(usual, prefixes[i]);
        if (!is_bare && (*offset != 0 || *is_offset))
            time_write_offset(usual, *offset);
        return true;
    }
    return false;
}

/* ---- the cache ---- */

/* Taken alone, never while another lock is held. */
static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct map cache;          /* spelling → zone */
static struct arena *cache_arena; /* lives as long as the process */

static const struct tz *load_file(const char *name, struct error *err)
{
    const char *folder = getenv("TZDIR");
    struct arena_mark mark = arena_mark(cache_arena);
    char *path = arena_printf(cache_arena, "%s/%s", str_empty(folder) ? ZONEINFO : folder, name);
    size_t length = 0;
    char *bytes = read_file(cache_arena, path, &length);
    struct tz *tz = ARENA_NEW(cache_arena, struct tz);
    if (bytes == NULL && (errno == ENOENT || errno == ENOTDIR))
        error_set(err, ERR_INVALID, "unknown time zone '%s'", name);
    else if (bytes == NULL)
        error_set(err, ERR_INTERNAL, "read time zone '%s': %s", path, strerror(errno));
    else if (!parse_file(cache_arena, bytes, length, tz))
        error_set(err, ERR_INTERNAL, "'%s' is no zoneinfo file", path);
    else
        tz->name = arena_strdup(cache_arena, name);
    if (tz->name != NULL)
        return tz;
    arena_rewind(cache_arena, mark);
    return NULL;
}

static const struct tz *load(const char *name, struct error *err)
{
    struct buf usual = { 0 };
    int32_t offset = 0;
    bool is_offset = false;
    const struct tz *tz = NULL;
    if (parse_fixed(name, &usual, &offset, &is_offset)) {
        tz = map_find(&cache, buf_text(&usual));
        if (tz == NULL) {
            tz = fixed(cache_arena, buf_text(&usual), offset, is_offset);
            (void)map_put(&cache, tz->name, (void *)(uintptr_t)tz);
        }
    } else if (!is_name(name)) {
        error_set(err, ERR_INVALID, "unknown time zone '%.*s'", (int)NAME_BYTES_MAX, name);
    } else {
        tz = load_file(name, err);
        if (tz != NULL)
            (void)map_put(&cache, name, (void *)(uintptr_t)tz);
    }
    buf_free(&usual);
    return tz;
}

const struct tz *tz_get(const char *name, struct error *err)
{
    if (str_empty(name))
        return tz_utc();
    (void)pthread_mutex_lock(&cache_lock);
    if (cache_arena == NULL)
        cache_arena = arena_new();
    const struct tz *tz = map_find(&cache, name);
    if (tz == NULL)
        tz = load(name, err);
    (void)pthread_mutex_unlock(&cache_lock);
    return tz;
}

/* ---- questions ---- */

const struct tz *tz_utc(void)
{
    static struct type type = { .abbreviation = "UTC" };
    static const struct tz utc = { .name = "UTC", .type_count = 1, .types = &type };
    return &utc;
}

const struct tz *tz_of_offset(int32_t offset)
{
    struct buf name = { 0 };
    time_write_offset(&name, offset);
    const struct tz *tz = tz_get(buf_text(&name), NULL);
    buf_free(&name);
    CHECK(tz != NULL);
    return tz;
}

const char *tz_name(const struct tz *tz)
{
    return tz->name;
}

bool tz_is_offset(const struct tz *tz)
{
    return tz->is_offset;
}

static int64_t seconds_of(usec_t at)
{
    return at / USEC_SEC - (at % USEC_SEC < 0 ? 1 : 0);
}

/* Number of transitions at or before an instant. */
static size_t transitions_before(const struct tz *tz, int64_t seconds)
{
    size_t low = 0;
    size_t high = tz->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tz->transitions[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static usec_t clamped(int64_t seconds)
{
    usec_t at = 0;
    if (__builtin_mul_overflow(seconds, USEC_SEC, &at))
        return seconds < 0 ? INT64_MIN : USEC_NEVER;
    return at;
}

struct tz_info tz_at(const struct tz *tz, usec_t at)
{
    int64_t seconds = seconds_of(at);
    size_t index = transitions_before(tz, seconds);
    int64_t from = index == 0 ? INT64_MIN : tz->transitions[index - 1];
    int64_t until = index == tz->count ? INT64_MAX : tz->transitions[index];
    const struct type *type = index == 0 ? &tz->types[0] : &tz->types[tz->type_of[index - 1]];
    if (index == tz->count && tz->has_rule)
        type = rule_at(&tz->rule, seconds, &from, &until);
    return (struct tz_info){
        .offset = type->offset,
        .is_dst = type->is_dst,
        .abbreviation = type->abbreviation,
        .from = clamped(from),
        .until = clamped(until),
    };
}

int32_t tz_offset(const struct tz *tz, usec_t at)
{
    return tz->count == 0 && !tz->has_rule ? tz->types[0].offset : tz_at(tz, at).offset;
}

/* Sum that stops at the ends of the range. */
static usec_t moved(usec_t at, usec_t by)
{
    usec_t sum = 0;
    if (__builtin_add_overflow(at, by, &sum))
        return by < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

usec_t tz_local(const struct tz *tz, usec_t at)
{
    return moved(at, tz_offset(tz, at) * USEC_SEC);
}

enum tz_local tz_resolve(const struct tz *tz, usec_t local, usec_t *at)
{
    // Whatever the zone, the instant lies within these bounds, and so do the switches around it.
    int32_t before = tz_offset(tz, moved(local, -OFFSET_MAX * USEC_SEC));
    int32_t after = tz_offset(tz, moved(local, OFFSET_MAX * USEC_SEC));
    usec_t first = moved(local, -before * USEC_SEC);
    usec_t second = moved(local, -after * USEC_SEC);
    bool first_holds = tz_offset(tz, first) == before;
    bool second_holds = tz_offset(tz, second) == after;
    *at = first_holds || !second_holds ? first : second;
    if (first_holds && second_holds)
        return first == second ? TZ_UNIQUE : TZ_OVERLAP;
    return first_holds || second_holds ? TZ_UNIQUE : TZ_GAP;
}
