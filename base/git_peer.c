/* SPDX-License-Identifier: Apache-2.0 */
#include "base/git_peer.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/git_link.h"
#include "base/git_pkt.h"
#include "base/str.h"
#include "base/vec.h"

#define AGENT "agent=git/2.0-weir"

/* Capability lines of one advertisement. */
#define CAPABILITIES_MAX 256U

/* A pack's progress is told after so many bytes. */
#define PROGRESS_BYTES ((size_t)256 * 1024)

enum state {
    STATE_UNKNOWN, /* nothing is known about the remote */
    STATE_CLOSED,  /* version and capabilities are known, no connection is open */
    STATE_OPEN,    /* the other side waits for a request */
};

struct git_peer {
    struct arena *arena; /* address and access */
    struct git_address address;
    struct git_access access;
    struct git_link *link; /* NULL for GIT_LOCAL */
    struct git_repo *local;
    struct pkt_reader reader;

    enum state state;
    int version; /* 0 or 2 */
    bool has_object_format;
    bool has_unborn; /* 2: ls-refs can tell HEAD of an empty repository */
    bool has_band;   /* 0: side-band-64k */
    bool has_thin;   /* 0 */
    bool has_offset; /* 0: ofs-delta */
    bool has_multi;  /* 0: multi_ack_detailed */
};

/* ---- making ---- */

static ptrdiff_t read_link(void *context, void *bytes, size_t max, struct error *err)
{
    struct git_peer *peer = context;
    return peer->link->ops->read(peer->link, bytes, max, err);
}

struct git_peer *git_peer_new(const char *address,
                              const struct git_access *access,
                              struct error *err)
{
    struct arena *arena = arena_new();
    struct git_address parsed;
    if (!git_address_parse(arena, address, &parsed, err)) {
        arena_free(arena);
        return NULL;
    }
    struct git_peer *peer = check_calloc(1, sizeof(*peer));
    peer->arena = arena;
    peer->address = parsed;
    peer->access = git_access_copy(arena, access);
    switch (parsed.scheme) {
    case GIT_LOCAL:
        break;
    case GIT_HTTP:
        peer->link = git_link_http(&peer->address, &peer->access);
        break;
    case GIT_SSH:
        peer->link = git_link_ssh(&peer->address, &peer->access);
        break;
    }
    if (peer->link != NULL)
        peer->reader = pkt_reader_new(read_link, peer);
    return peer;
}

void git_peer_free(struct git_peer *peer)
{
    if (peer == NULL)
        return;
    if (peer->link != NULL)
        peer->link->ops->free(peer->link);
    git_repo_free(peer->local);
    pkt_reader_release(&peer->reader);
    arena_free(peer->arena);
    free(peer);
}

void git_peer_freep(struct git_peer **peer)
{
    git_peer_free(*peer);
}

const char *git_peer_shown(const struct git_peer *peer)
{
    return peer->address.shown;
}

usec_t git_peer_retry_after(const struct git_peer *peer)
{
    return peer->link == NULL ? 0 : peer->link->retry_after;
}

void git_peer_close(struct git_peer *peer)
{
    if (peer->link == NULL)
        return;
    peer->link->ops->close(peer->link);
    pkt_reader_clear(&peer->reader);
    if (peer->state == STATE_OPEN)
        peer->state = STATE_CLOSED;
}

/* After a failure nothing is believed any more: the next call starts from the beginning. */
static bool failed(struct git_peer *peer)
{
    git_peer_close(peer);
    peer->state = STATE_UNKNOWN;
    return false;
}

static struct git_waits waits_of(const struct git_call *call)
{
    return (struct git_waits){
        .connect = call->connect_timeout != 0 ? call->connect_timeout : GIT_CONNECT_TIMEOUT,
        .idle = call->idle_timeout != 0 ? call->idle_timeout : GIT_IDLE_TIMEOUT,
        .cancel = call->cancel,
    };
}

/* ---- reading answers ---- */

