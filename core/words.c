/* SPDX-License-Identifier: Apache-2.0 */
#include "core/words.h"

#include <stddef.h>
#include <string.h>

const char *const words_state[] = {
    "CREATED",  "SUBMITTED",  "RUNNING", "PAUSED",  "RESTARTED",   "QUEUED",
    "RETRYING", "BREAKPOINT", "KILLING", "SUCCESS", "WARNING",     "FAILED",
    "KILLED",   "CANCELLED",  "SKIPPED", "RETRIED", "RESUBMITTED", NULL,
};

const char *const words_log_level[] = { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", NULL };
const char *const words_retry_type[] = { "constant", "exponential", "random", NULL };
const char *const words_retry_behavior[] = { "RETRY_FAILED_TASK", "CREATE_NEW_EXECUTION", NULL };
const char *const words_subflow_restart[] = { "RETRY_FAILED", "NEW_EXECUTION", NULL };

int words_find(const char *const *words, const char *word)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], word) == 0)
            return i;
    }
    return -1;
}
