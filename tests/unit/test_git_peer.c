/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "base/git.h"
#include "base/git_peer.h"
#include "base/git_pkt.h"
#include "base/str.h"
#include "tests/support/git_repo.h"
#include "tests/support/git_server.h"
#include "tests/support/test.h"

#define MAIN "refs/heads/main"

static const char *const main_only[] = { MAIN, NULL };
static const struct git_call quick = {
    .connect_timeout = 5 * USEC_SEC,
    .idle_timeout = 20 * USEC_SEC,
};

/* A folder with one repository r.git of a few commits. */
struct origin {
    char *root;
    struct fixture_repo *fixture;
    struct oid first;
    struct oid tip;
};

static struct origin origin_new(void)
{
    struct origin origin = { .root = test_folder() };
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/r.git", origin.root);
    origin.fixture = fixture_repo_new(path);
    for (int i = 0; i < 300; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "flows/f%d.yml", i);
        fixture_put(origin.fixture, name, name);
    }
    origin.first = fixture_commit(origin.fixture, "main", "first");
    fixture_put(origin.fixture, "flows/f1.yml", "changed");
    origin.tip = fixture_commit(origin.fixture, "main", "second");
    fixture_branch(origin.fixture, "other", &origin.first);
    return origin;
}

static struct git_peer *peer_new(const char *address, const struct git_access *access)
{
    struct error err = { 0 };
    struct git_peer *peer = git_peer_new(address, access, &err);
    if (peer == NULL)
        fail_msg("%s", err.text);
    return peer;
}

/* Lists, fetches what is listed, commits once more, and fetches that: whatever lies between. */
static void check_fetches(struct origin *origin, struct git_peer *peer)
{
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct git_refs refs;
    if (!git_peer_list(peer, arena, &quick, main_only, &refs, &err))
        fail_msg("%s", err.text);
    assert_int_equal(refs.count, 1);
    assert_string_equal(refs.head, MAIN);
    assert_true(oid_equal(&refs.items[0].id, &origin->tip));
    assert_true(oid_equal(&refs.head_id, &origin->tip));

    struct git_repo *mirror = git_peer_open_mirror(peer, test_folder(), &err);
    if (mirror == NULL)
        fail_msg("%s", err.text);
    struct git_pack_progress done;
    if (!git_peer_fetch(peer, mirror, &quick, &origin->tip, 1, NULL, 0, &done, &err))
        fail_msg("%s", err.text);
    assert_true(git_repo_has(mirror, &origin->first));
    struct git_commit_info info;
    assert_true(git_repo_commit(mirror, arena, &origin->tip, &info, &err));
    assert_true(info.parents == 1);

    fixture_put(origin->fixture, "flows/f2.yml", "changed again");
    origin->tip = fixture_commit(origin->fixture, "main", "third");
    assert_true(git_peer_list(peer, arena, &quick, main_only, &refs, &err));
    assert_true(oid_equal(&refs.items[0].id, &origin->tip));
    struct oid haves[8];
    size_t offered = git_repo_sample(mirror, &info.id, haves, COUNT_OF(haves));
    assert_true(offered >= 2);
    if (!git_peer_fetch(peer, mirror, &quick, &refs.items[0].id, 1, haves, offered, &done, &err))
        fail_msg("%s", err.text);
    assert_true(done.objects <= 4); // commit, two trees, a blob; none for a local repository
    bool is_ancestor = false;
    assert_true(git_repo_is_ancestor(mirror, &info.id, &origin->tip, &is_ancestor, &err));
    assert_true(is_ancestor);
    // what was written can be read by another opening of the copy
    struct git_repo *again = git_repo_open(git_repo_path(mirror), &err);
    assert_true(git_repo_commit(again, arena, &origin->tip, &info, &err));
    assert_string_equal(info.subject, "third");
    git_repo_free(again);
    git_repo_free(mirror);
    arena_free(arena);
}

static void peer_reads_a_repository_on_this_machine_in_place(void **state)
{
    (void)state;
    struct origin origin = origin_new();
    struct git_peer *peer = peer_new(fixture_repo_path(origin.fixture), NULL);
    check_fetches(&origin, peer);
    git_peer_free(peer);
    char url[600];
    (void)snprintf(url, sizeof(url), "file://%s", fixture_repo_path(origin.fixture));
    peer = peer_new(url, NULL);
    check_fetches(&origin, peer);
    git_peer_free(peer);
    fixture_repo_free(origin.fixture);
}