static bool wrong(struct git_peer *peer, const char *what, struct error *err)
{
    return error_set(err, ERR_UNAVAILABLE, "remote '%s' %s", peer->address.shown, what);
}

/* A failure to read a packet, named after the remote unless the link has done so. */
static bool unreadable(struct git_peer *peer, const struct error *inner, struct error *err)
{
    *err = *inner;
    if (strstr(err->text, "remote '") == NULL)
        (void)error_wrap(err, "remote '%s'", peer->address.shown);
    return false;
}

/* One packet of text; an end and the remote's own error are failures. */
static bool next(struct git_peer *peer, struct pkt *out, struct error *err)
{
    struct error inner = { 0 };
    if (!pkt_next(&peer->reader, false, out, &inner))
        return unreadable(peer, &inner, err);
    if (out->kind == PKT_EOF)
        return peer->link->ops->ended(peer->link, err);
    if (out->kind == PKT_DATA && str_starts(out->bytes, "ERR "))
        return git_refused_remote(&peer->address, out->bytes + 4, err);
    return true;
}

/* A space-separated list holds a word, or word=value; *value (may be NULL) points after '='. */
static bool has_word(const char *list, const char *word, const char **value)
{
    size_t length = strlen(word);
    for (const char *at = list; *at != '\0';) {
        size_t span = strcspn(at, " ");
        if (span >= length && memcmp(at, word, length) == 0 &&
            (span == length || at[length] == '=')) {
            if (value != NULL)
                *value = span == length ? "" : at + length + 1;
            return true;
        }
        at += span + strspn(at + span, " ");
    }
    return false;
}

static bool check_format(struct git_peer *peer, const char *format, struct error *err)
{
    if (strncmp(format, "sha1", 4) == 0)
        return true;
    return wrong(peer, "uses SHA-256 object names, which are not supported", err);
}

/* Lines of a version 2 advertisement, up to its end. */
static bool read_capabilities(struct git_peer *peer, struct error *err)
{
    bool has_list = false;
    bool has_fetch = false;
    peer->has_object_format = false;
    peer->has_unborn = false;
    for (size_t i = 0;; i++) {
        struct pkt pkt;
        if (!next(peer, &pkt, err))
            return false;
        if (pkt.kind == PKT_FLUSH)
            break;
        if (pkt.kind != PKT_DATA || i > CAPABILITIES_MAX)
            return wrong(peer, "advertises something that is not Git's", err);
        if (str_starts(pkt.bytes, "object-format=")) {
            peer->has_object_format = true;
            if (!check_format(peer, pkt.bytes + strlen("object-format="), err))
                return false;
        }
        if (str_eq(pkt.bytes, "ls-refs") || str_starts(pkt.bytes, "ls-refs=")) {
            has_list = true;
            peer->has_unborn = strstr(pkt.bytes, "unborn") != NULL;
        }
        has_fetch = has_fetch || str_eq(pkt.bytes, "fetch") || str_starts(pkt.bytes, "fetch=");
    }
    return (has_list && has_fetch) || wrong(peer, "offers no fetch", err);
}

/* What a list of references fills. */
struct listing {
    struct arena *arena;
    VEC(struct git_ref) refs;
    const char *head;
    struct oid head_id;
    size_t bytes;
};

static bool listing_count(struct git_peer *peer,
                          struct listing *list,
                          size_t bytes,
                          struct error *err)
{
    list->bytes += bytes;
    if (list->refs.count < GIT_REFS_MAX && list->bytes <= GIT_REFS_BYTES_MAX)
        return true;
    return error_set(err, ERR_LIMIT, "remote '%s' lists more than %u references",
                     peer->address.shown, GIT_REFS_MAX);
}

static bool is_wanted(const char *const *prefixes, const char *name)
{
    if (prefixes == NULL)
        return str_starts(name, "refs/");
    for (; *prefixes != NULL; prefixes++)
        if (str_starts(name, *prefixes))
            return true;
    return false;
}

