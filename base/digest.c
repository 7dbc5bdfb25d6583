/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"

#define NONCE_BYTES 12
#define TAG_BYTES   16

/* Lengths beyond this do not fit libcrypto's int; nothing here is near it. */
#define PIECE_BYTES_MAX ((size_t)1 << 30)

struct digest {
    EVP_MD_CTX *context;
};

static const EVP_MD *algorithm_of(const char *name)
{
    static const struct {
        const char *name;
        const EVP_MD *(*get)(void);
    } algorithms[] = {
        { "sha256", EVP_sha256 }, { "sha1", EVP_sha1 },     { "md5", EVP_md5 },
        { "sha512", EVP_sha512 }, { "sha384", EVP_sha384 }, { "sha224", EVP_sha224 },
    };
    for (size_t i = 0; name != NULL && i < COUNT_OF(algorithms); i++) {
        if (strcasecmp(name, algorithms[i].name) == 0)
            return algorithms[i].get();
    }
    return NULL;
}

/* Looked up once: finding it takes longer than the digest of a small text. */
static EVP_MD *sha256_algorithm;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void sha256_find(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    CHECK(sha256_algorithm != NULL);
}

struct sha256 digest_sha256(const void *bytes, size_t length)
{
    struct sha256 digest;
    unsigned used = 0;
    (void)pthread_once(&sha256_once, sha256_find);
    CHECK(EVP_Digest(bytes, length, digest.bytes, &used, sha256_algorithm, NULL) == 1);
    return digest;
}

static void put_hex(char *out, const unsigned char *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15U];
    }
}

char *digest_sha256_hex(struct arena *arena, const void *bytes, size_t length)
{
    struct sha256 digest = digest_sha256(bytes, length);
    char *text = arena_bytes_alloc(arena, DIGEST_SHA256_HEX);
    put_hex(text, digest.bytes, sizeof(digest.bytes));
    text[DIGEST_SHA256_HEX - 1] = '\0';
    return text;
}

size_t digest_hash(const char *name, const void *bytes, size_t length, unsigned char *out)
{
    const EVP_MD *algorithm = algorithm_of(name);
    unsigned used = 0;
    if (algorithm == NULL)
        return 0;
    CHECK(EVP_Digest(bytes, length, out, &used, algorithm, NULL) == 1);
    return used;
}

struct digest *digest_new(const char *name)
{
    const EVP_MD *algorithm = algorithm_of(name);
    if (algorithm == NULL)
        return NULL;
    struct digest *digest = check_malloc(sizeof(*digest));
    digest->context = EVP_MD_CTX_new();
    CHECK(digest->context != NULL);
    CHECK(EVP_DigestInit_ex(digest->context, algorithm, NULL) == 1);
    return digest;
}

void digest_free(struct digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

void digest_freep(struct digest **digest)
{
    digest_free(*digest);
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
    CHECK(EVP_DigestUpdate(digest->context, bytes, length) == 1);
}

size_t digest_end(struct digest *digest, unsigned char *out)
{
    unsigned used = 0;
    CHECK(EVP_DigestFinal_ex(digest->context, out, &used) == 1);
    return used;
}

size_t digest_hmac(const char *name,
                   const void *key,
                   size_t key_length,
                   const void *bytes,
                   size_t length,
                   unsigned char *out)
{
    const EVP_MD *algorithm = algorithm_of(name);
    unsigned used = 0;
    if (algorithm == NULL)
        return 0;
    CHECK(key_length < PIECE_BYTES_MAX);
    // libcrypto takes NULL for "the key of before"; an empty key is a key.
    const void *given = key_length == 0 ? "" : key;
    CHECK(HMAC(algorithm, given, (int)key_length, bytes, length, out, &used) != NULL);
    return used;
}

bool digest_equal(const void *a, const void *b, size_t length)
{
    return CRYPTO_memcmp(a, b, length) == 0;
}

bool digest_equal_text(const char *given, const char *secret)
{
    struct sha256 a = digest_sha256(given, strlen(given));
    struct sha256 b = digest_sha256(secret, strlen(secret));
    return digest_equal(a.bytes, b.bytes, sizeof(a.bytes));
}

void digest_random(void *bytes, size_t length)
{
    unsigned char *at = bytes;
    while (length > 0) {
        size_t piece = length < 256 ? length : 256; // up to 256 bytes are never interrupted
        ssize_t got = getrandom(at, piece, 0);
        CHECK(got > 0);
        at += got;
        length -= (size_t)got;
    }
}

char *digest_random_text(struct arena *arena, size_t length)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char *text = arena_bytes_alloc(arena, length + 1);
    for (size_t i = 0; i < length;) {
        unsigned char bytes[64];
        digest_random(bytes, sizeof(bytes));
        for (size_t k = 0; k < sizeof(bytes) && i < length; k++) {
            unsigned index = bytes[k] & 63U;
            if (index < sizeof(alphabet) - 1) // the two values beyond would make letters unequal
                text[i++] = alphabet[index];
        }
    }
    text[length] = '\0';
    return text;
}

