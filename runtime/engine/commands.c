/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>

#include "base/arena.h"
#include "runtime/engine/engine_internal.h"

struct command *command_add(struct engine *engine, enum command_type type, struct task_run *run)
{
    struct command_list *list = engine->commands;
    struct command *command = VEC_PUSH_ARENA(list->arena, &list->all);
    command->type = type;
    command->run = run;
    command->iteration = -1;
    command->at = engine->now;
    return command;
}

void command_log(
    struct engine *engine, struct task_run *run, enum log_level level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct command *command = command_add(engine, COMMAND_LOG, run);
    command->level = level;
    command->message = arena_vprintf(engine->commands->arena, format, args);
    command->attempt = run == NULL ? 0 : (uint32_t)run->attempts.count;
    va_end(args);
}

void command_timer(struct engine *engine, struct task_run *run, enum timer_kind kind, usec_t at)
{
    run->wake_at = at;
    run->wake_generation++;
    task_run_touch(engine->execution, run);
    command_timer_again(engine, run, kind);
}

void command_timer_again(struct engine *engine, struct task_run *run, enum timer_kind kind)
{
    struct command *command = command_add(engine, COMMAND_TIMER, run);
    command->timer = kind;
    command->at = run->wake_at;
    command->generation = run->wake_generation;
}

void engine_disarm(struct engine *engine, struct task_run *run)
{
    if (run->wake_at == 0)
        return;
    run->wake_at = 0;
    run->wake_generation++;
    task_run_touch(engine->execution, run);
}
