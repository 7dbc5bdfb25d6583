/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of RFC 1321, 2202, 3174, 4231, 4648, FIPS 180-4, and the GCM specification. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"
#include "tests/support/test.h"

static const char *hex(struct arena *arena, const void *bytes, size_t length)
{
    struct buf text = { 0 };
    hex_encode(&text, bytes, length);
    const char *result = buf_dup(&text, arena);
    buf_free(&text);
    return result;
}

static void digest_matches_the_published_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        const char *hex;
    } rows[] = {
        { "md5", "abc", "900150983cd24fb0d6963f7d28e17f72" },
        { "SHA1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
        { "sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "sha256", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "sha512", "abc",
          "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
          "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
    };
    struct arena *arena = arena_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char out[DIGEST_BYTES_MAX];
        size_t length = digest_hash(rows[i].name, rows[i].text, strlen(rows[i].text), out);
        assert_string_equal(hex(arena, out, length), rows[i].hex);
        AUTO(digest_freep) struct digest *digest = digest_new(rows[i].name);
        for (const char *at = rows[i].text; *at != '\0'; at++)
            digest_add(digest, at, 1);
        length = digest_end(digest, out);
        assert_string_equal(hex(arena, out, length), rows[i].hex);
    }
    unsigned char out[DIGEST_BYTES_MAX];
    assert_int_equal(digest_hash("sha3", "x", 1, out), 0);
    assert_null(digest_new("nothing"));
    assert_string_equal(digest_sha256_hex(arena, "abc", 3), rows[2].hex);
    assert_int_equal(digest_crc32(0, "123456789", 9), 0xcbf43926U);
    arena_free(arena);
}

static void hmac_matches_the_published_vectors(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    unsigned char out[DIGEST_BYTES_MAX];
    const char *text = "what do ya want for nothing?";
    size_t length = digest_hmac("sha256", "Jefe", 4, text, strlen(text), out);
    assert_string_equal(hex(arena, out, length),
                        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    length = digest_hmac("sha1", "Jefe", 4, text, strlen(text), out);
    assert_string_equal(hex(arena, out, length), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    length = digest_hmac("sha256", NULL, 0, "", 0, out);
    assert_string_equal(hex(arena, out, length),
                        "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    arena_free(arena);
}

static void base64_goes_both_ways(void **state)
{
    (void)state;
    static const struct {
        const char *plain;
        const char *text;
    } rows[] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "+//+" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int form = BASE64_STD; form <= BASE64_URL_BARE; form++) {
            struct buf text = { 0 };
            struct buf back = { 0 };
            base64_encode(&text, (enum base64_form)form, rows[i].plain, strlen(rows[i].plain));
            if (form == BASE64_STD)
                assert_string_equal(buf_text(&text), rows[i].text);
            if (form == BASE64_URL_BARE)
                assert_null(strpbrk(buf_text(&text), "+/="));
            assert_true(base64_decode(&back, buf_text(&text), text.length));
            assert_string_equal(buf_text(&back), rows[i].plain);
            buf_free(&text);
            buf_free(&back);
        }
    }
    static const char *const wrong[] = { "Z", "Zg=", "Zg===", "Z!==", "=Zg=", "Zm9vY" };
    struct buf out = { 0 };
    buf_puts(&out, "kept");
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        if (base64_decode(&out, wrong[i], strlen(wrong[i])))
            fail_msg("decoded: %s", wrong[i]);
        assert_string_equal(out.bytes, "kept");
    }
    assert_true(base64_decode(&out, " Zm9v\r\nYg", 9));
    assert_string_equal(out.bytes, "keptfoob");
    assert_false(hex_decode(&out, "6g", 2));
    assert_false(hex_decode(&out, "666", 3));
    assert_true(hex_decode(&out, "4F4b", 4));
    assert_string_equal(out.bytes, "keptfoobOK");
    buf_free(&out);
}

