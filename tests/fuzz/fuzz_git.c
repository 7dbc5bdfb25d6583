/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from remotes, and what we noted: packets, addresses, refusals, inventory notes; and
 * that a difference of two texts leads from one to the other.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/git_auth.h"
#include "base/git_pkt.h"
#include "base/str.h"
#include "core/snapshot.h"
#include "reconciler/layout.h"
#include "reconciler/text_diff.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct source {
    const char *at;
    size_t left;
};

static ptrdiff_t read_some(void *context, void *bytes, size_t max, struct error *err)
{
    (void)err; // cannot fail
    struct source *source = context;
    size_t count = source->left < max ? source->left : max;
    if (count > 7)
        count = 7; // packets arrive in pieces
    memcpy(bytes, source->at, count);
    source->at += count;
    source->left -= count;
    return (ptrdiff_t)count;
}

static void try_packets(const char *text, size_t length, bool is_bytes)
{
    struct source source = { text, length };
    struct pkt_reader reader = pkt_reader_new(read_some, &source);
    struct pkt pkt = { 0 };
    struct error err = { 0 };
    while (pkt_next(&reader, is_bytes, &pkt, &err) && pkt.kind != PKT_EOF)
        if (pkt.kind == PKT_DATA && !is_bytes)
            CHECK(pkt.bytes[pkt.length] == '\0');
    pkt_reader_release(&reader);
}

static void try_address(struct arena *arena, const char *text)
{
    struct git_address address;
    struct error err = { 0 };
    if (!git_address_parse(arena, text, &address, &err))
        return;
    CHECK(address.shown != NULL);
    CHECK(address.scheme != GIT_SSH || (address.host[0] != '-' && address.path[0] != '-'));
    (void)git_refused_ssh(&address, 255, text, &err);
    (void)git_refused_http(&address, 500, false, text, &err);
    for (const char *at = err.text; *at != '\0'; at++)
        CHECK((unsigned char)*at >= 0x20);
}

static void try_inventory(struct arena *arena, const char *text, size_t length)
{
    struct inventory_entry entry;
    if (!inventory_read(arena, text, length, &entry))
        return;
    struct buf out = { 0 };
    inventory_write(&out, &entry);
    struct inventory_entry again;
    CHECK(inventory_read(arena, out.bytes, out.length, &again));
    CHECK(object_key_equal(&entry.key, &again.key));
    CHECK(entry.refs_count == again.refs_count);
    buf_free(&out);
}

/* The first half as before, the second as after. */
static void try_diff(const char *text, size_t length)
{
    size_t half = length / 2;
    struct text_stat stat = text_diff_stat(text, half, text + half, length - half);
    struct buf out = { 0 };
    text_diff_write(&out, text, half, text + half, length - half, 2);
    CHECK((stat.added + stat.removed == 0) == (out.length == 0));
    buf_free(&out);
    (void)text_is_binary(text, length);
    (void)layout_looks_like_flow(text, length);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct arena *arena = arena_new();
    const char *text = arena_strndup(arena, (const char *)bytes, length);
    char shown[64];
    try_packets(text, length, false);
    try_packets(text, length, true);
    try_address(arena, text);
    try_inventory(arena, text, length);
    try_diff(text, length);
    git_answer_shown(text, length, shown, sizeof(shown));
    CHECK(utf8_valid(shown, strlen(shown)));
    const char *clean = layout_clean(arena, text);
    CHECK(clean == NULL || (clean[0] != '/' && strstr(clean, "/../") == NULL));
    arena_free(arena);
    return 0;
}
