/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/plugins.h"

#include <pthread.h>
#include <stddef.h>

#include "core/plugin.h"

/* One line per type, by folder and name. */
// clang-format off
#define PLUGINS(X)                                                                                 \
    /* runtime/runners */                                                                          \
    X(runner_docker)                                                                               \
    X(runner_process)                                                                              \
    /* runtime/engine */                                                                           \
    X(task_flow_allow_failure)                                                                     \
    X(task_flow_approval)                                                                          \
    X(task_flow_dag)                                                                               \
    X(task_flow_each_parallel)                                                                     \
    X(task_flow_each_sequential)                                                                   \
    X(task_flow_for_each)                                                                          \
    X(task_flow_if)                                                                                \
    X(task_flow_loop)                                                                              \
    X(task_flow_loop_until)                                                                        \
    X(task_flow_parallel)                                                                          \
    X(task_flow_pause)                                                                             \
    X(task_flow_sequential)                                                                        \
    X(task_flow_subflow)                                                                           \
    X(task_flow_switch)                                                                            \
    X(task_flow_template)                                                                          \
    X(task_flow_working_directory)                                                                 \
    /* runtime/tasks */                                                                            \
    X(task_debug_echo)                                                                             \
    X(task_debug_return)                                                                           \
    X(task_execution_assert)                                                                       \
    X(task_execution_count)                                                                        \
    X(task_execution_exit)                                                                         \
    X(task_execution_fail)                                                                         \
    X(task_execution_kill)                                                                         \
    X(task_execution_labels)                                                                       \
    X(task_execution_purge)                                                                        \
    X(task_execution_resume)                                                                       \
    X(task_execution_set_variables)                                                                \
    X(task_execution_unset_variables)                                                              \
    X(task_flow_for_each_item)                                                                     \
    X(task_flow_sleep)                                                                             \
    X(task_http_download)                                                                          \
    X(task_http_job)                                                                               \
    X(task_http_request)                                                                           \
    X(task_http_sse)                                                                               \
    X(task_kv_delete)                                                                              \
    X(task_kv_get)                                                                                 \
    X(task_kv_get_keys)                                                                            \
    X(task_kv_purge)                                                                               \
    X(task_kv_put)                                                                                 \
    X(task_kv_set)                                                                                 \
    X(task_log_write)                                                                              \
    X(task_log_fetch)                                                                              \
    X(task_log_purge)                                                                              \
    X(task_metric_publish)                                                                         \
    X(task_namespace_delete)                                                                       \
    X(task_namespace_download)                                                                     \
    X(task_namespace_purge)                                                                        \
    X(task_namespace_upload)                                                                       \
    X(task_script_bun_commands)                                                                    \
    X(task_script_bun_script)                                                                      \
    X(task_script_deno_commands)                                                                   \
    X(task_script_deno_script)                                                                     \
    X(task_script_dotnet_commands)                                                                 \
    X(task_script_dotnet_script)                                                                   \
    X(task_script_go_commands)                                                                     \
    X(task_script_go_script)                                                                       \
    X(task_script_groovy_commands)                                                                 \
    X(task_script_groovy_script)                                                                   \
    X(task_script_jbang_commands)                                                                  \
    X(task_script_jbang_script)                                                                    \
    X(task_script_julia_commands)                                                                  \
    X(task_script_julia_script)                                                                    \
    X(task_script_lua_commands)                                                                    \
    X(task_script_lua_script)                                                                      \
    X(task_script_node_commands)                                                                   \
    X(task_script_node_script)                                                                     \
    X(task_script_perl_commands)                                                                   \
    X(task_script_perl_script)                                                                     \
    X(task_script_php_commands)                                                                    \
    X(task_script_php_script)                                                                      \
    X(task_script_powershell_commands)                                                             \
    X(task_script_powershell_script)                                                               \
    X(task_script_python_commands)                                                                 \
    X(task_script_python_script)                                                                   \
    X(task_script_r_commands)                                                                      \
    X(task_script_r_script)                                                                        \
    X(task_script_ruby_commands)                                                                   \
    X(task_script_ruby_script)                                                                     \
    X(task_script_shell_commands)                                                                  \
    X(task_script_shell_script)                                                                    \
    X(task_output_values)                                                                          \
    X(task_sqlite_batch)                                                                           \
    X(task_sqlite_queries)                                                                         \
    X(task_sqlite_query)                                                                           \
    X(task_state_delete)                                                                           \
    X(task_state_get)                                                                              \
    X(task_state_set)                                                                              \
    X(task_storage_concat)                                                                         \
    X(task_storage_deduplicate)                                                                    \
    X(task_storage_delete)                                                                         \
    X(task_storage_filter)                                                                         \
    X(task_storage_local_files)                                                                    \
    X(task_storage_purge)                                                                          \
    X(task_storage_purge_execution)                                                                \
    X(task_storage_reverse)                                                                        \
    X(task_storage_size)                                                                           \
    X(task_storage_split)                                                                          \
    X(task_storage_write)                                                                          \
    X(task_templated_task)                                                                         \
    X(task_trigger_toggle)                                                                         \
    /* runtime/triggers */                                                                         \
    X(trigger_flow)                                                                                \
    X(trigger_http)                                                                                \
    X(trigger_schedule)                                                                            \
    X(trigger_schedule_on_dates)                                                                   \
    X(trigger_webhook)                                                                             \
    /* runtime/triggers/conditions.c */                                                            \
    X(condition_date_time_between)                                                                 \
    X(condition_day_week)                                                                          \
    X(condition_day_week_in_month)                                                                 \
    X(condition_execution_flow)                                                                    \
    X(condition_execution_labels)                                                                  \
    X(condition_execution_namespace)                                                               \
    X(condition_execution_outputs)                                                                 \
    X(condition_execution_status)                                                                  \
    X(condition_expression)                                                                        \
    X(condition_flow)                                                                              \
    X(condition_flow_namespace)                                                                    \
    X(condition_has_retry_attempt)                                                                 \
    X(condition_multiple)                                                                          \
    X(condition_not)                                                                               \
    X(condition_or)                                                                                \
    X(condition_public_holiday)                                                                    \
    X(condition_time_between)                                                                      \
    X(condition_weekend)
// clang-format on

#define DECLARE(name) extern const struct plugin name;
#define ADDRESS(name) &name,

PLUGINS(DECLARE)

const struct plugin *const plugins_builtin[] = { PLUGINS(ADDRESS) NULL };

static struct plugin_set *set;

static void make_set(void)
{
    set = plugin_set_new(plugins_builtin);
}

const struct plugin_set *plugins(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_set);
    return set;
}