uint32_t digest_crc32(uint32_t crc, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320U & (0U - (crc & 1U)));
    }
    return ~crc;
}

static const EVP_CIPHER *cipher_of(size_t key_length)
{
    switch (key_length) {
    case 16:
        return EVP_aes_128_gcm();
    case 24:
        return EVP_aes_192_gcm();
    case 32:
        return EVP_aes_256_gcm();
    default:
        return NULL;
    }
}

bool digest_encrypt(const void *key,
                    size_t key_length,
                    const void *context,
                    size_t context_length,
                    const void *bytes,
                    size_t length,
                    struct buf *out,
                    struct error *err)
{
    const EVP_CIPHER *cipher = cipher_of(key_length);
    if (cipher == NULL)
        return error_set(err, ERR_INVALID, "the key has %zu bytes, not 16, 24 or 32", key_length);
    CHECK(length < PIECE_BYTES_MAX);
    CHECK(context_length < PIECE_BYTES_MAX);

    unsigned char *place = (unsigned char *)buf_reserve(out, length + DIGEST_ENCRYPT_BYTES);
    digest_random(place, NONCE_BYTES);
    EVP_CIPHER_CTX *state = EVP_CIPHER_CTX_new();
    CHECK(state != NULL);
    int used = 0;
    CHECK(EVP_EncryptInit_ex(state, cipher, NULL, key, place) == 1);
    if (context_length > 0)
        CHECK(EVP_EncryptUpdate(state, NULL, &used, context, (int)context_length) == 1);
    unsigned char *text = place + NONCE_BYTES;
    if (length > 0)
        CHECK(EVP_EncryptUpdate(state, text, &used, bytes, (int)length) == 1);
    CHECK(EVP_EncryptFinal_ex(state, text + length, &used) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, text + length) == 1);
    EVP_CIPHER_CTX_free(state);
    buf_added(out, length + DIGEST_ENCRYPT_BYTES);
    return true;
}

bool digest_decrypt(const void *key,
                    size_t key_length,
                    const void *context,
                    size_t context_length,
                    const void *bytes,
                    size_t length,
                    struct buf *out,
                    struct error *err)
{
    const EVP_CIPHER *cipher = cipher_of(key_length);
    if (cipher == NULL)
        return error_set(err, ERR_INVALID, "the key has %zu bytes, not 16, 24 or 32", key_length);
    if (length < DIGEST_ENCRYPT_BYTES || length >= PIECE_BYTES_MAX)
        return error_set(err, ERR_INVALID, "not an encrypted value: %zu bytes", length);
    CHECK(context_length < PIECE_BYTES_MAX);

    const unsigned char *from = bytes;
    size_t text_length = length - DIGEST_ENCRYPT_BYTES;
    unsigned char tag[TAG_BYTES];
    memcpy(tag, from + length - TAG_BYTES, TAG_BYTES);
    unsigned char *place = (unsigned char *)buf_reserve(out, text_length);
    EVP_CIPHER_CTX *state = EVP_CIPHER_CTX_new();
    CHECK(state != NULL);
    int used = 0;
    CHECK(EVP_DecryptInit_ex(state, cipher, NULL, key, from) == 1);
    if (context_length > 0)
        CHECK(EVP_DecryptUpdate(state, NULL, &used, context, (int)context_length) == 1);
    if (text_length > 0)
        CHECK(EVP_DecryptUpdate(state, place, &used, from + NONCE_BYTES, (int)text_length) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(state, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1);
    bool is_authentic = EVP_DecryptFinal_ex(state, place + text_length, &used) == 1;
    EVP_CIPHER_CTX_free(state);
    if (!is_authentic) {
        OPENSSL_cleanse(place, text_length);
        place[0] = '\0';
        return error_set(err, ERR_INVALID, "cannot decrypt: wrong key, or the value was changed");
    }
    buf_added(out, text_length);
    return true;
}

size_t digest_key_parse(const char *text, unsigned char key[32], struct error *err)
{
    struct buf bytes = { 0 };
    size_t length = strlen(text);
    // 32, 48 or 64 hex digits are also base64 of 24, 36 or 48 bytes: hex wins, it is what was
    // meant.
    bool is_hex =
        (length == 32 || length == 48 || length == 64) && hex_decode(&bytes, text, length);
    bool is_key = is_hex || base64_decode(&bytes, text, length);
    size_t used = 0;
    if (is_key && cipher_of(bytes.length) != NULL) {
        used = bytes.length;
        memcpy(key, bytes.bytes, used);
    } else {
        error_set(err, ERR_INVALID, "not a key: expected 16, 24 or 32 bytes as base64 or hex");
    }
    if (bytes.bytes != NULL)
        OPENSSL_cleanse(bytes.bytes, bytes.length);
    buf_free(&bytes);
    return used;
}

/* Answers passphrase prompts with nothing, instead of asking on the terminal. */
static int no_passphrase(char *text, int size, int is_writing, void *context)
{
    (void)text;
    (void)size;
    (void)is_writing;
    (void)context;
    return 0;
}

bool digest_sign_rs256(
    const char *pem, const void *bytes, size_t length, struct buf *out, struct error *err)
{
    size_t pem_length = strlen(pem);
    CHECK(pem_length < PIECE_BYTES_MAX);
    BIO *source = BIO_new_mem_buf(pem, (int)pem_length);
    CHECK(source != NULL);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(source, NULL, no_passphrase, NULL);
    (void)BIO_free(source);
    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        return error_set(err, ERR_INVALID, "not an unencrypted RSA private key in PEM form");
    }

