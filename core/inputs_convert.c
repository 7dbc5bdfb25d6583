/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input types: how a value becomes the stored form, and what it must satisfy (flow-language.md
 * 1.5.3). One row per type.
 */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/regex.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "core/inputs.h"
#include "core/json.h"
#include "core/value.h"
#include "core/yaml.h"

/* Items of one ARRAY or MULTISELECT. */
#define ITEMS_MAX 100000U

/* Of a received value that is repeated in a message. */
#define SHOWN_BYTES_MAX 200U

static const char EMAIL_PATTERN[] =
    "^$|^[a-zA-Z0-9_!#$%&\xe2\x80\x99*+/=?`{|}~^.-]+@[a-zA-Z0-9.-]+$";

/* A scheme, then no white space and none of the characters that RFC 3986 leaves out. */
static const char URI_PATTERN[] = "[A-Za-z][A-Za-z0-9+.-]*:[^\\s\"<>\\\\^`{|}\\x00-\\x1f\\x7f]+";

struct conversion {
    const struct flow_input *input;
    const struct value *choices;
    const struct inputs_request *request;
    struct arena *arena;
    const struct value *shown; /* set when it differs from the stored form */
};

/*
 * text     print form of the value; NULL for lists and maps of types that take documents
 * Returns  the stored form, NULL with err set
 */
typedef const struct value *convert_fn(struct conversion *c,
                                       const struct value *value,
                                       const char *text,
                                       struct error *err);

struct type_row {
    const char *name;
    convert_fn *convert;
    bool is_item;
    bool keeps_empty;     /* "" is a value, not an absent one */
    bool takes_documents; /* anything but a text stays as it is: no print form is made */
};

static const struct type_row *type_row(enum input_type type);

/* ---- helpers ---- */

static char *print_text(struct arena *arena, const struct value *value)
{
    struct buf buf = { 0 };
    value_write_print(&buf, value);
    char *text = buf_dup(&buf, arena);
    buf_free(&buf);
    return text;
}

/* A received text for a message, cut at a character. */
static const char *shorten(struct arena *arena, const char *text)
{
    size_t length = strlen(text);
    if (length <= SHOWN_BYTES_MAX)
        return text;
    length = SHOWN_BYTES_MAX;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return arena_printf(arena, "%.*s\xe2\x80\xa6", (int)length, text);
}

static const struct value *refuse(
    struct conversion *c, const char *rule, const char *bound, const char *text, struct error *err)
{
    error_set(err, ERR_INVALID, "it must be %s `%s`, but received `%s`", rule, bound,
              shorten(c->arena, text));
    return NULL;
}

static const struct value *not_a(struct conversion *c,
                                 const char *what,
                                 const char *text,
                                 struct error *err)
{
    error_set(err, ERR_INVALID, "`%s` is not %s", shorten(c->arena, text), what);
    return NULL;
}

/* Text of a property of the input such as `min`; NULL when absent. */
static const char *bound_text(struct conversion *c, const char *name)
{
    const struct value *bound = value_get(c->input->doc, name);
    return value_is_null(bound) ? NULL : print_text(c->arena, bound);
}

static bool matches(const char *pattern, const char *text, struct error *err)
{
    AUTO(regex_freep) struct regex *regex = regex_new(pattern, strlen(pattern), err);
    if (regex == NULL)
        return error_wrap(err, "invalid regex `%s`", pattern);
    if (regex_match(regex, text, strlen(text)) != REGEX_MATCH)
        return error_set(err, ERR_INVALID, "it must match the pattern `%s`", pattern);
    return true;
}

/* ---- texts ---- */

static const struct value *convert_string(struct conversion *c,
                                          const struct value *value,
                                          const char *text,
                                          struct error *err)
{
    if (c->input->validator != NULL && !matches(c->input->validator, text, err)) {
        if (c->input->type != INPUT_SECRET && err != NULL && err->code == ERR_INVALID) {
            const char *received = shorten(c->arena, text);
            size_t used = strlen(err->text);
            (void)snprintf(err->text + used, sizeof(err->text) - used, ", but received `%s`",
                           received);
        }
        return NULL;
    }
    return value->kind == VALUE_STRING ? value : value_string(c->arena, text);
}

