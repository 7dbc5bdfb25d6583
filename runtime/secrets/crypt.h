/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption at rest of SECRET inputs and outputs: AES-GCM with a key from the configuration.
 *
 * A stored value is {"type": "io.kestra.datatype:aes_encrypted", "value": base64 of nonce,
 * ciphertext and tag}. Pure apart from the nonce; thread safe. Issue: flow-language.md 1.5.3.
 */
#ifndef RUNTIME_SECRETS_CRYPT_H
#define RUNTIME_SECRETS_CRYPT_H

#include <stdbool.h>

struct arena;
struct crypt;
struct error;
struct value;

#define CRYPT_TYPE "io.kestra.datatype:aes_encrypted"

/*
 * key      base64 or hex of 16, 24 or 32 bytes; NULL or "": no key, then encrypt and decrypt fail
 * Errors   ERR_INVALID  not such a key
 */
struct crypt *crypt_new(const char *key, struct error *err);
void crypt_free(struct crypt *crypt);

bool crypt_has_key(const struct crypt *crypt);

/* Has the value the form of an encrypted one? */
bool crypt_is_encrypted(const struct value *value);

/*
 * Encrypts a text (of other values the print form); null stays null.
 *
 * Errors   ERR_INVALID  no key is configured; the text names the setting
 */
const struct value *crypt_encrypt(const struct crypt *crypt,
                                  struct arena *arena,
                                  const struct value *clear,
                                  struct error *err);

/*
 * Clear text of a stored value; a value that is not encrypted is returned as it is.
 *
 * Errors   ERR_INVALID  no key, another key, or changed bytes
 */
const struct value *crypt_decrypt(const struct crypt *crypt,
                                  struct arena *arena,
                                  const struct value *stored,
                                  struct error *err);

/* For struct engine_world: data is the struct crypt; NULL on failure. */
const struct value *crypt_world_encrypt(void *data, struct arena *arena, const struct value *clear);
const struct value *crypt_world_decrypt(void *data,
                                        struct arena *arena,
                                        const struct value *stored);

#endif
