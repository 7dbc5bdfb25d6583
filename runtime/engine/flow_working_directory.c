/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks that share a folder. The folder is prepared ("open") and emptied ("close") by a worker; in
 * between, children run like any others, each told whose folder it is.
 */
#include "base/arena.h"
#include "base/str.h"
#include "core/diag.h"
#include "runtime/engine/engine_internal.h"
#include "runtime/engine/flowables.h"

/* Of one run, kept in its memo: phases that a worker does, and those before and after them. */
enum phase {
    PHASE_TO_OPEN,
    PHASE_OPENING,
    PHASE_OPEN,
    PHASE_TO_CLOSE,
    PHASE_CLOSING,
    PHASE_CLOSED
};

static enum phase phase_of(const struct task_run *run)
{
    return (enum phase)value_get_int(run->memo, "phase", PHASE_TO_OPEN);
}

static void set_phase(struct engine *engine, struct task_run *run, enum phase phase)
{
    engine_put_memo(engine, run, "phase", value_int(engine->scratch, phase));
}

bool directory_is_on_worker(const struct task_run *run)
{
    const struct flowable_ops *ops = run_flowable(run);
    return ops != NULL && ops->has_directory &&
           (phase_of(run) == PHASE_OPENING || phase_of(run) == PHASE_CLOSING);
}

uint32_t directory_attempt(const struct task_run *run)
{
    uint32_t made = run->attempts.count == 0 ? 1 : (uint32_t)run->attempts.count;
    return phase_of(run) <= PHASE_OPENING ? 2 * made - 1 : 2 * made;
}

static bool has(const struct task_run *run, const char *property)
{
    return !value_is_null(value_get(run->task->doc, property));
}

static bool start(struct engine *engine, struct task_run *run, struct error *err)
{
    (void)err;
    bool opens = has(run, "inputFiles") || has(run, "namespaceFiles") || has(run, "cache");
    run->memo = NULL;
    set_phase(engine, run, opens ? PHASE_TO_OPEN : PHASE_OPEN);
    return true;
}

static void failed(struct engine *engine, struct task_run *run, const char *message)
{
    if (message != NULL && *message != '\0')
        command_log(engine, run, LOG_ERROR, "%s", message);
    set_phase(engine, run, PHASE_CLOSED);
    flowable_must_fail(engine, run);
}

/* Hands a phase to a worker; true: nothing more to do now. */
static bool order(struct engine *engine, struct task_run *run, const char *name, enum phase phase)
{
    struct error err = { 0 };
    uint32_t made = (uint32_t)run->attempts.count;
    uint32_t attempt = phase == PHASE_OPENING ? 2 * made - 1 : 2 * made;
    if (dispatch_to_worker(engine, run, name, attempt, &err)) {
        effects_forget(engine, run);
        set_phase(engine, run, phase);
    } else if (err.code != ERR_UNAVAILABLE) {
        failed(engine, run, err.text);
    }
    return true;
}

static bool gate(struct engine *engine, struct task_run *run, struct scope *scope)
{
    bool is_over = scope->entries == 0 || scope_list_ended(scope, LIST_MAIN) ||
                   scope->lists[LIST_MAIN].failed > 0;
    switch (phase_of(run)) {
    case PHASE_TO_OPEN:
        return order(engine, run, "open", PHASE_OPENING);
    case PHASE_OPENING:
    case PHASE_CLOSING:
        return true;
    case PHASE_OPEN:
        if (!is_over)
            return false;
        if (!has(run, "outputFiles") && !has(run, "cache")) {
            set_phase(engine, run, PHASE_CLOSED);
            return false;
        }
        set_phase(engine, run, PHASE_TO_CLOSE);
        return order(engine, run, "close", PHASE_CLOSING);
    case PHASE_TO_CLOSE:
        return order(engine, run, "close", PHASE_CLOSING);
    case PHASE_CLOSED:
        break;
    }
    return false;
}

static void answer(struct engine *engine, struct task_run *run, const struct event *event)
{
    enum phase phase = phase_of(run);
    bool is_lost = event->type == EVENT_RUN_LOST;
    if (run->state.current != STATE_RUNNING) {
        engine_changed(engine, run->scope);
        return;
    }
    if (is_lost) {
        set_phase(engine, run, phase == PHASE_OPENING ? PHASE_TO_OPEN : PHASE_TO_CLOSE);
    } else if (event->state != STATE_SUCCESS && event->state != STATE_WARNING) {
        failed(engine, run, event->message);
        return;
    } else {
        if (value_is_map(event->outputs))
            engine_set_outputs(engine, run,
                               value_merge(engine->scratch, run->outputs, event->outputs, false));
        set_phase(engine, run, phase == PHASE_OPENING ? PHASE_OPEN : PHASE_CLOSED);
    }
    engine_changed(engine, run->scope);
}

/*
 * The order may have been lost with the process: it is given again, with the same number, while an
 * answer to the first is still welcome. A worker ignores what it has already.
 */
static void recover(struct engine *engine, struct task_run *run)
{
    enum phase phase = phase_of(run);
    struct error err = { 0 };
    if (phase != PHASE_OPENING && phase != PHASE_CLOSING)
        return;
    const char *name = phase == PHASE_OPENING ? "open" : "close";
    if (dispatch_to_worker(engine, run, name, directory_attempt(run), &err))
        effects_forget(engine, run);
    else if (err.code == ERR_UNAVAILABLE)
        run->is_waiting = true;
    else
        failed(engine, run, err.text);
}