static const struct value *convert_email(struct conversion *c,
                                         const struct value *value,
                                         const char *text,
                                         struct error *err)
{
    (void)value;
    if (!matches(EMAIL_PATTERN, text, err)) {
        error_set(err, ERR_INVALID, "The input must be a valid email");
        return NULL;
    }
    return value_string(c->arena, text);
}

static const struct value *convert_uri(struct conversion *c,
                                       const struct value *value,
                                       const char *text,
                                       struct error *err)
{
    (void)value;
    if (!matches(URI_PATTERN, text, err)) {
        error_set(err, ERR_INVALID, "Invalid URI format.");
        return NULL;
    }
    return value_string(c->arena, text);
}

static const struct value *convert_secret(struct conversion *c,
                                          const struct value *value,
                                          const char *text,
                                          struct error *err)
{
    const struct value *clear = convert_string(c, value, text, err);
    if (clear == NULL)
        return NULL;
    static const char no_key[] =
        "Unable to use a `SECRET` input/output as encryption is not configured";
    if (c->request == NULL || c->request->encrypt == NULL) {
        error_set(err, ERR_INVALID, "%s", no_key);
        return NULL;
    }
    c->shown = clear;
    struct error cause = { 0 };
    const struct value *stored =
        c->request->encrypt(c->request->encrypt_data, c->arena, clear, &cause);
    if (stored == NULL)
        error_set(err, ERR_INVALID, "%s: %s", no_key, cause.text);
    return stored;
}

/* ---- numbers and booleans ---- */

static const struct value *check_range(struct conversion *c,
                                       const struct value *number,
                                       const char *text,
                                       struct error *err)
{
    static const struct {
        const char *name;
        const char *rule;
        int sign;
    } bounds[] = { { "min", "more than", 1 }, { "max", "less than", -1 } };

    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        const char *bound = bound_text(c, bounds[i].name);
        double limit = 0;
        double given = 0;
        if (bound == NULL || !str_to_double(bound, &limit) || !value_to_double(number, &given))
            continue;
        bool is_outside = bounds[i].sign > 0 ? given < limit : given > limit;
        if (is_outside)
            return refuse(c, bounds[i].rule, bound, text, err);
    }
    return number;
}

static const struct value *convert_int(struct conversion *c,
                                       const struct value *value,
                                       const char *text,
                                       struct error *err)
{
    int64_t integer = 0;
    if (value->kind == VALUE_INT) {
        integer = value->integer;
    } else if (value->kind == VALUE_DOUBLE || value->kind == VALUE_FLOAT32) {
        // 42.0 from a JSON caller; 2^53 is where doubles stop being exact
        if (!(value->number >= -9007199254740992.0 && value->number <= 9007199254740992.0) ||
            (double)(int64_t)value->number != value->number)
            return not_a(c, "an integer", text, err);
        integer = (int64_t)value->number;
    } else {
        const char *digits = str_trim(c->arena, text);
        if (digits[0] == '+' && digits[1] != '-')
            digits++;
        if (!str_to_int(digits, INT64_MIN, INT64_MAX, &integer))
            return not_a(c, "an integer", text, err);
    }
    return check_range(c, value_int(c->arena, integer), text, err);
}

static const struct value *convert_float(struct conversion *c,
                                         const struct value *value,
                                         const char *text,
                                         struct error *err)
{
    double number = 0;
    if (!value_to_double(value, &number) && !str_to_double(str_trim(c->arena, text), &number))
        return not_a(c, "a number", text, err);
    return check_range(c, value_double(c->arena, number), text, err);
}

static const struct value *convert_bool(struct conversion *c,
                                        const struct value *value,
                                        const char *text,
                                        struct error *err)
{
    (void)c;
    (void)value;
    (void)err;
    return value_bool(str_eq_nocase(text, "true"));
}

/* ---- dates, times, durations ---- */