static void check_http(bool is_old)
{
    if (!git_server_is_possible())
        TEST_SKIP("there is no git program with http-backend");
    struct origin origin = origin_new();
    struct git_server_options options = { .root = origin.root, .is_old = is_old };
    struct git_server *server = git_server_start(&options);
    struct git_peer *peer = peer_new(git_server_url(server, "r.git"), NULL);
    check_fetches(&origin, peer);
    git_peer_free(peer);
    git_server_stop(server);
    fixture_repo_free(origin.fixture);
}

static void peer_fetches_over_http(void **state)
{
    (void)state;
    check_http(false);
}

static void peer_fetches_from_old_servers_over_http(void **state)
{
    (void)state;
    check_http(true);
}

static void peer_asks_once_per_poll(void **state)
{
    (void)state;
    if (!git_server_is_possible())
        TEST_SKIP("there is no git program with http-backend");
    struct origin origin = origin_new();
    struct git_server_options options = { .root = origin.root };
    struct git_server *server = git_server_start(&options);
    struct git_peer *peer = peer_new(git_server_url(server, "r.git"), NULL);
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct git_refs refs;
    assert_true(git_peer_list(peer, arena, &quick, main_only, &refs, &err));
    assert_int_equal(git_server_requests(server), 2); // what it can do, then the list
    for (size_t i = 0; i < 3; i++) {
        assert_true(git_peer_list(peer, arena, &quick, main_only, &refs, &err));
        git_peer_close(peer);
        assert_int_equal(git_server_requests(server), 3 + i);
    }
    struct git_repo *mirror = git_peer_open_mirror(peer, test_folder(), &err);
    assert_true(git_peer_fetch(peer, mirror, &quick, &origin.tip, 1, NULL, 0, NULL, &err));
    assert_int_equal(git_server_requests(server), 6);
    git_repo_free(mirror);
    arena_free(arena);
    git_peer_free(peer);
    git_server_stop(server);
    fixture_repo_free(origin.fixture);
}

/* What a list over HTTP says when the server is in some mood. */
static struct error http_error(const struct git_server_options *options,
                               const char *name,
                               const struct git_access *access,
                               const struct git_call *call,
                               usec_t *retry_after)
{
    struct git_server *server = git_server_start(options);
    struct git_peer *peer = peer_new(git_server_url(server, name), access);
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct git_refs refs;
    assert_false(git_peer_list(peer, arena, call, main_only, &refs, &err));
    assert_non_null(strstr(err.text, git_peer_shown(peer)));
    if (retry_after != NULL)
        *retry_after = git_peer_retry_after(peer);
    arena_free(arena);
    git_peer_free(peer);
    git_server_stop(server);
    return err;
}

static void peer_tells_refusals_over_http_apart(void **state)
{
    (void)state;
    if (!git_server_is_possible())
        TEST_SKIP("there is no git program with http-backend");
    struct origin origin = origin_new();
    struct git_server_options locked = { .root = origin.root, .password = "s3cret-word" };
    struct git_access wrong = { .user = "ana", .password = "wr0ng-word" };
    struct git_access right = { .user = "ana", .password = "s3cret-word" };

    struct error err = http_error(&locked, "r.git", NULL, &quick, NULL);
    assert_int_equal(err.code, ERR_DENIED);
    assert_non_null(strstr(err.text, "none are configured: who are you?"));
    err = http_error(&locked, "r.git", &wrong, &quick, NULL);
    assert_int_equal(err.code, ERR_DENIED);
    assert_non_null(strstr(err.text, "refused the credentials"));
    assert_null(strstr(err.text, "wr0ng-word"));

    struct git_server *server = git_server_start(&locked);
    struct git_peer *peer = peer_new(git_server_url(server, "r.git"), &right);
    check_fetches(&origin, peer);
    git_peer_free(peer);
    char url[600];
    (void)snprintf(url, sizeof(url), "http://ana:s3cret-word@%s",
                   git_server_url(server, "r.git") + strlen("http://"));
    peer = peer_new(url, NULL);
    assert_null(strstr(git_peer_shown(peer), "s3cret-word"));
    check_fetches(&origin, peer);
    git_peer_free(peer);
    git_server_stop(server);

    struct git_server_options open = { .root = origin.root };
    err = http_error(&open, "none.git", NULL, &quick, NULL);
    assert_int_equal(err.code, ERR_NOT_FOUND);

    usec_t retry_after = 0;
    struct git_server_options busy = { .root = origin.root, .status = 503 };
    err = http_error(&busy, "r.git", NULL, &quick, &retry_after);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "HTTP 503: come back later"));
    assert_true(retry_after == 120 * USEC_SEC);
    busy.status = 403;
    err = http_error(&busy, "r.git", NULL, &quick, NULL);
    assert_int_equal(err.code, ERR_DENIED);

    struct git_server_options page = { .root = origin.root, .page = "<h1>Welcome</h1>" };
    err = http_error(&page, "r.git", NULL, &quick, NULL);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "is not a Git server: its answer is 'text/html'"));
    fixture_repo_free(origin.fixture);
}