/* One line of an older advertisement: id, space, name. */
static bool take_old_ref(struct git_peer *peer,
                         struct listing *list,
                         const char *const *prefixes,
                         const struct pkt *pkt,
                         struct error *err)
{
    struct oid id;
    if (pkt->length < 42 || pkt->bytes[40] != ' ' || !oid_parse(pkt->bytes, 40, &id))
        return wrong(peer, "lists something that is no reference", err);
    const char *name = pkt->bytes + 41;
    if (!listing_count(peer, list, pkt->length, err))
        return false;
    if (str_eq(name, "HEAD")) {
        list->head_id = id;
        return true;
    }
    if (str_ends(name, "^{}")) { // of the line before
        struct git_ref *last =
            list->refs.count == 0 ? NULL : &list->refs.items[list->refs.count - 1];
        if (last != NULL && strlen(last->name) + 3 == strlen(name) && str_starts(name, last->name))
            last->peeled = id;
        return true;
    }
    if (is_wanted(prefixes, name)) {
        struct git_ref *ref = VEC_PUSH_ARENA(list->arena, &list->refs);
        *ref = (struct git_ref){ .name = arena_strdup(list->arena, name), .id = id };
    }
    return true;
}

/* Capabilities behind the NUL of the first line of an older advertisement. */
static bool take_old_capabilities(struct git_peer *peer,
                                  struct listing *list,
                                  const char *text,
                                  struct error *err)
{
    const char *value = NULL;
    peer->has_band = has_word(text, "side-band-64k", NULL);
    peer->has_thin = has_word(text, "thin-pack", NULL);
    peer->has_offset = has_word(text, "ofs-delta", NULL);
    peer->has_multi = has_word(text, "multi_ack_detailed", NULL);
    if (has_word(text, "object-format", &value) && !check_format(peer, value, err))
        return false;
    if (has_word(text, "symref", &value) && str_starts(value, "HEAD:"))
        list->head = arena_strndup(list->arena, value + 5, strcspn(value + 5, " "));
    return true;
}

/* An older advertisement, whose first packet is `first`. */
static bool read_old(struct git_peer *peer,
                     struct listing *list,
                     const char *const *prefixes,
                     struct pkt first,
                     struct error *err)
{
    struct pkt pkt = first;
    if (str_starts(pkt.bytes, "version 1") && !next(peer, &pkt, err))
        return false;
    for (bool is_first = true; pkt.kind != PKT_FLUSH; is_first = false) {
        if (pkt.kind != PKT_DATA)
            return wrong(peer, "advertises something that is not Git's", err);
        if (is_first) {
            size_t length = strlen(pkt.bytes);
            if (length < pkt.length &&
                !take_old_capabilities(peer, list, pkt.bytes + length + 1, err))
                return false;
            pkt.length = length;
        }
        bool is_shallow = str_starts(pkt.bytes, "shallow ");
        bool is_empty = str_ends(pkt.bytes, " capabilities^{}");
        if (!is_shallow && !is_empty && !take_old_ref(peer, list, prefixes, &pkt, err))
            return false;
        if (!next(peer, &pkt, err))
            return false;
    }
    return true;
}

/* Connects and reads the advertisement; an older one holds the references. */
static bool connect_peer(struct git_peer *peer,
                         const struct git_waits *waits,
                         struct listing *list,
                         const char *const *prefixes,
                         struct error *err)
{
    pkt_reader_clear(&peer->reader);
    struct pkt pkt;
    if (!peer->link->ops->advertise(peer->link, waits, err) || !next(peer, &pkt, err))
        return false;
    if (pkt.kind == PKT_DATA && str_starts(pkt.bytes, "# service=")) {
        if (!next(peer, &pkt, err))
            return false;
        if (pkt.kind == PKT_FLUSH && !next(peer, &pkt, err))
            return false;
    }
    if (pkt.kind == PKT_DATA && str_eq(pkt.bytes, "version 2")) {
        peer->version = 2;
        if (!read_capabilities(peer, err))
            return false;
    } else if (pkt.kind == PKT_DATA || pkt.kind == PKT_FLUSH) {
        peer->version = 0;
        if (!read_old(peer, list, prefixes, pkt, err))
            return false;
    } else {
        return wrong(peer, "advertises something that is not Git's", err);
    }
    if (peer->link->ops->is_stateless) {
        // the end of the answer, so that the connection serves the next request
        char rest[16];
        if (peer->link->ops->read(peer->link, rest, sizeof(rest), err) != 0)
            return wrong(peer, "sends more than an advertisement", err);
    }
    peer->state = STATE_OPEN;
    return true;
}