/* Microseconds to compare by, and the stored text; false when the text is none of that type. */
static bool read_time(
    enum input_type type, struct arena *arena, const char *text, usec_t *at, const char **stored)
{
    struct buf buf = { 0 };
    struct time_text parts;
    int32_t nanos = 0;
    bool ok = false;
    switch ((int)type) {
    case INPUT_DATETIME:
        ok = time_parse_instant(text, at, &nanos, NULL);
        if (ok)
            time_write_instant(&buf, *at, nanos);
        break;
    case INPUT_DATE:
        ok = time_text_parse(text, strlen(text), &parts, NULL) && parts.has_date && !parts.has_time;
        if (ok) {
            *at = civil_at(&parts.civil);
            time_write_date(&buf, &parts.civil);
        }
        break;
    default:
        ok = time_text_parse(text, strlen(text), &parts, NULL) && parts.has_time &&
             !parts.has_date && !parts.has_offset;
        if (ok) {
            *at = ((parts.civil.hour * 60 + parts.civil.minute) * (usec_t)60 + parts.civil.second) *
                      USEC_SEC +
                  parts.civil.micros;
            time_write_time(&buf, &parts.civil, parts.nanos, true);
        }
        break;
    }
    if (ok)
        *stored = buf_dup(&buf, arena);
    buf_free(&buf);
    return ok;
}

static const struct value *convert_time(struct conversion *c,
                                        const struct value *value,
                                        const char *text,
                                        struct error *err)
{
    (void)value;
    enum input_type type = c->input->type;
    text = str_trim(c->arena, text);
    usec_t at = 0;
    const char *stored = NULL;
    if (!read_time(type, c->arena, text, &at, &stored)) {
        const char *what = type == INPUT_DATETIME ? "a date and time with a zone, such as "
                                                    "2024-05-01T10:00:00Z"
                           : type == INPUT_DATE   ? "a date, such as 2024-05-01"
                                                  : "a time of day, such as 10:00:00";
        return not_a(c, what, text, err);
    }

    const char *after = bound_text(c, "after");
    const char *before = bound_text(c, "before");
    usec_t limit = 0;
    const char *ignored = NULL;
    if (after != NULL && read_time(type, c->arena, after, &limit, &ignored) && at < limit)
        return refuse(c, "after", after, text, err);
    if (before != NULL && read_time(type, c->arena, before, &limit, &ignored) && at > limit)
        return refuse(c, "before", before, text, err);
    return value_string(c->arena, stored);
}

static const struct value *convert_duration(struct conversion *c,
                                            const struct value *value,
                                            const char *text,
                                            struct error *err)
{
    usec_t span = 0;
    int32_t nanos = 0;
    if (value->kind == VALUE_DURATION) {
        span = value->time->at;
        nanos = value->time->nanos;
    } else if (!duration_parse(str_trim(c->arena, text), &span, &nanos, NULL)) {
        return not_a(c, "an ISO 8601 duration, such as PT5M", text, err);
    }

    const char *min = bound_text(c, "min");
    const char *max = bound_text(c, "max");
    usec_t limit = 0;
    if (min != NULL && duration_parse(min, &limit, NULL, NULL) && span < limit)
        return refuse(c, "more than", min, text, err);
    if (max != NULL && duration_parse(max, &limit, NULL, NULL) && span > limit)
        return refuse(c, "less than", max, text, err);
    return value_double(c->arena, (double)span / (double)USEC_SEC + (double)nanos * 1e-9);
}

/* ---- documents and files ---- */

static const struct value *convert_json(struct conversion *c,
                                        const struct value *value,
                                        const char *text,
                                        struct error *err)
{
    if (value_cstr(value) == NULL)
        return value; // a list, a map, a number: a document already
    return json_parse(c->arena, text, strlen(text), err);
}

static const struct value *convert_yaml(struct conversion *c,
                                        const struct value *value,
                                        const char *text,
                                        struct error *err)
{
    if (value_cstr(value) == NULL)
        return value; // a list, a map, a number: a document already
    const struct value *parsed = yaml_parse(c->arena, text, strlen(text), NULL, err);
    if (parsed == NULL)
        error_wrap(err, "not YAML");
    return parsed;
}

static bool has_allowed_extension(const struct value *allowed, const char *uri)
{
    for (size_t i = 0; i < value_count(allowed); i++) {
        const char *extension = value_cstr(value_item(allowed, i));
        size_t length = strlen(uri);
        size_t tail = extension == NULL ? 0 : strlen(extension);
        if (tail > 0 && tail <= length && str_eq_nocase(uri + length - tail, extension))
            return true;
    }
    return false;
}