static void peer_does_not_follow_a_remote_to_another_host(void **state)
{
    (void)state;
    if (!git_server_is_possible())
        TEST_SKIP("there is no git program with http-backend");
    struct origin origin = origin_new();
    struct git_server_options options = { .root = origin.root };
    struct git_server *real = git_server_start(&options);
    char elsewhere[128];
    (void)snprintf(elsewhere, sizeof(elsewhere), "%s", git_server_url(real, ""));
    elsewhere[strlen(elsewhere) - 1] = '\0';
    struct git_server_options moved = { .root = origin.root, .moved_to = elsewhere };
    struct error err = http_error(&moved, "r.git", NULL, &quick, NULL);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    if (strstr(err.text, "has moved to") == NULL)
        fail_msg("%s", err.text);
    git_server_stop(real);
    fixture_repo_free(origin.fixture);
}

static void peer_gives_up_on_a_remote_that_says_nothing(void **state)
{
    (void)state;
    struct git_server_options silent = { .root = "/", .is_silent = true };
    struct git_call call = { .connect_timeout = USEC_SEC, .idle_timeout = 200 * USEC_MSEC };
    struct error err = http_error(&silent, "r.git", NULL, &call, NULL);
    assert_int_equal(err.code, ERR_TIMEOUT);
}

static void *cancel_soon(void *context)
{
    atomic_bool *cancel = context;
    atomic_store(cancel, true);
    return NULL;
}

static void peer_can_be_cancelled_while_it_waits(void **state)
{
    (void)state;
    atomic_bool cancel = false;
    struct git_server_options silent = { .root = "/", .is_silent = true };
    struct git_call call = { .idle_timeout = USEC_HOUR, .cancel = &cancel };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
    struct error err = http_error(&silent, "r.git", NULL, &call, NULL);
    assert_int_equal(err.code, ERR_CANCELLED);
    (void)pthread_join(thread, NULL);
}

static void peer_says_that_a_host_is_not_reachable(void **state)
{
    (void)state;
    struct git_peer *peer = peer_new("http://127.0.0.1:1/r.git", NULL);
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct git_refs refs;
    assert_false(git_peer_list(peer, arena, &quick, main_only, &refs, &err));
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "remote 'http://127.0.0.1:1/r.git'"));
    arena_free(arena);
    git_peer_free(peer);
}

/* ---- ssh ---- */

/*
 * A program in place of ssh: checks what it is given, then does what the test says, or runs the
 * command on this machine.
 */
static char *fake_ssh(const char *body)
{
    char *path = check_malloc(600);
    (void)snprintf(path, 600, "%s/ssh", test_folder());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "#!/bin/sh\n"
                  "case \" $* \" in *' StrictHostKeyChecking=yes '*) ;; *) exit 97 ;; esac\n"
                  "for last; do :; done\n%s\n",
                  body);
    (void)fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

static struct error ssh_error(const char *script, const char *address, const struct git_call *call)
{
    char *ssh = fake_ssh(script);
    struct git_access access = { .ssh_command = ssh };
    struct git_peer *peer = peer_new(address, &access);
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct git_refs refs;
    assert_false(git_peer_list(peer, arena, call, main_only, &refs, &err));
    assert_non_null(strstr(err.text, git_peer_shown(peer)));
    arena_free(arena);
    git_peer_free(peer);
    free(ssh);
    return err;
}

static void check_ssh(const char *script)
{
    if (!git_server_is_possible())
        TEST_SKIP("there is no git program");
    struct origin origin = origin_new();
    char *ssh = fake_ssh(script);
    struct git_access access = { .ssh_command = ssh };
    char address[600];
    (void)snprintf(address, sizeof(address), "ssh://git@example.com:22%s",
                   fixture_repo_path(origin.fixture));
    struct git_peer *peer = peer_new(address, &access);
    check_fetches(&origin, peer);
    git_peer_free(peer);
    free(ssh);
    fixture_repo_free(origin.fixture);
}