/* ---- listing ---- */

static bool send_list(struct git_peer *peer,
                      const struct git_waits *waits,
                      const char *const *prefixes,
                      struct error *err)
{
    struct buf body = { 0 };
    pkt_add(&body, "command=ls-refs");
    pkt_add(&body, AGENT);
    if (peer->has_object_format)
        pkt_add(&body, "object-format=sha1");
    pkt_add_delim(&body);
    pkt_add(&body, "peel");
    pkt_add(&body, "symrefs");
    if (peer->has_unborn)
        pkt_add(&body, "unborn");
    pkt_add(&body, "ref-prefix HEAD");
    if (prefixes == NULL)
        pkt_add(&body, "ref-prefix refs/");
    for (; prefixes != NULL && *prefixes != NULL; prefixes++)
        pkt_add(&body, "ref-prefix %s", *prefixes);
    pkt_add_flush(&body);
    pkt_reader_clear(&peer->reader);
    bool ok = peer->link->ops->request(peer->link, waits, body.bytes, body.length, err);
    buf_free(&body);
    return ok;
}

/* A line of ls-refs: id or "unborn", name, then attributes. */
static bool take_ref(struct git_peer *peer,
                     struct listing *list,
                     const char *const *prefixes,
                     const struct pkt *pkt,
                     struct error *err)
{
    struct oid id = oid_none;
    const char *name = pkt->bytes + 41;
    if (str_starts(pkt->bytes, "unborn "))
        name = pkt->bytes + 7;
    else if (pkt->length < 42 || pkt->bytes[40] != ' ' || !oid_parse(pkt->bytes, 40, &id))
        return wrong(peer, "lists something that is no reference", err);
    size_t length = strcspn(name, " ");
    const char *attributes = name + length;
    const char *value = NULL;
    if (!listing_count(peer, list, pkt->length, err))
        return false;
    if (length == 4 && memcmp(name, "HEAD", 4) == 0) {
        const char *target = strstr(attributes, " symref-target:");
        list->head_id = id;
        if (target != NULL) {
            target += strlen(" symref-target:");
            list->head = arena_strndup(list->arena, target, strcspn(target, " "));
        }
        return true;
    }
    char *copy = arena_strndup(list->arena, name, length);
    if (!is_wanted(prefixes, copy))
        return true; // a server may answer more than was asked
    struct git_ref *ref = VEC_PUSH_ARENA(list->arena, &list->refs);
    *ref = (struct git_ref){ .name = copy, .id = id };
    value = strstr(attributes, " peeled:");
    if (value != NULL && strlen(value) >= 48)
        (void)oid_parse(value + 8, 40, &ref->peeled); // without it the tag's own id is used
    return true;
}

static bool read_list(struct git_peer *peer,
                      struct listing *list,
                      const char *const *prefixes,
                      struct error *err)
{
    for (;;) {
        struct pkt pkt;
        if (!next(peer, &pkt, err))
            return false;
        if (pkt.kind == PKT_FLUSH)
            break;
        if (pkt.kind != PKT_DATA)
            return wrong(peer, "lists something that is no reference", err);
        if (!take_ref(peer, list, prefixes, &pkt, err))
            return false;
    }
    char rest[16];
    if (peer->link->ops->is_stateless)
        (void)peer->link->ops->read(peer->link, rest, sizeof(rest), NULL); // lets it be reused
    return true;
}

