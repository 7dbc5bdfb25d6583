/* SPDX-License-Identifier: Apache-2.0 */
/* encrypt() and decrypt(): AES-GCM with a key in base64. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/str.h"
#include "core/expr/eval.h"

/* The key and the text; false with the failure noted. */
static bool arguments(struct call *call, struct buf *key, const struct value **text)
{
    const struct value *encoded = NULL;
    struct name second = call_param(call, 1);
    if (!call_text(call, 0, &encoded) || !call_text(call, 1, text))
        return false;
    if (encoded == NULL) {
        (void)call_fail(call, "argument 'key' is null");
        return false;
    }
    if (call->args[1] == NULL) {
        (void)call_fail(call, "argument '%.*s' is missing", (int)second.length, second.text);
        return false;
    }
    if (base64_decode(key, encoded->string.bytes, encoded->string.length) &&
        (key->length == 16 || key->length == 24 || key->length == 32))
        return true;
    buf_free(key);
    (void)call_fail(call, "the key must be 16, 24 or 32 bytes in base64");
    return false;
}

static const struct value *run_encrypt(struct call *call)
{
    struct buf key = { 0 };
    struct buf sealed = { 0 };
    struct buf encoded = { 0 };
    struct error why = { 0 };
    const struct value *text = NULL;
    if (!arguments(call, &key, &text))
        return NULL;
    if (text == NULL || text->string.length == 0) {
        buf_free(&key);
        return text == NULL ? &value_null : text;
    }
    bool done = digest_encrypt(key.bytes, key.length, NULL, 0, text->string.bytes,
                               text->string.length, &sealed, &why);
    buf_free(&key);
    if (done)
        base64_encode(&encoded, BASE64_STD, sealed.bytes, sealed.length);
    buf_free(&sealed);
    return done ? text_of(call->ev, call->node, &encoded) : call_fail(call, "%s", why.text);
}

static const struct value *run_decrypt(struct call *call)
{
    struct buf key = { 0 };
    struct buf sealed = { 0 };
    struct buf plain = { 0 };
    struct error why = { 0 };
    const struct value *text = NULL;
    if (!arguments(call, &key, &text))
        return NULL;
    if (text == NULL || text->string.length == 0) {
        buf_free(&key);
        return text == NULL ? &value_null : text;
    }
    bool done = base64_decode(&sealed, text->string.bytes, text->string.length);
    if (!done)
        (void)error_set(&why, ERR_INVALID, "the text is not base64");
    done = done && digest_decrypt(key.bytes, key.length, NULL, 0, buf_text(&sealed), sealed.length,
                                  &plain, &why);
    buf_free(&key);
    buf_free(&sealed);
    if (done && plain.length > 0 && !utf8_valid(plain.bytes, plain.length)) {
        (void)error_set(&why, ERR_INVALID, "what was encrypted is not text");
        done = false;
    }
    if (done)
        return text_of(call->ev, call->node, &plain);
    buf_free(&plain);
    return call_fail(call, "%s", why.text);
}

static const struct builtin rows[] = {
    { "decrypt", "key, encrypted", run_decrypt, BUILTIN_NEEDS_FIRST,
      "Undoes encrypt() with the same key." },
    { "encrypt", "key, plaintext", run_encrypt, BUILTIN_NEEDS_FIRST,
      "AES-GCM with a key of 16, 24 or 32 bytes in base64." },
};

const struct builtin_table functions_crypto = { NODE_FUNCTION, rows, COUNT_OF(rows) };