static void encryption_opens_what_it_closed_and_nothing_else(void **state)
{
    (void)state;
    static const unsigned char key[32] = "0123456789abcdef0123456789abcde";
    static const size_t lengths[] = { 16, 24, 32 };
    struct error err = { 0 };
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct buf closed = { 0 };
        struct buf open = { 0 };
        assert_true(digest_encrypt(key, lengths[i], "ctx", 3, "text", 4, &closed, &err));
        assert_int_equal(closed.length, 4 + DIGEST_ENCRYPT_BYTES);
        assert_true(
            digest_decrypt(key, lengths[i], "ctx", 3, closed.bytes, closed.length, &open, &err));
        assert_string_equal(open.bytes, "text");
        buf_clear(&open);
        assert_false(
            digest_decrypt(key, lengths[i], "ctX", 3, closed.bytes, closed.length, &open, &err));
        for (size_t at = 0; at < closed.length; at++) {
            closed.bytes[at] ^= 1;
            assert_false(digest_decrypt(key, lengths[i], "ctx", 3, closed.bytes, closed.length,
                                        &open, &err));
            assert_int_equal(err.code, ERR_INVALID);
            assert_int_equal(open.length, 0);
            closed.bytes[at] ^= 1;
        }
        assert_false(digest_decrypt(key, lengths[i], NULL, 0, closed.bytes, 5, &open, &err));
        buf_free(&closed);
        buf_free(&open);
    }
    struct buf out = { 0 };
    assert_false(digest_encrypt(key, 15, NULL, 0, "", 0, &out, &err));
    assert_true(digest_encrypt(key, 32, NULL, 0, "", 0, &out, &err));
    buf_free(&out);
}

