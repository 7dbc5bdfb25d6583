/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/secrets/crypt.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/redact.h"
#include "base/str.h"
#include "core/value.h"

struct crypt {
    unsigned char key[32];
    size_t key_length; /* 0: none */
};

struct crypt *crypt_new(const char *key, struct error *err)
{
    struct crypt *crypt = check_calloc(1, sizeof(*crypt));
    if (str_empty(key))
        return crypt;
    crypt->key_length = digest_key_parse(key, crypt->key, err);
    if (crypt->key_length == 0) {
        free(crypt);
        return NULL;
    }
    (void)redact_add(redact_process(), key); // a full set masks what it can
    return crypt;
}

void crypt_free(struct crypt *crypt)
{
    if (crypt == NULL)
        return;
    explicit_bzero(crypt->key, sizeof(crypt->key));
    free(crypt);
}

bool crypt_has_key(const struct crypt *crypt)
{
    return crypt->key_length > 0;
}

bool crypt_is_encrypted(const struct value *value)
{
    return value_is_map(value) && str_eq(value_get_text(value, "type", NULL), CRYPT_TYPE) &&
           value_is_string(value_get(value, "value"));
}

static bool need_key(const struct crypt *crypt, struct error *err)
{
    return crypt->key_length > 0 ||
           error_set(err, ERR_INVALID, "no encryption key: set 'encryption.key'");
}

const struct value *crypt_encrypt(const struct crypt *crypt,
                                  struct arena *arena,
                                  const struct value *clear,
                                  struct error *err)
{
    if (value_is_null(clear))
        return &value_null;
    if (!need_key(crypt, err))
        return NULL;

    struct buf text = { 0 };
    struct buf sealed = { 0 };
    struct buf encoded = { 0 };
    const struct value *stored = NULL;
    value_write_print(&text, clear);
    if (digest_encrypt(crypt->key, crypt->key_length, NULL, 0, buf_text(&text), text.length,
                       &sealed, err)) {
        base64_encode(&encoded, BASE64_STD, sealed.bytes, sealed.length);
        struct value_builder map = value_build(arena);
        value_put_text(&map, "type", CRYPT_TYPE);
        value_put_text(&map, "value", buf_text(&encoded));
        stored = value_build_map(&map);
    }
    if (text.bytes != NULL)
        explicit_bzero(text.bytes, text.length);
    buf_free(&text);
    buf_free(&sealed);
    buf_free(&encoded);
    return stored;
}

const struct value *crypt_decrypt(const struct crypt *crypt,
                                  struct arena *arena,
                                  const struct value *stored,
                                  struct error *err)
{
    if (!crypt_is_encrypted(stored))
        return stored;
    if (!need_key(crypt, err))
        return NULL;

    const struct value *encoded = value_get(stored, "value");
    struct buf sealed = { 0 };
    struct buf text = { 0 };
    const struct value *clear = NULL;
    if (!base64_decode(&sealed, encoded->string.bytes, encoded->string.length))
        error_set(err, ERR_INVALID, "an encrypted value is not base64");
    else if (digest_decrypt(crypt->key, crypt->key_length, NULL, 0, sealed.bytes, sealed.length,
                            &text, err))
        clear = value_string_n(arena, buf_text(&text), text.length);
    if (text.bytes != NULL)
        explicit_bzero(text.bytes, text.length);
    buf_free(&sealed);
    buf_free(&text);
    return clear;
}

const struct value *crypt_world_encrypt(void *data, struct arena *arena, const struct value *clear)
{
    return crypt_encrypt(data, arena, clear, NULL);
}

const struct value *crypt_world_decrypt(void *data, struct arena *arena, const struct value *stored)
{
    return crypt_decrypt(data, arena, stored, NULL);
}