static void take_local_ref(void *context, const char *name, const struct oid *id)
{
    struct listing *list = context;
    struct git_ref *ref = VEC_PUSH_ARENA(list->arena, &list->refs);
    *ref = (struct git_ref){ .name = arena_strdup(list->arena, name), .id = *id };
}

static bool open_local(struct git_peer *peer, struct error *err)
{
    if (peer->local != NULL && git_repo_is_empty(peer->local)) {
        // perhaps it was replaced by another one
        git_repo_free(peer->local);
        peer->local = NULL;
    }
    if (peer->local == NULL)
        peer->local = git_repo_open(peer->address.path, err);
    return peer->local != NULL || error_wrap(err, "remote '%s'", peer->address.shown);
}

static bool list_local(struct git_peer *peer,
                       struct listing *list,
                       const char *const *prefixes,
                       struct error *err)
{
    static const char *const everything[] = { "refs/", NULL };
    git_repo_free(peer->local); // it may have been moved, removed or replaced since
    peer->local = NULL;
    if (!open_local(peer, err))
        return false;
    for (const char *const *at = prefixes != NULL ? prefixes : everything; *at != NULL; at++) {
        struct oid id;
        // a full name is looked up; reading all references would cost more
        if (git_repo_ref(peer->local, *at, &id))
            take_local_ref(list, *at, &id);
        else if (!git_repo_refs(peer->local, *at, take_local_ref, list, err))
            return error_wrap(err, "remote '%s'", peer->address.shown);
    }
    list->head = git_repo_head(peer->local, list->arena);
    if (list->head != NULL && !git_repo_ref(peer->local, list->head, &list->head_id))
        list->head_id = oid_none;
    return true;
}

bool git_peer_list(struct git_peer *peer,
                   struct arena *arena,
                   const struct git_call *call,
                   const char *const *prefixes,
                   struct git_refs *out,
                   struct error *err)
{
    struct listing list = { .arena = arena };
    struct git_waits waits = waits_of(call);
    if (peer->address.scheme == GIT_LOCAL) {
        if (!list_local(peer, &list, prefixes, err))
            return false;
    } else {
        bool is_known =
            peer->state != STATE_UNKNOWN && peer->link->ops->is_stateless && peer->version == 2;
        if (!is_known) {
            git_peer_close(peer);
            if (!connect_peer(peer, &waits, &list, prefixes, err))
                return failed(peer);
        }
        if (peer->version == 2 &&
            (!send_list(peer, &waits, prefixes, err) || !read_list(peer, &list, prefixes, err)))
            return failed(peer);
    }
    *out = (struct git_refs){
        .items = list.refs.items,
        .count = list.refs.count,
        .head = list.head,
        .head_id = list.head_id,
    };
    return true;
}

const struct git_ref *git_refs_find(const struct git_refs *refs, const char *name)
{
    for (size_t i = 0; i < refs->count; i++)
        if (str_eq(refs->items[i].name, name))
            return &refs->items[i];
    return NULL;
}

/* ---- fetching ---- */

struct git_repo *git_peer_open_mirror(struct git_peer *peer, const char *path, struct error *err)
{
    if (peer->address.scheme == GIT_LOCAL && !open_local(peer, err))
        return NULL;
    return git_repo_open_mirror(path, peer->local, err);
}