static void peer_fetches_over_ssh(void **state)
{
    (void)state;
    check_ssh("exec sh -c \"$last\"");
}

static void peer_fetches_from_old_servers_over_ssh(void **state)
{
    (void)state;
    check_ssh("unset GIT_PROTOCOL; exec sh -c \"$last\"");
}

static void peer_tells_refusals_over_ssh_apart(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum error_code code;
        const char *part;
    } rows[] = {
        { "echo 'Host key verification failed.' >&2; exit 255", ERR_DENIED,
          "host key that is not "
          "known" },
        { "echo '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @' >&2\n"
          "echo 'Host key verification failed.' >&2; exit 255",
          ERR_DENIED, "another SSH host key" },
        { "echo 'git@h: Permission denied (publickey).' >&2; exit 255", ERR_DENIED,
          "refused the SSH credentials" },
        { "echo 'ssh: Could not resolve hostname h: Name or service not known' >&2; exit 255",
          ERR_UNAVAILABLE, "is not reachable" },
        { "echo 'ssh: connect to host h port 22: Connection refused' >&2; exit 255",
          ERR_UNAVAILABLE, "is not reachable" },
        { "echo \"fatal: '/r' does not appear to be a git repository\" >&2; exit 128",
          ERR_NOT_FOUND, "has no such repository" },
        { "echo 'Welcome to the machine'; exit 0", ERR_UNAVAILABLE, "not in Git's protocol" },
        { "exit 3", ERR_UNAVAILABLE, "failed" },
        { "printf '0032abc'; exit 0", ERR_UNAVAILABLE, "inside a packet" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct error err = ssh_error(rows[i].script, "git@example.com:r.git", &quick);
        if (err.code != rows[i].code || strstr(err.text, rows[i].part) == NULL)
            fail_msg("row %zu: %s: %s", i, error_code_name(err.code), err.text);
    }
}

static void peer_gives_up_on_an_ssh_that_says_nothing(void **state)
{
    (void)state;
    struct git_call call = { .connect_timeout = USEC_MSEC, .idle_timeout = 200 * USEC_MSEC };
    struct error err = ssh_error("sleep 100", "git@example.com:r.git", &call);
    assert_int_equal(err.code, ERR_TIMEOUT);
    atomic_bool cancel = true;
    struct git_call cancelled = { .cancel = &cancel };
    err = ssh_error("sleep 100", "git@example.com:r.git", &cancelled);
    assert_int_equal(err.code, ERR_CANCELLED);
}

static void peer_names_the_program_that_is_missing(void **state)
{
    (void)state;
    struct git_access access = { .ssh_command = "/nowhere/ssh" };
    struct git_peer *peer = peer_new("git@example.com:r.git", &access);
    struct arena *arena = arena_new();
    struct error err = { 0 };
    struct git_refs refs;
    assert_false(git_peer_list(peer, arena, &quick, main_only, &refs, &err));
    assert_non_null(strstr(err.text, "needs the program '/nowhere/ssh'"));
    arena_free(arena);
    git_peer_free(peer);
}

/* ---- addresses ---- */

static void address_takes_every_usual_form_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum git_scheme scheme;
        const char *shown;
        const char *where; /* url of HTTP, host of ssh, path of local */
    } rows[] = {
        { "https://u:p@git.example.com/a/b.git/", GIT_HTTP, "https://git.example.com/a/b.git/",
          "https://git.example.com/a/b.git" },
        { "http://h:81/x", GIT_HTTP, "http://h:81/x", "http://h:81/x" },
        { "ssh://git@h:2222/a.git", GIT_SSH, "ssh://h:2222/a.git", "h" },
        { "git@h:a/b.git", GIT_SSH, "git@h:a/b.git", "h" },
        { "h:a", GIT_SSH, "h:a", "h" },
        { "file:///srv/a%20b.git", GIT_LOCAL, "file:///srv/a%20b.git", "/srv/a b.git" },
        { "/srv/a.git", GIT_LOCAL, "/srv/a.git", "/srv/a.git" },
        { "./a:b", GIT_LOCAL, "./a:b", "./a:b" },
    };
    struct arena *arena = arena_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct git_address address;
        struct error err = { 0 };
        if (!git_address_parse(arena, rows[i].text, &address, &err))
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_int_equal(address.scheme, rows[i].scheme);
        assert_string_equal(address.shown, rows[i].shown);
        const char *where = address.scheme == GIT_HTTP  ? address.url
                            : address.scheme == GIT_SSH ? address.host
                                                        : address.path;
        assert_string_equal(where, rows[i].where);
    }
    static const char *const bad[] = {
        "",
        "ftp://h/x",
        "ssh://-oProxyCommand=x/y",
        "-oProxyCommand=x:y",
        "h:-x",
        "ssh://h",
        "file://host/x",
        "https://h/x?token=s3cret",
        "a\nb:c",
        "-u@h:x",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct git_address address;
        struct error err = { 0 };
        if (git_address_parse(arena, bad[i], &address, &err))
            fail_msg("%s", bad[i]);
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(strstr(err.text, "s3cret"));
    }
    arena_free(arena);
}

