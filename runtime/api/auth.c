/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/auth.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/str.h"
#include "core/value.h"

/* Rounds of the password digest: some ten milliseconds once per client, see `known`. */
#define HASH_ROUNDS 30000
#define SALT_LENGTH 22

#define NAME_MAX_LENGTH     256U
#define PASSWORD_MIN_LENGTH 8U

/* Longest header value that is looked at. */
#define CREDENTIAL_MAX 2048U

struct auth {
    const struct api_user *users;
    size_t users_count;
    const char *const *tokens;
    pthread_mutex_t lock; /* the rest */
    char *stored_name;
    char *stored_salt;
    char *stored_hash;
    int64_t stored_rounds;
    struct sha256 known; /* of the last credential that passed the slow check */
    bool has_known;
};

static void iterate(const char *password,
                    const char *salt,
                    int64_t rounds,
                    unsigned char out[DIGEST_SHA256_BYTES])
{
    (void)digest_hmac("sha256", password, strlen(password), salt, strlen(salt), out);
    for (int64_t i = 1; i < rounds; i++) {
        unsigned char next[DIGEST_BYTES_MAX];
        (void)digest_hmac("sha256", password, strlen(password), out, DIGEST_SHA256_BYTES, next);
        memcpy(out, next, DIGEST_SHA256_BYTES);
    }
}

static char *hash_text(struct arena *arena, const char *password, const char *salt, int64_t rounds)
{
    unsigned char bytes[DIGEST_BYTES_MAX];
    iterate(password, salt, rounds, bytes);
    struct buf hex = { 0 };
    hex_encode(&hex, bytes, DIGEST_SHA256_BYTES);
    char *text = buf_dup(&hex, arena);
    buf_free(&hex);
    return text;
}

void auth_set(struct auth *auth, const struct value *stored)
{
    const char *name = value_get_text(stored, "username", NULL);
    const char *salt = value_get_text(stored, "salt", NULL);
    const char *hash = value_get_text(stored, "hash", NULL);
    if (name == NULL || salt == NULL || hash == NULL)
        return;
    (void)pthread_mutex_lock(&auth->lock);
    free(auth->stored_name);
    free(auth->stored_salt);
    free(auth->stored_hash);
    auth->stored_name = check_strdup(name);
    auth->stored_salt = check_strdup(salt);
    auth->stored_hash = check_strdup(hash);
    auth->stored_rounds = value_get_int(stored, "rounds", HASH_ROUNDS);
    auth->has_known = false;
    (void)pthread_mutex_unlock(&auth->lock);
}

struct auth *auth_new(const struct api_user *users,
                      size_t users_count,
                      const char *const *tokens,
                      const struct value *stored)
{
    struct auth *auth = check_calloc(1, sizeof(*auth));
    auth->users = users;
    auth->users_count = users_count;
    auth->tokens = tokens;
    CHECK(pthread_mutex_init(&auth->lock, NULL) == 0);
    if (stored != NULL)
        auth_set(auth, stored);
    return auth;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    free(auth->stored_name);
    free(auth->stored_salt);
    free(auth->stored_hash);
    (void)pthread_mutex_destroy(&auth->lock);
    free(auth);
}

bool auth_has_user(struct auth *auth)
{
    (void)pthread_mutex_lock(&auth->lock);
    bool has = auth->users_count > 0 || auth->stored_name != NULL;
    (void)pthread_mutex_unlock(&auth->lock);
    return has;
}

bool auth_is_open(struct auth *auth)
{
    bool has_tokens = auth->tokens != NULL && auth->tokens[0] != NULL;
    return !has_tokens && !auth_has_user(auth);
}

/* ---- checking ---- */

/* The credentials set through the API; slow once for each value. */
static bool check_stored(struct auth *auth,
                         struct arena *arena,
                         const char *name,
                         const char *password)
{
    struct buf both = { 0 };
    buf_printf(&both, "%s\n%s", name, password);
    struct sha256 fingerprint = digest_sha256(buf_text(&both), both.length);
    buf_free(&both);

    (void)pthread_mutex_lock(&auth->lock);
    bool is_known =
        auth->has_known && digest_equal(auth->known.bytes, fingerprint.bytes, DIGEST_SHA256_BYTES);
    const char *stored_name = arena_strdup(arena, auth->stored_name);
    const char *salt = arena_strdup(arena, auth->stored_salt);
    const char *hash = arena_strdup(arena, auth->stored_hash);
    int64_t rounds = auth->stored_rounds;
    (void)pthread_mutex_unlock(&auth->lock);

    if (is_known)
        return true;
    if (stored_name == NULL || !digest_equal_text(name, stored_name) ||
        !digest_equal_text(hash_text(arena, password, salt, rounds), hash))
        return false;
    (void)pthread_mutex_lock(&auth->lock);
    // credentials may have been set anew meanwhile: then the fingerprint is of the old ones
    if (str_eq(auth->stored_hash, hash)) {
        auth->known = fingerprint;
        auth->has_known = true;
    }
    (void)pthread_mutex_unlock(&auth->lock);
    return true;
}

