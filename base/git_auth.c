/* SPDX-License-Identifier: Apache-2.0 */
#include "base/git_auth.h"

#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "base/url.h"

/* Characters of the remote's answer that an error repeats. */
#define ANSWER_BYTES 300

static bool is_word(const char *text, const char *more)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool is_plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                        (*at >= 'A' && *at <= 'Z') || strchr(more, *at) != NULL;
        if (!is_plain)
            return false;
    }
    return *text != '\0' && *text != '-';
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool check_ssh(const struct git_address *address, struct error *err)
{
    if (!is_word(address->host, "._:-"))
        return error_set(err, ERR_INVALID, "'%s' is not a host name", address->host);
    if (address->user != NULL && !is_word(address->user, "._+@-"))
        return error_set(err, ERR_INVALID, "'%s' is not a user name", address->user);
    if (str_empty(address->path) || address->path[0] == '-')
        return error_set(err, ERR_INVALID, "'%s' does not name a repository", address->shown);
    return true;
}

static bool parse_url(struct arena *arena,
                      const char *text,
                      struct git_address *out,
                      struct error *err)
{
    struct url url;
    if (!url_parse(arena, text, &url))
        return error_set(err, ERR_INVALID, "'%s' is not an address", url_shown(arena, text));
    out->shown = url_shown(arena, text);
    out->user = url.user;
    out->password = url.password;
    if (str_eq(url.scheme, "http") || str_eq(url.scheme, "https")) {
        out->scheme = GIT_HTTP;
        size_t length = strlen(url.path);
        while (length > 0 && url.path[length - 1] == '/')
            length--;
        if (url.query != NULL)
            return error_set(err, ERR_INVALID, "'%s' has a query", out->shown);
        out->url = arena_printf(arena, "%s%.*s", url_origin(arena, text), (int)length, url.path);
        return true;
    }
    if (str_eq(url.scheme, "ssh") || str_eq(url.scheme, "git+ssh")) {
        out->scheme = GIT_SSH;
        out->host = url.host;
        out->port = url.port;
        out->path = url_decode(arena, url.path, strlen(url.path), false, NULL);
        if (str_starts(out->path, "/~"))
            out->path++; // ssh://host/~user/repo: relative to a home folder
        return check_ssh(out, err);
    }
    if (str_eq(url.scheme, "file")) {
        if (url.host[0] != '\0' && !str_eq(url.host, "localhost"))
            return error_set(err, ERR_INVALID, "'%s' names another host", out->shown);
        out->scheme = GIT_LOCAL;
        out->path = url_decode(arena, url.path, strlen(url.path), false, NULL);
        return out->path[0] == '/' || error_set(err, ERR_INVALID, "'%s' has no path", out->shown);
    }
    return error_set(err, ERR_INVALID,
                     "'%s': '%s' is not supported; use https, http, ssh, file or a path",
                     out->shown, url.scheme);
}

bool git_address_parse(struct arena *arena,
                       const char *text,
                       struct git_address *out,
                       struct error *err)
{
    struct git_address address = { 0 };
    if (str_empty(text) || has_control(text))
        return error_set(err, ERR_INVALID, "an address is empty or holds control characters");
    const char *colon = strchr(text, ':');
    const char *slash = strchr(text, '/');
    if (colon != NULL && strncmp(colon, "://", 3) == 0) {
        if (!parse_url(arena, text, &address, err))
            return false;
    } else if (colon != NULL && colon != text && (slash == NULL || colon < slash)) {
        const char *at = memchr(text, '@', (size_t)(colon - text));
        const char *host = at == NULL ? text : at + 1;
        address.scheme = GIT_SSH;
        address.shown = arena_strdup(arena, text);
        address.user = at == NULL ? NULL : arena_strndup(arena, text, (size_t)(at - text));
        address.host = arena_strndup(arena, host, (size_t)(colon - host));
        address.path = arena_strdup(arena, colon + 1);
        if (!check_ssh(&address, err))
            return false;
    } else {
        address.scheme = GIT_LOCAL;
        address.shown = arena_strdup(arena, text);
        address.path = address.shown;
    }
    *out = address;
    return true;
}

struct git_access git_access_copy(struct arena *arena, const struct git_access *access)
{
    if (access == NULL)
        return (struct git_access){ 0 };
    return (struct git_access){
        .user = arena_strdup(arena, access->user),
        .password = arena_strdup(arena, access->password),
        .bearer = access->bearer,
        .ca_pem = arena_strdup(arena, access->ca_pem),
        .insecure = access->insecure,
        .ssh_key = arena_strdup(arena, access->ssh_key),
        .ssh_hosts = arena_strdup(arena, access->ssh_hosts),
        .ssh_command = arena_strdup(arena, access->ssh_command),
    };
}

bool git_access_equal(const struct git_access *a, const struct git_access *b)
{
    return str_eq(a->user, b->user) && str_eq(a->password, b->password) && a->bearer == b->bearer &&
           str_eq(a->ca_pem, b->ca_pem) && a->insecure == b->insecure &&
           str_eq(a->ssh_key, b->ssh_key) && str_eq(a->ssh_hosts, b->ssh_hosts) &&
           str_eq(a->ssh_command, b->ssh_command);
}