/* ---- rules ---- */

static void add_finding(struct diag_list *findings,
                        const struct value *at,
                        const char *path,
                        const char *code,
                        const char *text)
{
    (void)diag_add(findings, DIAG_ERROR, DIAG_CONSTRAINT, code, at, path, "%s", text);
}

/* The task as parsed, found by its position in the document. */
static const struct task *task_at(const struct flow *flow, const char *path)
{
    for (size_t i = 0; flow != NULL && i < flow->tasks_all_count; i++) {
        if (str_eq(flow->tasks_all[i]->path, path))
            return flow->tasks_all[i];
    }
    return NULL;
}

static void check(const struct flow *flow,
                  const struct value *map,
                  const char *path,
                  struct diag_list *findings)
{
    const struct value *tasks = value_get(map, "tasks");
    if (value_count(tasks) == 0) {
        add_finding(findings, map, path, "no-tasks", "The 'tasks' property cannot be empty");
        return;
    }
    const struct task *task = task_at(flow, path);
    const struct task_list *list = task == NULL ? NULL : task_list(task, SLOT_TASKS);
    for (size_t i = 0; list != NULL && i < list->all_count; i++) {
        const struct plugin *type = list->all[i]->type;
        if (type != NULL &&
            (type->task_kind == TASK_FLOWABLE || type->task_kind == TASK_EXECUTABLE))
            add_finding(findings, list->all[i]->doc, list->all[i]->path, "not-runnable",
                        "Only runnable tasks are allowed as children of a WorkingDirectory task");
        const struct value *group = value_get(list->all[i]->doc, "workerGroup");
        if (!value_is_null(group) && !value_equal(group, value_get(map, "workerGroup")))
            add_finding(findings, group, list->all[i]->path, "worker-group",
                        "Cannot set a Worker Group in any WorkingDirectory sub-tasks, it is only "
                        "supported at the WorkingDirectory level");
    }
}

static const struct flowable_ops ops = {
    .start = start,
    .plan = plan_tasks,
    .gate = gate,
    .answer = answer,
    .recover = recover,
    .has_directory = true,
    .is_anew = true,
};

static const struct prop namespace_files_props[] = {
    { "enabled", .kind = PROP_BOOL, .flags = PROP_EXPR, .fallback = "true",
      .doc = "Whether the files are written." },
    { "include", .kind = PROP_STRINGS, .flags = PROP_EXPR, .doc = "Globs of the files to write." },
    { "exclude", .kind = PROP_STRINGS, .flags = PROP_EXPR,
      .doc = "Globs of the files to leave out." },
    { "namespaces", .kind = PROP_STRINGS, .flags = PROP_EXPR,
      .doc = "Where the files come from; later ones win. The flow's own by default." },
    { "ifExists", .kind = PROP_STRING, .flags = PROP_EXPR, .fallback = "OVERWRITE",
      .doc = "OVERWRITE, FAIL, WARN or IGNORE a file that is there." },
    { "folderPerNamespace", .kind = PROP_BOOL, .flags = PROP_EXPR, .fallback = "false",
      .doc = "Put the files of a namespace into a folder of its name." },
    { 0 },
};

static const struct prop cache_props[] = {
    { "patterns", .kind = PROP_STRINGS, .flags = PROP_REQUIRED | PROP_NOT_EMPTY,
      .doc = "Globs of the files to keep." },
    { "ttl", .kind = PROP_DURATION, .doc = "How long they are good; for ever by default." },
    { 0 },
};

static const struct prop props[] = {
    { "tasks", .kind = PROP_TASKS, .flags = PROP_REQUIRED,
      .doc = "Runnable tasks, one after the other in the same folder." },
    { "inputFiles", .kind = PROP_MAP, .item = PROP_STRING, .flags = PROP_EXPR,
      .doc = "Files to write first: relative path to content or storage URI." },
    { "outputFiles", .kind = PROP_STRINGS, .flags = PROP_EXPR,
      .doc = "Globs of the files to store at the end." },
    { "namespaceFiles", .kind = PROP_OBJECT, .object = namespace_files_props, .flags = PROP_EXPR,
      .doc = "Namespace files to write first." },
    { "cache", .kind = PROP_OBJECT, .object = cache_props,
      .doc = "Files kept from one execution of the flow to the next." },
    { 0 },
};

static const struct plugin_output outputs[] = {
    { "outputFiles", "map", "Relative path to storage URI." },
    { 0 },
};

static const struct plugin_example examples[] = {
    { "One task writes a file, the next reads it.",
      "tasks:\n"
      "  - id: write\n"
      "    type: io.kestra.plugin.scripts.shell.Commands\n"
      "    commands:\n"
      "      - echo hello > greeting.txt\n"
      "  - id: read\n"
      "    type: io.kestra.plugin.scripts.shell.Commands\n"
      "    commands:\n"
      "      - cat greeting.txt\n" },
    { 0 },
};

static const char *const aliases[] = { "io.kestra.core.tasks.flows.WorkingDirectory",
                                       "io.kestra.core.tasks.flows.Worker", NULL };

const struct plugin task_flow_working_directory = {
    .id = FLOW_TYPE("WorkingDirectory"),
    .role = PLUGIN_TASK,
    .task_kind = TASK_FLOWABLE,
    .title = "Run tasks one after the other in the same folder.",
    .doc = "A task that is retried finds the folder as it left it.",
    .aliases = aliases,
    .props = props,
    .outputs = outputs,
    .examples = examples,
    .check = check,
    .flowable_ops = &ops,
};
