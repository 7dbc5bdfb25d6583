/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/redact.h"
#include "base/rng.h"
#include "base/str.h"
#include "tests/support/test.h"

static void redact_masks_the_start_of_a_secret_that_was_cut(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        { "", "" },
        { "nothing", "nothing" },
        { "it is hunter2", "it is ******" },
        { "it is hunt", "it is ******" },
        { "it is h", "it is ******" },
        { "hunter2 and hunt", "****** and ******" },
        { "hunthunt", "hunt******" },
        { "abcabc", "******" },       // not "abc" alone
        { "a hellothi", "a ******" }, // begins inside another secret
        { "it is aHVud", "it is ******" },
    };
    static const char *const secrets[] = { "hunter2", "abcabcX", "hello", "lothing" };
    struct arena *arena = arena_new();
    AUTO(redact_freep) struct redact *parent = redact_new(NULL);
    AUTO(redact_freep) struct redact *redact = redact_new(parent);
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        assert_true(redact_add(i == 0 ? parent : redact, secrets[i]));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = { 0 };
        size_t length = strlen(rows[i].text);
        bool is_masked = redact_apply_cut(redact, rows[i].text, length, &out);
        assert_string_equal(is_masked ? buf_text(&out) : rows[i].text, rows[i].expected);
        buf_free(&out);
    }
    // A text that says that it was cut, as errors do.
    assert_string_equal(redact_text(redact, arena, "it is hunt…"), "it is ******…");
    assert_string_equal(redact_text(redact, arena, "it is hunt"), "it is hunt");
    arena_free(arena);
}

static void redact_masks_every_occurrence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        { "", "" },
        { "nothing", "nothing" },
        { "hunter2", "******" },
        { "hunter2hunter2", "******"
                            "******" },
        { "a hunter2 b hunter2", "a ****** b ******" },
        { "hunter", "hunter" },
        { "xhunter2longer", "x******" }, // the longest of those that begin here
        { "overlapping", "over******" },
        { "lappingover", "******"
                         "over" },
        { "abcdefghij", "******" }, // two that overlap are one stretch
        { "x abcdef ghij", "x ****** ghij" },
        { "abc", "abc" },
        { "pin 1234 and 12345", "pin ****** and ******5" },
    };
    static const char *const secrets[] = { "hunter2", "hunter2longer", "lapping", "abcdef",
                                           "efghij",  "1234",          "abc",     "",
                                           NULL };
    struct arena *arena = arena_new();
    AUTO(redact_freep) struct redact *redact = redact_new(NULL);
    assert_true(redact_is_empty(redact));
    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        assert_true(redact_add(redact, secrets[i]));
    assert_false(redact_is_empty(redact));
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(redact_text(redact, arena, rows[i].text), rows[i].expected);
    assert_null(redact_text(redact, arena, NULL));
    assert_string_equal(redact_text(NULL, arena, "hunter2"), "hunter2");
    struct buf out = { 0 };
    assert_false(redact_apply(redact, "nothing", 7, &out));
    assert_int_equal(out.length, 0);
    buf_free(&out);
    arena_free(arena);
}

static void redact_masks_encoded_forms(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    AUTO(redact_freep) struct redact *redact = redact_new(NULL);
    static const char secret[] = "p@ss/w\"ord +1";
    assert_true(redact_add(redact, secret));

    // Base64 of a text that holds the secret, at every alignment and with every neighbour.
    for (int form = BASE64_STD; form <= BASE64_URL_BARE; form++) {
        for (size_t before = 0; before < 7; before++) {
            for (size_t after = 0; after < 4; after++) {
                struct buf plain = { 0 };
                struct buf text = { 0 };
                buf_add(&plain, "user:xx", before);
                buf_puts(&plain, secret);
                buf_add(&plain, ":yz", after);
                base64_encode(&text, (enum base64_form)form, plain.bytes, plain.length);
                const char *masked = redact_text(redact, arena, text.bytes);
                // At most the characters shared with the neighbours are left.
                if (strstr(masked, REDACT_MASK) == NULL || strlen(masked) > 6 + 10 + 8)
                    fail_msg("%s became %s", text.bytes, masked);
                buf_free(&plain);
                buf_free(&text);
            }
        }
    }
    static const char *const forms[] = {
        "p%40ss%2Fw%22ord%20%2B1", "p%40ss%2fw%22ord%20%2b1", "p%40ss%2Fw%22ord+%2B1",
        "p%40ss/w%22ord%20%2B1",   "p@ss/w%22ord%20+1",       "p@ss/w\\\"ord +1",
    };
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        assert_string_equal(redact_text(redact, arena, forms[i]), REDACT_MASK);
    arena_free(arena);
}

static void redact_masks_each_line_of_a_secret(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    AUTO(redact_freep) struct redact *redact = redact_new(NULL);
    assert_true(redact_add(redact, "first line\r\nsecond line\n\nab\n"));
    assert_string_equal(redact_text(redact, arena, "x second line ab"), "x ****** ab");
    assert_string_equal(redact_text(redact, arena, "first line"), "******");
    arena_free(arena);
}

