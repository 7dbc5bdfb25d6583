/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns in the flavour of Java, rewritten for PCRE2. */
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/regex.h"

struct translation {
    struct buf *out;
    const char *at;
    const char *end;
    bool in_class;
    bool unicode; /* (?U) */
};

/* Names of ASCII classes. */
static const struct {
    const char *java;
    const char *posix;
} classes[] = {
    { "Lower", "lower" }, { "Upper", "upper" }, { "ASCII", "ascii" }, { "Alpha", "alpha" },
    { "Digit", "digit" }, { "Alnum", "alnum" }, { "Punct", "punct" }, { "Graph", "graph" },
    { "Print", "print" }, { "Blank", "blank" }, { "Cntrl", "cntrl" }, { "XDigit", "xdigit" },
    { "Space", "space" },
};

/* Binary properties that PCRE2 knows under another name. */
static const struct {
    const char *java;
    const char *pcre;
} properties[] = {
    { "IsAlphabetic", "L" },     { "IsLetter", "L" },       { "IsLowercase", "Ll" },
    { "IsUppercase", "Lu" },     { "IsPunctuation", "P" },  { "IsDigit", "Nd" },
    { "IsWhite_Space", "Xsp" },  { "javaLowerCase", "Ll" }, { "javaUpperCase", "Lu" },
    { "javaWhitespace", "Xsp" },
};

static bool same(const char *text, const char *bytes, size_t length)
{
    return strlen(text) == length && memcmp(text, bytes, length) == 0;
}

/* \p{Name} or \P{Name}; `at` is behind the brace. */
static bool translate_property(struct translation *t, bool negated)
{
    const char *start = t->at;
    const char *close = memchr(start, '}', (size_t)(t->end - start));
    if (close == NULL)
        return false;
    size_t length = (size_t)(close - start);
    t->at = close + 1;
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        if (same(classes[i].java, start, length)) {
            buf_printf(t->out, "%s[:%s%s:]%s", t->in_class ? "" : "[", negated ? "^" : "",
                       classes[i].posix, t->in_class ? "" : "]");
            return true;
        }
    }
    buf_printf(t->out, "\\%c{", negated ? 'P' : 'p');
    for (size_t i = 0; i < COUNT_OF(properties); i++) {
        if (same(properties[i].java, start, length)) {
            buf_printf(t->out, "%s}", properties[i].pcre);
            return true;
        }
    }
    if (length > 2 && memcmp(start, "Is", 2) == 0) {
        start += 2; // \p{IsLatin}
        length -= 2;
    }
    buf_add(t->out, start, length);
    buf_putc(t->out, '}');
    return true;
}

/* A backslash and what it escapes. */
static bool translate_escape(struct translation *t)
{
    t->at++;
    if (t->at == t->end) {
        buf_putc(t->out, '\\');
        return true; // PCRE2 says what is wrong
    }
    char c = *t->at++;
    if ((c == 'p' || c == 'P') && t->at < t->end && *t->at == '{') {
        t->at++;
        return translate_property(t, c == 'P');
    }
    if (c == 'u' && t->end - t->at >= 4) {
        buf_puts(t->out, "\\x{");
        buf_add(t->out, t->at, 4);
        buf_putc(t->out, '}');
        t->at += 4;
        return true;
    }
    buf_putc(t->out, '\\');
    buf_putc(t->out, c);
    if (c == 'Q') { // literal up to \E
        const char *close = memmem(t->at, (size_t)(t->end - t->at), "\\E", 2);
        const char *behind = close == NULL ? t->end : close + 2;
        buf_add(t->out, t->at, (size_t)(behind - t->at));
        t->at = behind;
    }
    return true;
}

/* `(?flags)` and `(?flags:` without the flags that PCRE2 does not know. */
static void translate_flags(struct translation *t)
{
    const char *at = t->at + 2;
    while (at < t->end && ((*at >= 'a' && *at <= 'z') || *at == 'U' || *at == '-'))
        at++;
    bool is_flags = at > t->at + 2 && at < t->end && (*at == ')' || *at == ':');
    buf_puts(t->out, "(?");
    for (t->at += 2; is_flags && t->at < at; t->at++) {
        if (*t->at == 'U')
            t->unicode = true;
        else if (*t->at != 'u' && *t->at != 'd')
            buf_putc(t->out, *t->at);
    }
}

/* The bracket of a class, with the characters that may follow it unescaped. */
static void translate_class_start(struct translation *t)
{
    t->in_class = true;
    buf_putc(t->out, *t->at++);
    if (t->at < t->end && *t->at == '^')
        buf_putc(t->out, *t->at++);
    if (t->at < t->end && *t->at == ']')
        buf_putc(t->out, *t->at++);
}

bool regex_translate(
    struct buf *out, const char *pattern, size_t length, bool *unicode, struct error *err)
{
    struct translation t = { .out = out, .at = pattern, .end = pattern + length };
    while (t.at < t.end) {
        char c = *t.at;
        if (c == '\\') {
            if (!translate_escape(&t))
                return error_set(err, ERR_INVALID, "'}' is missing");
        } else if (t.in_class && c == '&' && t.end - t.at > 1 && t.at[1] == '&') {
            return error_set_at(err, ERR_INVALID, 1, (uint32_t)(t.at - pattern) + 1,
                                "intersections of character classes are not supported");
        } else if (!t.in_class && c == '[') {
            translate_class_start(&t);
        } else if (!t.in_class && c == '(' && t.end - t.at > 2 && t.at[1] == '?') {
            translate_flags(&t);
        } else {
            if (c == ']')
                t.in_class = false;
            else if (t.in_class && c == '[' && !(t.end - t.at > 1 && t.at[1] == ':'))
                buf_putc(out, '\\');
            buf_putc(out, c);
            t.at++;
        }
    }
    *unicode = t.unicode;
    return true;
}