static void decryption_matches_a_published_vector(void **state)
{
    (void)state;
    // Test case 4 of the GCM specification, in our order: nonce, ciphertext, tag.
    struct buf key = { 0 };
    struct buf context = { 0 };
    struct buf closed = { 0 };
    struct buf open = { 0 };
    struct error err = { 0 };
    static const char text[] = "cafebabefacedbaddecaf888"
                               "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                               "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
                               "5bc94fbc3221a5db94fae95ae7121a47";
    assert_true(hex_decode(&key, "feffe9928665731c6d6a8f9467308308", 32));
    assert_true(hex_decode(&context, "feedfacedeadbeeffeedfacedeadbeefabaddad2", 40));
    assert_true(hex_decode(&closed, text, strlen(text)));
    if (!digest_decrypt(key.bytes, key.length, context.bytes, context.length, closed.bytes,
                        closed.length, &open, &err))
        fail_msg("%s", err.text);
    struct arena *arena = arena_new();
    assert_string_equal(hex(arena, open.bytes, open.length),
                        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
    arena_free(arena);
    buf_free(&key);
    buf_free(&context);
    buf_free(&closed);
    buf_free(&open);
}

static void keys_come_as_hex_or_base64(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        { "000102030405060708090a0b0c0d0e0f", 16 },
        { "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f", 32 },
        { "AAECAwQFBgcICQoLDA0ODw==", 16 },
        { "AAECAwQFBgcICQoLDA0ODwABAgMEBQYHCAkKCwwNDg8", 32 },
        { "AAECAwQFBgcICQoLDA0ODwABAgMEBQYH", 24 },
        { "short", 0 },
        { "", 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char key[32] = { 0 };
        struct error err = { 0 };
        assert_int_equal(digest_key_parse(rows[i].text, key, &err), rows[i].length);
        if (rows[i].length == 0)
            assert_int_equal(err.code, ERR_INVALID);
        else
            assert_int_equal(key[15], 15);
    }
}

static void rs256_refuses_what_is_no_key(void **state)
{
    (void)state;
    struct error err = { 0 };
    struct buf out = { 0 };
    assert_false(digest_sign_rs256("secret", "x", 1, &out, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_null(strstr(err.text, "secret"));
    buf_free(&out);
}

static void rs256_signs_as_openssl_does(void **state)
{
    (void)state;
    // A key of 1024 bits made for this test; its signature of "text" is deterministic.
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBAOqkhISJzXIt3Dhm\n"
                              "kaoXKLTvK6WKpjN0wnZ22izZkUCVLbmyhETe60pFjhjhnGB1L9RLZl1H3ypKME58\n"
                              "hJ2FKyrLQImpRq2Swm2m8tcW19+CTKxFmAcptbviZf849M+NsdRn5gnOuXLDFtJe\n"
                              "iQzqXO1z/zFiq7WrwWVErnSOmWvhAgMBAAECgYEAjqAJ3PZWZvzxS2ctS5JgL/rh\n"
                              "MPKiK8zhF1kPLQviersy3BlixOorYy38PauFfiw9MnHSewjg4bfOvSZ7BbSYk3Sb\n"
                              "vZ4wNG3YfEMY+pcUS2kMXCxUk1EQo9gOug8km5wy+sFe3ro1Nw2Z8NboIUDjuV7Y\n"
                              "QfftfSo6nT1Vc48vvQECQQD1/AuEsX9q9yPjpM+nzbe+NnfkoQmKk80HJzu5MuVb\n"
                              "fU3V1ZXigCg41OPrufXKuDAG9HDp/PtFJKfMLSoczzCpAkEA9DJA2U4+BzgwNuTb\n"
                              "gLtt7tyrB8m5zNzbV2/mFiSAxercWOKRbPTus8qDoxpn9eRE5w4Wm+cEEwUOVxiw\n"
                              "l/eMeQJAOeZDx84H0eOuPO0UO8k+ULV9bwFAv6+eeOqRMjx6pBhQc968Uv4beZUS\n"
                              "uO+inT7RfzGWSl1Tv6irHnIbEYDrUQJBAMSRy1fhvtaq6UzW7sbymWzE3zwWq2T4\n"
                              "h+wbnFhIrAwloZg/UZcmlxvNMifSMstiJADme1amIMZ6tG9x5X1+/OkCQQCD8hRw\n"
                              "0lJry4BBsIjHBp1gaIX+0P8P5syKi6WEN7ew/UJts/n0WjSYBoXZU5WyA90FZK0/\n"
                              "QeFfQHTakGWKXpJb\n"
                              "-----END PRIVATE KEY-----\n";
    struct error err = { 0 };
    struct buf out = { 0 };
    if (!digest_sign_rs256(pem, "text", 4, &out, &err))
        fail_msg("%s", err.text);
    struct arena *arena = arena_new();
    assert_string_equal(hex(arena, out.bytes, out.length),
                        "d3e6deb4774d172f0deee4a90d523850445c8c9c55e10e1c1fe371a0157c8678"
                        "1a36de94f3ea25a4f707342a31986276b0e45b4a8ea3a7eba158cb931a460824"
                        "52db57787059e97bd73b9a833692e8cdf6f1efdd750ffbbc2138276c03b89507"
                        "ff7facd5a05051fc973b8ada06c66bab485e497e1c06973363f82bd92a2d3cab");
    arena_free(arena);
    buf_free(&out);
}

static void random_texts_differ(void **state)
{
    (void)state;
    struct arena *arena = arena_new();
    const char *first = digest_random_text(arena, 40);
    assert_int_equal(strlen(first), 40);
    assert_string_not_equal(first, digest_random_text(arena, 40));
    assert_true(digest_equal_text("same", "same"));
    assert_false(digest_equal_text("same", "sama"));
    assert_false(digest_equal_text("same", "samex"));
    arena_free(arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(digest_matches_the_published_vectors),
    cmocka_unit_test(hmac_matches_the_published_vectors),
    cmocka_unit_test(base64_goes_both_ways),
    cmocka_unit_test(encryption_opens_what_it_closed_and_nothing_else),
    cmocka_unit_test(decryption_matches_a_published_vector),
    cmocka_unit_test(keys_come_as_hex_or_base64),
    cmocka_unit_test(rs256_refuses_what_is_no_key),
    cmocka_unit_test(rs256_signs_as_openssl_does),
    cmocka_unit_test(random_texts_differ),
};
TEST_GROUP(digest, tests)
