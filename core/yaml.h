/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML texts to values with positions, and back. The only user of libyaml.
 *
 * Reading follows the 1.1 resolution that existing flows were written for: `~`, `null` and nothing
 * are null; `true` and `false` are booleans; 12, 0x1F, 017, 0b1 and 1_000 are integers; 1.5, 1e3
 * are doubles; dates, clock times and everything else stay strings. Keys are their text. Keys given
 * twice are an error. Anchors, aliases and merge keys (`<<`) work within bounds.
 */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct error;
struct value;

/* What a text may cost; every bound gives ERR_LIMIT with the position where it was passed. */
struct yaml_limits {
    size_t bytes_max;     /* of the text */
    uint32_t depth_max;   /* of nested lists and maps */
    size_t values_max;    /* in all documents, aliases counted once */
    size_t expansion_max; /* bytes that aliases stand for beyond what is written */
    bool boolean_words;   /* yes, no, on, off are booleans too */
    bool last_wins;       /* of members with one key; else they are a mistake */
    bool needs_document;  /* blanks and comments alone are a mistake, not null */
};

/* Deep enough for FLOW_DEPTH_MAX nested tasks, four levels each, and what hangs below. */
#define YAML_DEPTH_MAX 320U

/* For flows and repository files: 4 MiB of text. */
extern const struct yaml_limits yaml_limits_default;

/*
 * The one document of a text; an empty text is null.
 *
 * limits   NULL is yaml_limits_default
 * Errors   ERR_INVALID  not YAML, an unknown alias, a key given twice, a second document
 *          ERR_LIMIT    a bound; both with line and column
 */
const struct value *yaml_parse(struct arena *arena,
                               const char *text,
                               size_t length,
                               const struct yaml_limits *limits,
                               struct error *err);

/* As yaml_parse(), ignoring what follows the first document. */
const struct value *yaml_parse_first(struct arena *arena,
                                     const char *text,
                                     size_t length,
                                     const struct yaml_limits *limits,
                                     struct error *err);

/* All documents of a text as a list; a text without any gives an empty list. Errors as above. */
const struct value *yaml_parse_all(struct arena *arena,
                                   const char *text,
                                   size_t length,
                                   const struct yaml_limits *limits,
                                   struct error *err);

/* One document inside a text. */
struct yaml_part {
    const char *text; /* borrowed from the whole */
    size_t length;
    uint32_t line; /* of its first character, 1-based */
};

/*
 * Cuts a text at lines that consist of `---` (API 2.1.4) without looking at what is between; parts
 * with nothing but white space are left out. *count receives their number.
 */
const struct yaml_part *yaml_split(struct arena *arena,
                                   const char *text,
                                   size_t length,
                                   size_t *count);

enum yaml_quoting {
    YAML_EXACT,    /* reads back as the same value */
    YAML_FRIENDLY, /* as the `yaml` filter: numbers in strings stay unquoted (expressions.md 5.5) */
};

/* Block YAML with a line end after the last line; layout of expressions.md 5.5. */
void yaml_write(struct buf *out, const struct value *value, enum yaml_quoting quoting);
char *yaml_format(struct arena *arena, const struct value *value, enum yaml_quoting quoting);

/* What a plain scalar would be read as; shared by reader and writer. Owned by the arena. */
const struct value *yaml_scalar(struct arena *arena,
                                const char *text,
                                size_t length,
                                bool boolean_words);

#endif