static void redact_masks_what_a_parent_knows(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    AUTO(redact_freep) struct redact *parent = redact_new(NULL);
    AUTO(redact_freep) struct redact *child = redact_new(parent);
    assert_true(redact_add(parent, "of all"));
    assert_true(redact_add(child, "of one"));
    assert_string_equal(redact_text(child, arena, "of all, of one"), "******, ******");
    assert_string_equal(redact_text(parent, arena, "of all, of one"), "******, of one");
    char text[12] = "of one is";
    redact_in_place(child, text, sizeof(text));
    assert_string_equal(text, "****** is");
    char tight[5] = "abcd";
    assert_true(redact_add(child, "abcd"));
    redact_in_place(child, tight, sizeof(tight));
    assert_string_equal(tight, "****");
    arena_free(arena);
}

static void redact_bounds_the_number_of_secrets(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    AUTO(redact_freep) struct redact *redact = redact_new(NULL);
    char secret[32];
    for (int i = 0; i < REDACT_COUNT_MAX; i++) {
        (void)snprintf(secret, sizeof(secret), "secret-%05d", i);
        assert_true(redact_add(redact, secret));
    }
    assert_false(redact_add(redact, "one too many"));
    assert_true(redact_add(redact, secret));
    assert_string_equal(redact_text(redact, arena, "secret-00000 secret-09999 secret-10000"),
                        "****** ****** secret-10000");
    arena_free(arena);
}

/* What redact_apply() must do, found the slow way. */
static void mask_slowly(const char *const *secrets, size_t count, const char *text, struct buf *out)
{
    size_t length = strlen(text);
    char *covered = calloc(1, length + 1);
    for (size_t at = 0; at < length; at++) {
        for (size_t i = 0; i < count; i++) {
            size_t size = strlen(secrets[i]);
            if (strncmp(text + at, secrets[i], size) == 0)
                memset(covered + at, 1, size);
        }
    }
    size_t masked = 0;
    for (size_t at = 0; at < length; at++) {
        if (covered[at])
            masked++;
        else
            buf_putc(out, text[at]);
    }
    buf_printf(out, "|%zu", masked);
    free(covered);
}

static void redact_finds_the_same_as_a_plain_search(void **state)
{
    (void)state;
    uint64_t seed = rng_seed();
    struct rng rng = { seed };
    for (int round = 0; round < 300; round++) {
        struct arena *arena = arena_new();
        AUTO(redact_freep) struct redact *redact = redact_new(NULL);
        const char *secrets[6];
        for (size_t i = 0; i < COUNT_OF(secrets); i++) {
            size_t length = 4 + rng_below(&rng, 8);
            char *secret = arena_alloc(arena, length + 1);
            for (size_t k = 0; k < length; k++)
                secret[k] = (char)('a' + rng_below(&rng, 2));
            secrets[i] = secret;
            assert_true(redact_add(redact, secret));
        }
        char text[200];
        size_t length = rng_below(&rng, sizeof(text));
        for (size_t k = 0; k < length; k++)
            text[k] = (char)('a' + rng_below(&rng, 3));
        text[length] = '\0';

        struct buf expected = { 0 };
        mask_slowly(secrets, COUNT_OF(secrets), text, &expected);
        const char *masked = redact_text(redact, arena, text);
        struct buf actual = { 0 };
        for (const char *at = masked; *at != '\0'; at++) {
            if (*at != '*')
                buf_putc(&actual, *at);
        }
        buf_printf(&actual, "|%zu", length - actual.length);
        if (!str_eq(buf_text(&actual), buf_text(&expected)))
            fail_msg("seed %llu round %d: %s gave %s", (unsigned long long)seed, round, text,
                     masked);
        buf_free(&expected);
        buf_free(&actual);
        arena_free(arena);
    }
}

struct shared {
    struct redact *redact;
    atomic_bool is_over;
};

static void *mask_until_told(void *context)
{
    struct shared *shared = context;
    struct arena *arena = arena_new();
    while (!shared->is_over) {
        (void)redact_text(shared->redact, arena, "some text with secret-00000 in it");
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}

static void redact_takes_secrets_while_others_mask(void **state)
{
    (void)state;
    struct shared shared = { .redact = redact_new(NULL) };
    pthread_t threads[2];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mask_until_told, &shared), 0);
    char secret[32];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(secret, sizeof(secret), "secret-%05d", i);
        assert_true(redact_add(shared.redact, secret));
    }
    shared.is_over = true;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    redact_free(shared.redact);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(redact_masks_every_occurrence),
    cmocka_unit_test(redact_masks_the_start_of_a_secret_that_was_cut),
    cmocka_unit_test(redact_masks_encoded_forms),
    cmocka_unit_test(redact_masks_each_line_of_a_secret),
    cmocka_unit_test(redact_masks_what_a_parent_knows),
    cmocka_unit_test(redact_bounds_the_number_of_secrets),
    cmocka_unit_test(redact_finds_the_same_as_a_plain_search),
    cmocka_unit_test(redact_takes_secrets_while_others_mask),
};
TEST_GROUP(redact, tests)