/* ---- packets ---- */

struct bytes_source {
    const char *bytes;
    size_t length;
    size_t step; /* bytes per read */
};

static ptrdiff_t read_bytes(void *context, void *bytes, size_t max, struct error *err)
{
    (void)err;
    struct bytes_source *source = context;
    size_t count = source->step < max ? source->step : max;
    if (count > source->length)
        count = source->length;
    memcpy(bytes, source->bytes, count);
    source->bytes += count;
    source->length -= count;
    return (ptrdiff_t)count;
}

static void pkt_reads_packets_however_they_arrive(void **state)
{
    (void)state;
    static const char text[] = "000ahello\n0009world00000001"
                               "0004"
                               "0006\n\n";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct bytes_source source = { text, sizeof(text) - 1, step };
        struct pkt_reader reader = pkt_reader_new(read_bytes, &source);
        static const struct {
            enum pkt_kind kind;
            const char *text;
        } rows[] = {
            { PKT_DATA, "hello" }, { PKT_DATA, "world" }, { PKT_FLUSH, "" }, { PKT_DELIM, "" },
            { PKT_DATA, "" },      { PKT_DATA, "\n" },    { PKT_EOF, "" },
        };
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            struct pkt pkt;
            struct error err = { 0 };
            if (!pkt_next(&reader, false, &pkt, &err))
                fail_msg("%s", err.text);
            assert_int_equal(pkt.kind, rows[i].kind);
            assert_string_equal(pkt.bytes, rows[i].text);
            assert_int_equal(pkt.length, strlen(rows[i].text));
        }
        pkt_reader_release(&reader);
    }
}

static void pkt_refuses_what_is_no_packet(void **state)
{
    (void)state;
    static const char *const rows[] = { "<htm", "0003", "fff1", "ffff", "0010short", "00", "-001" };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bytes_source source = { rows[i], strlen(rows[i]), 100 };
        struct pkt_reader reader = pkt_reader_new(read_bytes, &source);
        struct pkt pkt;
        struct error err = { 0 };
        if (pkt_next(&reader, false, &pkt, &err))
            fail_msg("%s", rows[i]);
        assert_int_equal(err.code, ERR_UNAVAILABLE);
        pkt_reader_release(&reader);
    }
    struct buf out = { 0 };
    pkt_add(&out, "want %d", 7);
    pkt_add_delim(&out);
    pkt_add_flush(&out);
    assert_string_equal(out.bytes, "000bwant 7\n00010000");
    buf_free(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(peer_reads_a_repository_on_this_machine_in_place),
    cmocka_unit_test(peer_fetches_over_http),
    cmocka_unit_test(peer_fetches_from_old_servers_over_http),
    cmocka_unit_test(peer_asks_once_per_poll),
    cmocka_unit_test(peer_tells_refusals_over_http_apart),
    cmocka_unit_test(peer_does_not_follow_a_remote_to_another_host),
    cmocka_unit_test(peer_gives_up_on_a_remote_that_says_nothing),
    cmocka_unit_test(peer_can_be_cancelled_while_it_waits),
    cmocka_unit_test(peer_says_that_a_host_is_not_reachable),
    cmocka_unit_test(peer_fetches_over_ssh),
    cmocka_unit_test(peer_fetches_from_old_servers_over_ssh),
    cmocka_unit_test(peer_tells_refusals_over_ssh_apart),
    cmocka_unit_test(peer_gives_up_on_an_ssh_that_says_nothing),
    cmocka_unit_test(peer_names_the_program_that_is_missing),
    cmocka_unit_test(address_takes_every_usual_form_apart),
    cmocka_unit_test(pkt_reads_packets_however_they_arrive),
    cmocka_unit_test(pkt_refuses_what_is_no_packet),
};
TEST_GROUP(git_peer, tests)
