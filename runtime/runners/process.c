/* SPDX-License-Identifier: Apache-2.0 */
/* The runner that is the worker itself: see runtime/worker/work_process.c. */
#include <stddef.h>

#include "core/plugin.h"
#include "runtime/worker/runner.h"

static const struct plugin_example examples[] = {
    { "Run the commands of a task here", "taskRunner:\n"
                                         "  type: io.kestra.plugin.core.runner.Process\n" },
    { 0 },
};

const struct plugin runner_process = {
    .id = RUNNER_PROCESS,
    .role = PLUGIN_RUNNER,
    .title = "Run commands as processes of the machine that weir runs on.",
    .aliases = runner_process_aliases,
    .examples = examples,
};
