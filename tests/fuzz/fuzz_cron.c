/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever parses has a next and a previous date on the right side that lead to one another. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "core/cron.h"
#include "core/tz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char *const zones[] = { "UTC", "Europe/Paris", "America/St_Johns",
                                         "Australia/Lord_Howe" };
    if (length < 9)
        return 0;
    uint64_t seed;
    memcpy(&seed, bytes + 1, sizeof(seed));
    const struct tz *zone = tz_get(zones[bytes[0] / 2 % 4], NULL);
    if (zone == NULL)
        return 0;
    // years 1970 to 2099
    usec_t from = (usec_t)(seed % (130ULL * 365 * 86400)) * USEC_SEC;
    struct arena *arena = arena_new();
    struct cron cron;
    struct error err = { 0 };
    const char *text = arena_strndup(arena, (const char *)bytes + 9, length - 9);
    if (cron_parse(&cron, text, bytes[0] % 2 == 1, &err)) {
        usec_t next = cron_next(&cron, zone, from);
        CHECK(next > from);
        if (next != USEC_NEVER) {
            CHECK(cron_next(&cron, zone, next - 1) == next);
            usec_t previous = cron_previous(&cron, zone, next);
            CHECK(previous < next);
            CHECK(previous == -USEC_NEVER || previous <= from);
            CHECK(cron_previous(&cron, zone, next + 1) == next);
        }
    }
    arena_free(arena);
    return 0;
}