static const struct value *convert_file(struct conversion *c,
                                        const struct value *value,
                                        const char *text,
                                        struct error *err)
{
    (void)value;
    bool is_uri = str_starts(text, "kestra://") || str_starts(text, "file://") ||
                  str_starts(text, "nsfile://");
    bool is_local = c->request != NULL && c->request->allow_local_files && text[0] == '/';
    if (!is_uri && !is_local)
        return not_a(c, "a file: upload one, or give a kestra://, file:// or nsfile:// URI", text,
                     err);

    const struct value *allowed = value_get(c->input->doc, "allowedFileExtensions");
    if (value_is_list(allowed) && value_count(allowed) > 0 &&
        !has_allowed_extension(allowed, text)) {
        struct buf buf = { 0 };
        value_write_display(&buf, allowed);
        error_set(err, ERR_INVALID, "the file must have one of the extensions `%s`",
                  buf_text(&buf));
        buf_free(&buf);
        return NULL;
    }
    return value_string(c->arena, text);
}

/* ---- choices and lists ---- */

/* Is the text among the choices? Choices that are not texts compare by their print form. */
static bool is_choice(struct arena *arena, const struct value *choices, const char *text)
{
    for (size_t i = 0; i < value_count(choices); i++) {
        const struct value *choice = value_item(choices, i);
        const char *known = value_cstr(choice);
        if (str_eq(known == NULL ? print_text(arena, choice) : known, text))
            return true;
    }
    return false;
}

static const char *choices_text(struct arena *arena, const struct value *choices)
{
    struct buf buf = { 0 };
    value_write_display(&buf, choices);
    const char *text = shorten(arena, buf_dup(&buf, arena));
    buf_free(&buf);
    return text;
}

static const struct value *convert_select(struct conversion *c,
                                          const struct value *value,
                                          const char *text,
                                          struct error *err)
{
    (void)value;
    bool is_free =
        c->input->type == INPUT_SELECT &&
        (!c->input->required || value_get_bool(c->input->doc, "allowCustomValue", false));
    if (c->choices != NULL && !is_free && !is_choice(c->arena, c->choices, text)) {
        error_set(err, ERR_INVALID, "it must match the values `%s`, but received `%s`",
                  choices_text(c->arena, c->choices), shorten(c->arena, text));
        return NULL;
    }
    return value_string(c->arena, text);
}

/* A list as it is, or the JSON list inside a text. */
static const struct value *list_of(struct conversion *c,
                                   const struct value *value,
                                   const char *text,
                                   struct error *err)
{
    const struct value *list = value;
    if (list->kind != VALUE_LIST) {
        list = json_parse(c->arena, text, strlen(text), NULL);
        if (list == NULL || list->kind != VALUE_LIST)
            return not_a(c, "a JSON list", text, err);
    }
    if (value_count(list) > ITEMS_MAX) {
        error_set(err, ERR_INVALID, "more than %u elements", ITEMS_MAX);
        return NULL;
    }
    return list;
}

static const struct value *convert_list(struct conversion *c,
                                        const struct value *value,
                                        const char *text,
                                        struct error *err)
{
    const struct value *list = list_of(c, value, text, err);
    if (list == NULL)
        return NULL;

    bool is_select = c->input->type == INPUT_MULTISELECT;
    bool is_free = !is_select || c->choices == NULL ||
                   value_get_bool(c->input->doc, "allowCustomValue", false);
    enum input_type item_type = c->input->item_type;
    if (item_type == INPUT_NONE && is_select)
        item_type = INPUT_STRING;
    struct flow_input element = { .id = c->input->id, .type = item_type, .required = true };

