/* SPDX-License-Identifier: Apache-2.0 */
/* Properties that all types of a role share (flow-language.md 2.1, 2.3, 5.1). */
#include "core/ident.h"
#include "core/plugin.h"
#include "core/words.h"

const struct prop retry_props[] = {
    { "type", .kind = PROP_ENUM, .flags = PROP_REQUIRED, .words = words_retry_type,
      .doc = "How the waiting time develops." },
    { "interval", .kind = PROP_DURATION,
      .doc = "Time to wait; of `exponential`: before the first retry." },
    { "minInterval", .kind = PROP_DURATION, .doc = "Of `random`: shortest time to wait." },
    { "maxInterval", .kind = PROP_DURATION,
      .doc = "Of `exponential` and `random`: longest time to wait." },
    { "delayFactor", .kind = PROP_DOUBLE, .fallback = "2.0",
      .doc = "Of `exponential`: each wait is that many times the one before." },
    { "maxAttempts", .kind = PROP_INT, .alias = "maxAttempt", .min = 1, .max = INT32_MAX,
      .doc = "Number of attempts, the first one included; unlimited when absent." },
    { "maxDuration", .kind = PROP_DURATION,
      .doc = "No retry starts later than this after the first attempt." },
    { "warningOnRetry", .kind = PROP_BOOL, .fallback = "false",
      .doc = "A task that succeeds only after a retry ends in WARNING." },
    { "behavior", .kind = PROP_ENUM, .words = words_retry_behavior, .fallback = "RETRY_FAILED_TASK",
      .doc = "Repeat the failed task, or start a new execution of the flow." },
    { 0 },
};

static const struct prop task_cache_props[] = {
    { "enabled", .kind = PROP_BOOL, .flags = PROP_REQUIRED,
      .doc = "Reuse the outputs of an earlier run with the same rendered properties." },
    { "ttl", .kind = PROP_DURATION, .doc = "Age after which a result is not reused." },
    { 0 },
};

const struct prop task_common_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED, .min = 1, .max = 256,
      .pattern = IDENT_TASK, .doc = "Name of the task, unique in the whole flow." },
    { "type", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "What the task does." },
    { "version", .kind = PROP_STRING, .flags = PROP_INTERNAL },
    { "description", .kind = PROP_STRING, .doc = "Markdown for people." },
    { "retry", .kind = PROP_OBJECT, .object = retry_props,
      .doc = "Repeat the task when it failed; of a flowable: each failing task inside it." },
    { "timeout", .kind = PROP_DURATION, .flags = PROP_EXPR,
      .doc = "The attempt is stopped and fails after this time." },
    { "disabled", .kind = PROP_BOOL, .fallback = "false",
      .doc = "The flow behaves as if the task were not there." },
    { "runIf", .kind = PROP_STRING, .flags = PROP_EXPR, .fallback = "true",
      .doc = "Skip the task when this renders to nothing, `false` or `0`." },
    { "when", .kind = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Newer spelling of `runIf`; wins when both are given." },
    { "allowFailure", .kind = PROP_BOOL, .fallback = "false",
      .doc = "A failure counts as a warning and the flow goes on." },
    { "allowWarning", .kind = PROP_BOOL, .fallback = "false",
      .doc = "A warning counts as success." },
    { "logLevel", .kind = PROP_ENUM, .words = words_log_level, .fallback = "TRACE",
      .doc = "Least level of the task's log lines that is kept." },
    { "logToFile", .kind = PROP_BOOL, .fallback = "false",
      .doc = "Keep the log of each attempt as a file of the execution." },
    { "taskCache", .kind = PROP_OBJECT, .object = task_cache_props,
      .doc = "Reuse the outputs of an earlier run." },
    { "pluginDefaultsRef", .kind = PROP_STRING,
      .doc = "Take the plugin defaults with this `ref` instead of those of the type." },
    { "workerGroup", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "workerSelector", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "assets", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "policyRefs", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { 0 },
};

const struct prop flowable_common_props[] = {
    { "errors", .kind = PROP_TASKS,
      .doc = "Tasks that run, one after the other, when a task inside failed." },
    { "finally", .kind = PROP_TASKS,
      .doc = "Tasks that run at the end, whether tasks inside failed or not." },
    { 0 },
};

const struct prop trigger_common_props[] = {
    { "id", .kind = PROP_STRING, .flags = PROP_REQUIRED, .min = 1, .max = 256,
      .pattern = IDENT_TASK, .doc = "Name of the trigger, unique among the triggers of the flow." },
    { "type", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "What starts the flow." },
    { "version", .kind = PROP_STRING, .flags = PROP_INTERNAL },
    { "pluginDefaultsRef", .kind = PROP_STRING,
      .doc = "Take the plugin defaults with this `ref` instead of those of the type." },
    { "description", .kind = PROP_STRING, .doc = "Markdown for people." },
    { "conditions", .kind = PROP_CONDITIONS,
      .doc = "What must hold, all of it, for the flow to start." },
    { "when", .kind = PROP_STRING, .flags = PROP_EXPR, .fallback = "true",
      .doc = "The flow does not start when this renders to nothing, `false` or `0`." },
    { "disabled", .kind = PROP_BOOL, .fallback = "false", .doc = "The trigger never fires." },
    { "inputs", .kind = PROP_MAP, .item = PROP_ANY, .flags = PROP_EXPR,
      .doc = "Values for the inputs of the flow." },
    { "labels", .kind = PROP_LABELS, .flags = PROP_EXPR,
      .doc = "Labels of the executions that it starts." },
    { "stopAfter", .kind = PROP_LIST, .item = PROP_ENUM, .words = words_state,
      .doc = "Disable the trigger once an execution that it started ends in one of these states." },
    { "logLevel", .kind = PROP_ENUM, .words = words_log_level, .alias = "minLogLevel",
      .doc = "Least level of the trigger's log lines that is kept." },
    { "logToFile", .kind = PROP_BOOL, .fallback = "false", .doc = "Keep the log as a file." },
    { "failOnTriggerError", .kind = PROP_BOOL, .fallback = "false",
      .doc = "An error while polling starts an execution that is FAILED, so that it is seen." },
    { "allowConcurrent", .kind = PROP_BOOL, .fallback = "false",
      .doc = "Fire also while an execution that it started is running." },
    { "workerGroup", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "workerSelector", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "assets", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { "policyRefs", .kind = PROP_ANY, .flags = PROP_INTERNAL },
    { 0 },
};

const struct prop plugin_common_props[] = {
    { "type", .kind = PROP_STRING, .flags = PROP_REQUIRED, .doc = "Full name of the type." },
    { "version", .kind = PROP_STRING, .flags = PROP_INTERNAL },
    { "pluginDefaultsRef", .kind = PROP_STRING,
      .doc = "Take the plugin defaults with this `ref` instead of those of the type." },
    { 0 },
};