    EVP_MD_CTX *state = EVP_MD_CTX_new();
    CHECK(state != NULL);
    size_t size = 0;
    bool is_signed = EVP_DigestSignInit(state, NULL, EVP_sha256(), NULL, key) == 1 &&
                     EVP_DigestSign(state, NULL, &size, bytes, length) == 1;
    if (is_signed) {
        unsigned char *place = (unsigned char *)buf_reserve(out, size);
        is_signed = EVP_DigestSign(state, place, &size, bytes, length) == 1;
        if (is_signed)
            buf_added(out, size);
    }
    EVP_MD_CTX_free(state);
    EVP_PKEY_free(key);
    return is_signed || error_set(err, ERR_INVALID, "the RSA key cannot sign");
}

void hex_encode(struct buf *out, const void *bytes, size_t length)
{
    CHECK(length < SIZE_MAX / 8);
    put_hex(buf_reserve(out, 2 * length), bytes, length);
    buf_added(out, 2 * length);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(struct buf *out, const char *text, size_t length)
{
    if (length % 2 != 0)
        return false;
    char *place = buf_reserve(out, length / 2);
    for (size_t i = 0; i < length; i += 2) {
        int high = hex_value(text[i]);
        int low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) {
            buf_added(out, 0); // the NUL was overwritten
            return false;
        }
        place[i / 2] = (char)(high * 16 + low);
    }
    buf_added(out, length / 2);
    return true;
}

void base64_encode(struct buf *out, enum base64_form form, const void *bytes, size_t length)
{
    static const char std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *alphabet = form == BASE64_STD || form == BASE64_STD_BARE ? std : url;
    bool is_padded = form == BASE64_STD || form == BASE64_URL;
    const unsigned char *at = bytes;
    CHECK(length < SIZE_MAX / 8);
    char *place = buf_reserve(out, (length + 2) / 3 * 4);
    size_t used = 0;
    for (; length >= 3; length -= 3, at += 3) {
        place[used++] = alphabet[at[0] >> 2];
        place[used++] = alphabet[(at[0] & 3U) << 4 | at[1] >> 4];
        place[used++] = alphabet[(at[1] & 15U) << 2 | at[2] >> 6];
        place[used++] = alphabet[at[2] & 63U];
    }
    if (length > 0) {
        unsigned second = length == 2 ? at[1] : 0U;
        place[used++] = alphabet[at[0] >> 2];
        place[used++] = alphabet[(at[0] & 3U) << 4 | second >> 4];
        if (length == 2)
            place[used++] = alphabet[(second & 15U) << 2];
        else if (is_padded)
            place[used++] = '=';
        if (is_padded)
            place[used++] = '=';
    }
    buf_added(out, used);
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool base64_decode(struct buf *out, const char *text, size_t length)
{
    char *place = buf_reserve(out, length / 4 * 3 + 3);
    size_t used = 0;
    uint32_t group = 0;
    unsigned characters = 0;
    unsigned padding = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_space(text[i]))
            continue;
        if (text[i] == '=') {
            padding++;
            continue;
        }
        int value = base64_value(text[i]);
        if (value < 0 || padding > 0) {
            buf_added(out, 0); // the NUL was overwritten
            return false;
        }
        group = group << 6 | (uint32_t)value;
        if (++characters % 4 == 0) {
            place[used++] = (char)(group >> 16);
            place[used++] = (char)(group >> 8 & 255U);
            place[used++] = (char)(group & 255U);
            group = 0;
        }
    }
    unsigned left = characters % 4;
    if (left == 1 || padding > 2 || (padding > 0 && (characters + padding) % 4 != 0)) {
        buf_added(out, 0);
        return false;
    }
    if (left == 2)
        place[used++] = (char)(group >> 4);
    if (left == 3) {
        place[used++] = (char)(group >> 10);
        place[used++] = (char)(group >> 2 & 255U);
    }
    buf_added(out, used);
    return true;
}