static void fetch_body(const struct git_peer *peer,
                       struct buf *body,
                       const struct oid *wants,
                       size_t wants_count,
                       const struct oid *haves,
                       size_t haves_count)
{
    char hex[OID_TEXT];
    if (peer->version == 2) {
        pkt_add(body, "command=fetch");
        pkt_add(body, AGENT);
        if (peer->has_object_format)
            pkt_add(body, "object-format=sha1");
        pkt_add_delim(body);
        pkt_add(body, "thin-pack");
        pkt_add(body, "ofs-delta");
        pkt_add(body, "no-progress");
        for (size_t i = 0; i < wants_count; i++)
            pkt_add(body, "want %s", oid_format(&wants[i], hex));
        for (size_t i = 0; i < haves_count; i++)
            pkt_add(body, "have %s", oid_format(&haves[i], hex));
        pkt_add(body, "done");
        pkt_add_flush(body);
        return;
    }
    for (size_t i = 0; i < wants_count; i++) {
        if (i == 0)
            pkt_add(body, "want %s%s%s%s%s no-progress " AGENT, oid_format(&wants[i], hex),
                    peer->has_multi ? " multi_ack_detailed" : "",
                    peer->has_band ? " side-band-64k" : "", peer->has_thin ? " thin-pack" : "",
                    peer->has_offset ? " ofs-delta" : "");
        else
            pkt_add(body, "want %s", oid_format(&wants[i], hex));
    }
    pkt_add_flush(body);
    // without detailed acknowledgements their number is known only when one commit is offered
    for (size_t i = 0; i < haves_count && (i == 0 || peer->has_multi); i++)
        pkt_add(body, "have %s", oid_format(&haves[i], hex));
    pkt_add(body, "done");
}

struct intake {
    struct git_pack *pack;
    const struct git_call *call;
    uint64_t told;
};

static bool take_bytes(struct intake *intake, const char *bytes, size_t length, struct error *err)
{
    if (!git_pack_add(intake->pack, bytes, length, err))
        return false;
    struct git_pack_progress progress = git_pack_progress(intake->pack);
    if (intake->call->progress != NULL && progress.bytes - intake->told >= PROGRESS_BYTES) {
        intake->told = progress.bytes;
        intake->call->progress(intake->call->context, &progress);
    }
    return true;
}

/* Packets whose first byte names their channel: 1 pack, 2 talk, 3 a fatal error. */
static bool read_bands(struct git_peer *peer, struct intake *intake, struct error *err)
{
    for (;;) {
        struct pkt pkt;
        struct error inner = { 0 };
        if (!pkt_next(&peer->reader, true, &pkt, &inner))
            return unreadable(peer, &inner, err);
        if (pkt.kind == PKT_FLUSH)
            return true;
        if (pkt.kind == PKT_EOF)
            return peer->link->ops->ended(peer->link, err);
        if (pkt.kind != PKT_DATA || pkt.length == 0)
            return wrong(peer, "sends something that is no pack", err);
        if (pkt.bytes[0] == 1) {
            if (!take_bytes(intake, pkt.bytes + 1, pkt.length - 1, err))
                return error_wrap(err, "remote '%s'", peer->address.shown);
        } else if (pkt.bytes[0] == 3) {
            char text[256];
            git_answer_shown(pkt.bytes + 1, pkt.length - 1, text, sizeof(text));
            return git_refused_remote(&peer->address, text, err);
        } else if (pkt.bytes[0] != 2) {
            return wrong(peer, "sends something that is no pack", err);
        }
    }
}

static bool read_raw(struct git_peer *peer, struct intake *intake, struct error *err)
{
    for (;;) {
        const char *bytes = NULL;
        ptrdiff_t got = pkt_raw(&peer->reader, &bytes, err);
        if (got <= 0)
            return got == 0;
        if (!take_bytes(intake, bytes, (size_t)got, err))
            return error_wrap(err, "remote '%s'", peer->address.shown);
    }
}