void git_answer_shown(const char *text, size_t length, char *out, size_t out_bytes)
{
    size_t used = 0;
    bool in_space = true;
    const char *end = text + length;
    for (const char *at = text; at < end && *at != '\0';) {
        const char *from = at;
        uint32_t c = utf8_next(&at, end);
        if (c <= 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffd) {
            if (!in_space && used + 1 < out_bytes)
                out[used++] = ' ';
            in_space = true;
            continue;
        }
        size_t bytes = (size_t)(at - from);
        if (used + bytes >= out_bytes)
            break;
        memcpy(out + used, from, bytes);
        used += bytes;
        in_space = false;
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
}

bool git_refused_http(const struct git_address *address,
                      int status,
                      bool had_credentials,
                      const char *answer,
                      struct error *err)
{
    char text[ANSWER_BYTES];
    git_answer_shown(answer, strlen(answer), text, sizeof(text));
    const char *colon = text[0] == '\0' ? "" : ": ";
    const char *name = address->shown;
    if (status == 401 && had_credentials)
        return error_set(err, ERR_DENIED, "remote '%s' refused the credentials (HTTP 401)%s%s",
                         name, colon, text);
    if (status == 401)
        return error_set(err, ERR_DENIED,
                         "remote '%s' asks for credentials (HTTP 401), none are configured%s%s",
                         name, colon, text);
    if (status == 403)
        return error_set(err, ERR_DENIED, "remote '%s' forbids access (HTTP 403)%s%s", name, colon,
                         text);
    if (status == 404 || status == 410)
        return error_set(err, ERR_NOT_FOUND,
                         "remote '%s' has no such repository (HTTP %d)%s; a private one may hide "
                         "like this from those without access",
                         name, status, had_credentials ? "" : ", asked without credentials");
    return error_set(err, ERR_UNAVAILABLE, "remote '%s' answered HTTP %d%s%s", name, status, colon,
                     text);
}

struct refusal {
    const char *part; /* of what was printed */
    enum error_code code;
    const char *meaning;
};

static bool refused(const struct git_address *address,
                    const struct refusal *rows,
                    size_t count,
                    const char *printed,
                    struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasestr(printed, rows[i].part) == NULL)
            continue;
        char text[ANSWER_BYTES];
        const char *line = strcasestr(printed, rows[i].part);
        while (line > printed && line[-1] != '\n')
            line--;
        git_answer_shown(line, strcspn(line, "\r\n"), text, sizeof(text));
        return error_set(err, rows[i].code, "remote '%s' %s: %s", address->shown, rows[i].meaning,
                         text);
    }
    char text[ANSWER_BYTES];
    git_answer_shown(printed, strlen(printed), text, sizeof(text));
    return error_set(err, ERR_UNAVAILABLE, "remote '%s' failed%s%s", address->shown,
                     text[0] == '\0' ? "" : ": ", text);
}

/* What a Git server says, in a packet or on its error output. */
static const struct refusal remote_refusals[] = {
    { "does not appear to be a git repository", ERR_NOT_FOUND, "has no such repository" },
    { "repository not found", ERR_NOT_FOUND, "has no such repository" },
    { "could not be found", ERR_NOT_FOUND, "has no such repository" },
    { "no such file or directory", ERR_NOT_FOUND, "has no such repository" },
    { "not exported", ERR_NOT_FOUND, "has no such repository" },
    { "access denied", ERR_DENIED, "refused access" },
    { "permission denied", ERR_DENIED, "refused access" },
    { "not our ref", ERR_CONFLICT, "changed while it was read" },
    { "dubious ownership", ERR_DENIED, "does not trust its own repository" },
    { "command not found", ERR_UNAVAILABLE, "has no Git" },
};

/* What ssh says; the texts are those of OpenSSH, in the C locale. */
static const struct refusal ssh_refusals[] = {
    { "remote host identification has changed", ERR_DENIED,
      "shows another SSH host key than the known one; if the host was really changed, replace its "
      "line in known_hosts" },
    { "host key verification failed", ERR_DENIED,
      "has an SSH host key that is not known; check it and add it to known_hosts (ssh-keyscan)" },
    { "no matching host key type", ERR_DENIED, "offers no acceptable SSH host key" },
    { "permission denied", ERR_DENIED, "refused the SSH credentials" },
    { "too many authentication failures", ERR_DENIED, "refused the SSH credentials" },
    { "unprotected private key file", ERR_DENIED, "was not asked, the key file is open to others" },
    { "load key", ERR_DENIED, "was not asked, the private key cannot be read" },
    { "could not resolve hostname", ERR_UNAVAILABLE, "is not reachable" },
    { "connection refused", ERR_UNAVAILABLE, "is not reachable" },
    { "no route to host", ERR_UNAVAILABLE, "is not reachable" },
    { "network is unreachable", ERR_UNAVAILABLE, "is not reachable" },
    { "timed out", ERR_TIMEOUT, "does not answer" },
};

bool git_refused_ssh(const struct git_address *address,
                     int status,
                     const char *printed,
                     struct error *err)
{
    return status == 255
               ? refused(address, ssh_refusals, COUNT_OF(ssh_refusals), printed, err)
               : refused(address, remote_refusals, COUNT_OF(remote_refusals), printed, err);
}

bool git_refused_remote(const struct git_address *address, const char *text, struct error *err)
{
    return refused(address, remote_refusals, COUNT_OF(remote_refusals), text, err);
}
