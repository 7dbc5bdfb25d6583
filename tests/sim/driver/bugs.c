/* SPDX-License-Identifier: Apache-2.0 */
/* Planted bugs of the driver; see tests/sim/bugs.h. */
#include "tests/sim/bugs.h"

#include "base/buf.h"
#include "runtime/driver/driver_internal.h"

WRAPPED(void, slots_follow, struct driver *driver, struct live *live)
{
    bool frees = live->holds_slot && !live->execution->holds_slot;
    if (bug_active() == BUG_LEAKS_A_SLOT && frees) {
        live->holds_slot = false; // and it stays in use
        return;
    }
    __real_slots_follow(driver, live);
}

WRAPPED(int64_t, slots_used, struct driver *driver, const char *namespace, const char *flow_id)
{
    int64_t used = __real_slots_used(driver, namespace, flow_id);
    return bug_active() == BUG_ADMITS_TOO_MANY && used > 0 ? used - 1 : used;
}
