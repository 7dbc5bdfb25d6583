/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/support/test.h"

#define FOLDERS_MAX 4096

static struct test_group *groups;
static char *folders[FOLDERS_MAX];
static size_t folders_count;

void test_register(struct test_group *group)
{
    struct test_group **at = &groups;
    while (*at != NULL && strcmp((*at)->name, group->name) < 0)
        at = &(*at)->next;
    group->next = *at;
    *at = group;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_folders(void)
{
    for (size_t i = 0; i < folders_count; i++) {
        (void)nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(folders[i]);
    }
}

char *test_folder(void)
{
    const char *base = getenv("TMPDIR");
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/weir-test-XXXXXX", base == NULL ? "/tmp" : base);
    CHECK(mkdtemp(path) != NULL);
    CHECK(folders_count < FOLDERS_MAX);
    if (folders_count == 0)
        (void)atexit(remove_folders);
    folders[folders_count] = check_strdup(path);
    return folders[folders_count++];
}

usec_t test_time(const char *iso)
{
    struct tm fields = { 0 };
    const char *rest = strptime(iso, "%Y-%m-%dT%H:%M:%S", &fields);
    if (rest == NULL)
        fail_msg("not an instant: %s", iso);
    usec_t at = (usec_t)timegm(&fields) * USEC_SEC;
    if (*rest == '.') {
        usec_t unit = USEC_SEC / 10;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            at += (*rest - '0') * unit;
    }
    if (strcmp(rest, "Z") != 0)
        fail_msg("not an instant: %s", iso);
    return at;
}

int main(int argc, char **argv)
{
    // "-expr" leaves out the groups that begin so
    bool leaves_out = argc > 1 && argv[1][0] == '-';
    const char *left_out = leaves_out ? argv[1] + 1 : NULL;
    const char *prefix = argc > 1 && !leaves_out ? argv[1] : "";
    int failed = 0;
    for (const struct test_group *group = groups; group != NULL; group = group->next) {
        if (leaves_out && strncmp(group->name, left_out, strlen(left_out)) == 0)
            continue;
        bool whole = strncmp(group->name, prefix, strlen(prefix)) == 0;
        char filter[256];
        (void)snprintf(filter, sizeof(filter), "%s*", prefix);
        cmocka_set_test_filter(whole ? NULL : filter);
        bool any = whole;
        for (size_t i = 0; i < group->count && !any; i++)
            any = strncmp(group->tests[i].name, prefix, strlen(prefix)) == 0;
        if (any)
            failed += _cmocka_run_group_tests(group->name, group->tests, group->count, NULL, NULL);
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