/* Everything before the pack: sections of version 2, acknowledgements of the older one. */
static bool read_until_pack(struct git_peer *peer, struct error *err)
{
    for (;;) {
        struct pkt pkt;
        if (peer->version == 2) {
            if (!next(peer, &pkt, err))
                return false;
            if (pkt.kind == PKT_DATA && str_eq(pkt.bytes, "packfile"))
                return true;
            if (pkt.kind == PKT_FLUSH)
                return wrong(peer, "sends no pack", err);
            continue;
        }
        if (!next(peer, &pkt, err))
            return false;
        if (pkt.kind != PKT_DATA)
            return wrong(peer, "sends something that is no pack", err);
        // one per common commit, with a word behind the id; the answer to "done" has none
        bool is_common = str_starts(pkt.bytes, "ACK ") && pkt.length > 44;
        if (!is_common && !str_starts(pkt.bytes, "ACK ") && !str_starts(pkt.bytes, "NAK"))
            return wrong(peer, "sends something that is no pack", err);
        if (!is_common)
            return true;
    }
}

static bool fetch_once(struct git_peer *peer,
                       struct git_repo *mirror,
                       const struct git_call *call,
                       const struct buf *body,
                       struct git_pack_progress *done,
                       struct error *err)
{
    struct git_waits waits = waits_of(call);
    pkt_reader_clear(&peer->reader);
    if (!peer->link->ops->request(peer->link, &waits, body->bytes, body->length, err) ||
        !read_until_pack(peer, err))
        return false;
    uint64_t bytes_max = call->bytes_max != 0 ? call->bytes_max : GIT_FETCH_BYTES_MAX;
    AUTO(git_pack_freep) struct git_pack *pack = git_pack_begin(mirror, bytes_max, err);
    if (pack == NULL)
        return false;
    struct intake intake = { .pack = pack, .call = call };
    bool has_band = peer->version == 2 || peer->has_band;
    if (!(has_band ? read_bands(peer, &intake, err) : read_raw(peer, &intake, err)))
        return false;
    char rest[16];
    if (peer->link->ops->is_stateless)
        (void)peer->link->ops->read(peer->link, rest, sizeof(rest), NULL); // lets it be reused
    if (!git_pack_end(pack, err))
        return error_wrap(err, "remote '%s'", peer->address.shown);
    struct git_pack_progress progress = git_pack_progress(pack);
    if (call->progress != NULL)
        call->progress(call->context, &progress);
    if (done != NULL)
        *done = progress;
    return true;
}

static bool has_all(struct git_peer *peer,
                    struct git_repo *mirror,
                    const struct oid *wants,
                    size_t count,
                    struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        char hex[OID_TEXT];
        if (!git_repo_has(mirror, &wants[i]))
            return error_set(err, ERR_CONFLICT, "remote '%s' no longer has object %s",
                             peer->address.shown, oid_format(&wants[i], hex));
    }
    return true;
}

bool git_peer_fetch(struct git_peer *peer,
                    struct git_repo *mirror,
                    const struct git_call *call,
                    const struct oid *wants,
                    size_t wants_count,
                    const struct oid *haves,
                    size_t haves_count,
                    struct git_pack_progress *done,
                    struct error *err)
{
    CHECK(wants_count <= GIT_WANTS_MAX);
    CHECK(haves_count <= GIT_HAVES_MAX);
    if (done != NULL)
        *done = (struct git_pack_progress){ 0 };
    if (peer->address.scheme != GIT_LOCAL && wants_count > 0) {
        struct arena *scratch = arena_new();
        struct listing list = { .arena = scratch };
        struct git_waits waits = waits_of(call);
        bool needs_connection = peer->link->ops->is_stateless ? peer->state == STATE_UNKNOWN
                                                              : peer->state != STATE_OPEN;
        static const char *const nothing[] = { NULL };
        struct buf body = { 0 };
        bool ok = !needs_connection || connect_peer(peer, &waits, &list, nothing, err);
        if (ok) {
            fetch_body(peer, &body, wants, wants_count, haves, haves_count);
            ok = fetch_once(peer, mirror, call, &body, done, err);
        }
        buf_free(&body);
        arena_free(scratch);
        if (!ok)
            return failed(peer);
        if (!peer->link->ops->is_stateless)
            git_peer_close(peer); // the other side has ended
    }
    return has_all(peer, mirror, wants, wants_count, err);
}
