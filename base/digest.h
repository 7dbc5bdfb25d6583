/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests, authentication codes, encryption at rest, random bytes, base64 and hex; the only user of
 * libcrypto.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct error;

#define DIGEST_SHA256_BYTES 32
#define DIGEST_SHA1_BYTES   20
#define DIGEST_BYTES_MAX    64

/* Length of a digest in hex with its NUL. */
#define DIGEST_SHA256_HEX (2 * DIGEST_SHA256_BYTES + 1)

struct sha256 {
    unsigned char bytes[DIGEST_SHA256_BYTES];
};

struct sha256 digest_sha256(const void *bytes, size_t length);

/* Lower-case hex of a SHA-256, owned by the arena. */
char *digest_sha256_hex(struct arena *arena, const void *bytes, size_t length);

/*
 * Digest by name: "md5", "sha1", "sha224", "sha256", "sha384", "sha512", any case.
 *
 * out      receives at most DIGEST_BYTES_MAX bytes
 * Returns  bytes written; 0 when there is no such digest
 */
size_t digest_hash(const char *name, const void *bytes, size_t length, unsigned char *out);

/* Streaming digest with the names of digest_hash(). NULL when there is no such digest. */
struct digest;
struct digest *digest_new(const char *name);
void digest_free(struct digest *digest);
void digest_freep(struct digest **digest);
void digest_add(struct digest *digest, const void *bytes, size_t length);
/* Ends the digest (only digest_free() may follow); returns its length. */
size_t digest_end(struct digest *digest, unsigned char *out);

/* Keyed digest; names and results as digest_hash(). */
size_t digest_hmac(const char *name,
                   const void *key,
                   size_t key_length,
                   const void *bytes,
                   size_t length,
                   unsigned char *out);

/* Whether two byte strings are equal, in a time that depends on their length alone. */
bool digest_equal(const void *a, const void *b, size_t length);

/* As digest_equal() for texts; also hides the length of `secret`. */
bool digest_equal_text(const char *given, const char *secret);

/* Unpredictable bytes from the operating system. */
void digest_random(void *bytes, size_t length);

/* Random text of `length` characters [0-9A-Za-z], for tokens. */
char *digest_random_text(struct arena *arena, size_t length);

/* CRC-32 (IEEE 802.3) of bytes; start with crc 0. */
uint32_t digest_crc32(uint32_t crc, const void *bytes, size_t length);

/*
 * Encryption at rest: AES-GCM with a random 12-byte nonce.
 *
 * key_length  16, 24 or 32
 * context     bytes that are authenticated but not stored (may be NULL, 0)
 * out         receives nonce ‖ ciphertext ‖ 16-byte tag
 * Errors      ERR_INVALID   length of the key; of decrypt: too short, wrong key, changed bytes
 */
bool digest_encrypt(const void *key,
                    size_t key_length,
                    const void *context,
                    size_t context_length,
                    const void *bytes,
                    size_t length,
                    struct buf *out,
                    struct error *err);
bool digest_decrypt(const void *key,
                    size_t key_length,
                    const void *context,
                    size_t context_length,
                    const void *bytes,
                    size_t length,
                    struct buf *out,
                    struct error *err);

/* Bytes digest_encrypt() adds. */
#define DIGEST_ENCRYPT_BYTES (12 + 16)

/*
 * Key of 16, 24 or 32 bytes from its text: hex or base64 (either alphabet, padding optional).
 *
 * Returns  its length, 0 on failure: ERR_INVALID, the text does not repeat the key
 */
size_t digest_key_parse(const char *text, unsigned char key[32], struct error *err);

/*
 * RSASSA-PKCS1-v1_5 with SHA-256 (RS256 of JWT), for GitHub apps and service accounts.
 *
 * pem      private key, PKCS#1 or PKCS#8, unencrypted
 * Errors   ERR_INVALID  not such a key
 */
bool digest_sign_rs256(
    const char *pem, const void *bytes, size_t length, struct buf *out, struct error *err);

/* Appends lower-case hex. */
void hex_encode(struct buf *out, const void *bytes, size_t length);

/* Appends bytes; false and nothing appended when `text` is not hex of whole bytes. */
bool hex_decode(struct buf *out, const char *text, size_t length);

enum base64_form {
    BASE64_STD,      /* + / with padding */
    BASE64_STD_BARE, /* + / without padding */
    BASE64_URL,      /* - _ with padding */
    BASE64_URL_BARE, /* - _ without padding */
};

void base64_encode(struct buf *out, enum base64_form form, const void *bytes, size_t length);

/*
 * Appends bytes. Takes either alphabet, padding or none, ASCII whitespace between characters; false
 * and nothing appended when anything else is in the text. Bits left over are dropped, as Java does.
 */
bool base64_decode(struct buf *out, const char *text, size_t length);

#endif
