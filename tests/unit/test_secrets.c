/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "core/value.h"
#include "runtime/secrets/crypt.h"
#include "runtime/secrets/secrets.h"
#include "tests/support/test.h"

static void environment_secrets_are_base64_in_any_layout(void **state)
{
    (void)state;
    static const char *const env[] = {
        "PATH=/bin",      "SECRET_PLAIN=dmFsdWU=", "SECRET_NEW_LINE=cGFzc3dv\ncmR2ZXJ5\n",
        "SECRET_BAD=%%%", "SECRET_EMPTY=",         NULL,
    };
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct secrets *all[] = { secrets_environment_new(env), NULL };
    assert_string_equal(secrets_get(all, arena, "a.b", "PLAIN", &err), "value");
    assert_string_equal(secrets_get(all, arena, "a.b", "plain", &err), "value");
    assert_string_equal(secrets_get(all, arena, "a.b", "NEW_LINE", &err), "passwordvery");
    assert_string_equal(secrets_get(all, arena, "a.b", "EMPTY", &err), "");
    assert_null(secrets_get(all, arena, "a.b", "none", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.text, "Cannot find secret for key 'none'.");
    assert_null(secrets_get(all, arena, "a.b", "BAD", &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(strstr(err.text, "%%%"));
    assert_null(secrets_get(all, arena, "a.b", "PATH", &err));
    const char *const *names = secrets_names(all, arena);
    static const char *const expected[] = { "BAD", "EMPTY", "NEW_LINE", "PLAIN" };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_string_equal(names[i], expected[i]);
    assert_null(names[4]);
    secrets_free(all[0]);
    arena_free(arena);
}

static const char key[] = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="; // 32 bytes

static void encrypted_values_come_back(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct crypt *crypt = crypt_new(key, &err);
    assert_non_null(crypt);
    assert_true(crypt_has_key(crypt));
    const struct value *clear = value_string(arena, "top secret");
    const struct value *stored = crypt_encrypt(crypt, arena, clear, &err);
    assert_true(crypt_is_encrypted(stored));
    assert_string_equal(value_get_text(stored, "type", ""), "io.kestra.datatype:aes_encrypted");
    assert_null(strstr(value_to_json(arena, stored), "top secret"));
    const struct value *again = crypt_encrypt(crypt, arena, clear, &err);
    assert_string_not_equal(value_get_text(stored, "value", ""),
                            value_get_text(again, "value", ""));
    assert_string_equal(value_cstr(crypt_decrypt(crypt, arena, stored, &err)), "top secret");
    assert_ptr_equal(crypt_decrypt(crypt, arena, clear, &err), clear);
    assert_true(value_is_null(crypt_encrypt(crypt, arena, &value_null, &err)));
    assert_string_equal(
        value_cstr(crypt_world_decrypt(crypt, arena, crypt_world_encrypt(crypt, arena, clear))),
        "top secret");
    crypt_free(crypt);
    arena_free(arena);
}

static void another_key_or_changed_bytes_do_not_decrypt(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct crypt *crypt = crypt_new(key, &err);
    struct crypt *other = crypt_new("MTEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", &err);
    struct crypt *none = crypt_new(NULL, &err);
    const struct value *stored = crypt_encrypt(crypt, arena, value_string(arena, "x"), &err);
    assert_null(crypt_decrypt(other, arena, stored, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(crypt_decrypt(none, arena, stored, &err));
    assert_null(crypt_encrypt(none, arena, value_string(arena, "x"), &err));
    assert_non_null(strstr(err.text, "encryption"));
    assert_false(crypt_has_key(none));
    const struct value *damaged = value_with(arena, stored, "value", value_string(arena, "AAAA"));
    assert_null(crypt_decrypt(crypt, arena, damaged, &err));
    assert_null(crypt_new("short", &err));
    assert_null(strstr(err.text, "short"));
    crypt_free(crypt);
    crypt_free(other);
    crypt_free(none);
    arena_free(arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(environment_secrets_are_base64_in_any_layout),
    cmocka_unit_test(encrypted_values_come_back),
    cmocka_unit_test(another_key_or_changed_bytes_do_not_decrypt),
};
TEST_GROUP(secrets, tests)
