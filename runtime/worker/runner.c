/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/runner.h"

#include "base/str.h"

const char *const runner_process_aliases[] = {
    "io.kestra.core.models.tasks.runners.types.ProcessTaskRunner",
    "io.kestra.plugin.core.runner.ProcessTaskRunner",
    NULL,
};

bool runner_is_process(const char *type)
{
    if (type == NULL || str_eq_nocase(type, RUNNER_PROCESS))
        return true;
    for (const char *const *alias = runner_process_aliases; *alias != NULL; alias++)
        if (str_eq_nocase(*alias, type))
            return true;
    return false;
}