    struct value_builder items = value_build(c->arena);
    for (size_t i = 0; i < value_count(list); i++) {
        const struct value *item = value_item(list, i);
        const char *item_text = print_text(c->arena, item);
        if (!is_free && !is_choice(c->arena, c->choices, item_text)) {
            error_set(err, ERR_INVALID, "value `%s` doesn't match the values `%s`",
                      shorten(c->arena, item_text), choices_text(c->arena, c->choices));
            return NULL;
        }
        if (item_type != INPUT_NONE) {
            struct error cause = { 0 };
            item = value_is_null(item)
                       ? NULL
                       : input_convert(&element, NULL, item, c->request, c->arena, NULL, &cause);
            if (item == NULL) {
                error_set(err, ERR_INVALID, "Unable to parse array element as `%s` on `%s`",
                          input_type_name(item_type), shorten(c->arena, item_text));
                return NULL;
            }
        }
        value_add(&items, item);
    }
    return value_build_list(&items);
}

static const struct value *convert_none(struct conversion *c,
                                        const struct value *value,
                                        const char *text,
                                        struct error *err)
{
    (void)c;
    (void)text;
    (void)err;
    return value;
}

/* ---- the table ---- */

static const struct type_row type_rows[] = {
    [INPUT_STRING] = { "STRING", convert_string, .is_item = true, .keeps_empty = true },
    [INPUT_EMAIL] = { "EMAIL", convert_email, .is_item = true, .keeps_empty = true },
    [INPUT_INT] = { "INT", convert_int, .is_item = true },
    [INPUT_FLOAT] = { "FLOAT", convert_float, .is_item = true },
    [INPUT_BOOL] = { "BOOL", convert_bool, .is_item = true },
    [INPUT_BOOLEAN] = { "BOOLEAN", convert_bool, .is_item = true },
    [INPUT_DATETIME] = { "DATETIME", convert_time, .is_item = true },
    [INPUT_DATE] = { "DATE", convert_time, .is_item = true },
    [INPUT_TIME] = { "TIME", convert_time, .is_item = true },
    [INPUT_DURATION] = { "DURATION", convert_duration, .is_item = true },
    [INPUT_FILE] = { "FILE", convert_file, .is_item = true },
    [INPUT_JSON] = { "JSON", convert_json, .is_item = true, .takes_documents = true },
    [INPUT_YAML] = { "YAML", convert_yaml, .is_item = true, .takes_documents = true },
    [INPUT_URI] = { "URI", convert_uri, .is_item = true },
    [INPUT_SECRET] = { "SECRET", convert_secret, .keeps_empty = true },
    [INPUT_ENUM] = { "ENUM", convert_select },
    [INPUT_SELECT] = { "SELECT", convert_select },
    [INPUT_MULTISELECT] = { "MULTISELECT", convert_list },
    [INPUT_ARRAY] = { "ARRAY", convert_list },
    [INPUT_FORM] = { "FORM", convert_none, .takes_documents = true },
    [INPUT_NONE] = { "", convert_none, .keeps_empty = true, .takes_documents = true },
};

static const struct type_row *type_row(enum input_type type)
{
    CHECK((size_t)type < COUNT_OF(type_rows));
    return &type_rows[type];
}

const char *input_type_name(enum input_type type)
{
    return type_row(type)->name;
}

bool input_type_parse(const char *name, enum input_type *out)
{
    for (size_t i = 0; i < COUNT_OF(type_rows); i++) {
        if (i != INPUT_NONE && str_eq(type_rows[i].name, name)) {
            *out = (enum input_type)i;
            return true;
        }
    }
    return false;
}

bool input_type_is_item(enum input_type type)
{
    return type_row(type)->is_item;
}

bool input_type_keeps_empty(enum input_type type)
{
    return type_row(type)->keeps_empty;
}

const struct value *input_convert(const struct flow_input *input,
                                  const struct value *choices,
                                  const struct value *value,
                                  const struct inputs_request *request,
                                  struct arena *arena,
                                  const struct value **shown,
                                  struct error *err)
{
    struct conversion c = {
        .input = input,
        .choices = choices,
        .request = request,
        .arena = arena,
    };
    value = value_force(arena, value);
    const struct type_row *row = type_row(input->type);
    const char *text = value_cstr(value);
    if (text == NULL && !row->takes_documents)
        text = print_text(arena, value);
    const struct value *stored = row->convert(&c, value, text, err);
    if (stored != NULL && shown != NULL)
        *shown = c.shown != NULL ? c.shown : stored;
    return stored;
}