static bool check_basic(struct auth *auth,
                        struct arena *arena,
                        const char *encoded,
                        const char **user)
{
    struct buf decoded = { 0 };
    const char *text = base64_decode(&decoded, encoded, strlen(encoded)) ? buf_text(&decoded) : "";
    const char *colon = strchr(text, ':');
    const char *name = colon == NULL ? "" : arena_strndup(arena, text, (size_t)(colon - text));
    const char *password = colon == NULL ? "" : arena_strdup(arena, colon + 1);
    buf_free(&decoded);
    if (name[0] == '\0')
        return false;

    bool ok = false;
    for (size_t i = 0; i < auth->users_count; i++) {
        // both are always compared, so that time tells nothing about names
        bool same_name = digest_equal_text(name, auth->users[i].name);
        bool same_password = digest_equal_text(password, auth->users[i].password);
        ok = ok || (same_name && same_password);
    }
    ok = ok || check_stored(auth, arena, name, password);
    if (ok)
        *user = name;
    return ok;
}

static bool check_token(struct auth *auth, const char *token)
{
    bool ok = false;
    for (const char *const *known = auth->tokens; known != NULL && *known != NULL; known++)
        ok = digest_equal_text(token, *known) || ok;
    return ok && token[0] != '\0';
}

/* Value of a cookie, NULL when there is none. */
static const char *find_cookie(struct arena *arena,
                               const struct http_fields *headers,
                               const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < headers->count; i++) {
        if (!str_eq_nocase(headers->items[i].name, "Cookie"))
            continue;
        const char *at = headers->items[i].value;
        while (*at != '\0') {
            at += strspn(at, "; ");
            size_t size = strcspn(at, ";");
            if (size > length && strncmp(at, name, length) == 0 && at[length] == '=') {
                const char *value = at + length + 1;
                size_t value_length = size - length - 1;
                if (value_length >= 2 && value[0] == '"' && value[value_length - 1] == '"') {
                    value++;
                    value_length -= 2;
                }
                return arena_strndup(arena, value, value_length);
            }
            at += size;
        }
    }
    return NULL;
}

bool auth_check(struct auth *auth,
                struct arena *arena,
                const struct http_fields *headers,
                const char **user)
{
    *user = NULL;
    if (auth_is_open(auth))
        return true;

    const char *header = http_header_find(headers, "Authorization");
    if (header != NULL && strlen(header) <= CREDENTIAL_MAX) {
        const char *rest = header + strcspn(header, " ");
        const char *scheme = arena_strndup(arena, header, (size_t)(rest - header));
        const char *value = str_trim(arena, rest);
        if (str_eq_nocase(scheme, "Basic") && check_basic(auth, arena, value, user))
            return true;
        if (str_eq_nocase(scheme, "Bearer") && check_token(auth, value)) {
            *user = "token";
            return true;
        }
    }
    const char *cookie = find_cookie(arena, headers, "BASIC_AUTH");
    if (cookie != NULL && strlen(cookie) <= CREDENTIAL_MAX &&
        check_basic(auth, arena, cookie, user))
        return true;
    cookie = find_cookie(arena, headers, "JWT");
    if (cookie != NULL && strlen(cookie) <= CREDENTIAL_MAX && check_token(auth, cookie)) {
        *user = "token";
        return true;
    }
    return false;
}

/* ---- setting ---- */

static bool has_between(const char *text, char from, char to)
{
    for (; *text != '\0'; text++) {
        if (*text >= from && *text <= to)
            return true;
    }
    return false;
}

const struct value *auth_problems(struct arena *arena, const char *name, const char *password)
{
    struct value_builder list = value_build(arena);
    const char *at = strchr(name, '@');
    if (at == NULL || at == name || strchr(at, '.') == NULL || strchr(name, ' ') != NULL)
        value_add(&list, value_string(arena, "Invalid username. Please provide a valid email."));
    if (strlen(password) < PASSWORD_MIN_LENGTH || !has_between(password, 'A', 'Z') ||
        !has_between(password, 'a', 'z') || !has_between(password, '0', '9'))
        value_add(&list,
                  value_string(arena, "Invalid password. It needs 8 characters, among them an "
                                      "upper-case letter, a lower-case letter and a digit."));
    if (strlen(name) > NAME_MAX_LENGTH || strlen(password) > NAME_MAX_LENGTH)
        value_add(&list,
                  value_string(arena, "Username and password may have at most 256 characters."));
    return value_build_list(&list);
}

const struct value *auth_hash(struct arena *arena, const char *name, const char *password)
{
    const char *salt = digest_random_text(arena, SALT_LENGTH);
    struct value_builder map = value_build(arena);
    value_put_text(&map, "username", name);
    value_put_text(&map, "salt", salt);
    value_put_int(&map, "rounds", HASH_ROUNDS);
    value_put_text(&map, "hash", hash_text(arena, password, salt, HASH_ROUNDS));
    return value_build_map(&map);
}
