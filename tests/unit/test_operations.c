/* SPDX-License-Identifier: Apache-2.0 */
/* What tasks ask by name, over each store. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/error.h"
#include "base/str.h"
#include "core/json.h"
#include "core/value.h"
#include "tests/support/driver_bed.h"
#include "tests/support/test.h"

/* A task's thread, while the turns of the driver are the test's. */
struct asking {
    struct driver_bed *bed;
    const char *operation;
    const struct value *arguments;
    const struct value *answer;
    struct error err;
    _Atomic bool is_over;
};

static void *ask(void *data)
{
    struct asking *asking = data;
    struct driver_operations operations = { .driver = asking->bed->driver,
                                            .store = asking->bed->store,
                                            .logs = asking->bed->logs };
    asking->answer = driver_operate(&operations, asking->bed->arena, asking->operation,
                                    asking->arguments, &asking->err);
    atomic_store(&asking->is_over, true);
    return NULL;
}

/* arguments  JSON; '%' stands for the id. Answer NULL: refused with *err */
static const struct value *operate(struct driver_bed *bed,
                                   const char *operation,
                                   const char *arguments,
                                   const char *id,
                                   struct error *err)
{
    struct buf text = { 0 };
    for (const char *at = arguments; *at != '\0'; at++)
        if (*at == '%')
            buf_puts(&text, id);
        else
            buf_putc(&text, *at);
    struct asking asking = { .bed = bed, .operation = operation };
    asking.arguments = json_parse(bed->arena, buf_text(&text), text.length, &asking.err);
    buf_free(&text);
    if (asking.arguments == NULL)
        fail_msg("%s", asking.err.text);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    while (!atomic_load(&asking.is_over))
        (void)driver_turn(bed->driver);
    pthread_join(thread, NULL);
    *err = asking.err;
    return asking.answer;
}

static const struct value *answer_of(struct driver_bed *bed,
                                     const char *operation,
                                     const char *arguments,
                                     const char *id)
{
    struct error err = { 0 };
    const struct value *answer = operate(bed, operation, arguments, id, &err);
    if (answer == NULL)
        fail_msg("%s: %s", operation, err.text);
    return answer;
}

static enum error_code refusal_of(struct driver_bed *bed,
                                  const char *operation,
                                  const char *arguments,
                                  const char *id)
{
    struct error err = { 0 };
    assert_null(operate(bed, operation, arguments, id, &err));
    assert_true(err.text[0] != '\0');
    return err.code;
}

static const char quick[] = "id: quick\n"
                            "tasks:\n"
                            "  - {id: a, type: Log, message: one}\n"
                            "  - {id: b, type: Log, message: two, level: WARN}\n";

static const char pausing[] = "id: pausing\n"
                              "tasks:\n"
                              "  - id: ask\n"
                              "    type: Pause\n"
                              "    onResume: [{id: n, type: INT}]\n";

EACH_STORE(operations_tell_of_executions)
{
    driver_bed_deploy(bed, quick);
    driver_bed_deploy(bed, pausing);
    const char *first = driver_bed_create(bed, "quick");
    bed->now += USEC_SEC;
    (void)driver_bed_create(bed, "quick");
    bed->now += USEC_SEC;
    const char *last = driver_bed_create(bed, "quick");
    (void)driver_bed_create(bed, "pausing");

    const struct value *answer = answer_of(bed, "execution.get", "{\"executionId\": \"%\"}", first);
    assert_string_equal(value_get_text(answer, "state", ""), "SUCCESS");
    assert_string_equal(value_get_text(answer, "flowId", ""), "quick");
    assert_int_equal(refusal_of(bed, "execution.get", "{\"executionId\": \"%\"}", "nobody"),
                     ERR_NOT_FOUND);
    assert_int_equal(refusal_of(bed, "execution.get", "{}", ""), ERR_INVALID);
    assert_int_equal(refusal_of(bed, "execution.fly", "{}", ""), ERR_INVALID);

    answer = answer_of(bed, "execution.exists", "{\"ids\": [\"%\", \"nobody\"]}", first);
    assert_int_equal(value_count(value_get(answer, "existing")), 1);

    answer = answer_of(bed, "execution.count",
                       "{\"flows\": [{\"namespace\": \"company.team\", \"flowId\": \"quick\"},"
                       "{\"namespace\": \"company.team\", \"flowId\": \"never\"}],"
                       "\"namespaces\": [\"company\"], \"states\": [\"SUCCESS\"]}",
                       "");
    const struct value *results = value_get(answer, "results");
    assert_int_equal(value_count(results), 4); // two flows, and the flows of the namespace
    assert_int_equal(value_get_int(value_item(results, 0), "count", -1), 3);
    assert_int_equal(value_get_int(value_item(results, 1), "count", -1), 0);
    assert_int_equal(value_get_int(answer, "total", -1), 6);

    // Only those that have ended, in pages.
    answer = answer_of(bed, "execution.find", "{\"namespace\": \"company\", \"limit\": 2}", "");
    const struct value *found = value_get(answer, "executions");
    assert_int_equal(value_count(found), 2);
    assert_string_equal(value_get_text(value_item(found, 0), "id", ""), first);
    answer = answer_of(bed, "execution.find",
                       "{\"namespace\": \"company\", \"limit\": 2, \"offset\": 2}", "");
    found = value_get(answer, "executions");
    assert_int_equal(value_count(found), 1);
    assert_string_equal(value_get_text(value_item(found, 0), "id", ""), last);
}

EACH_STORE(operations_resume_a_paused_execution_with_its_inputs)
{
    driver_bed_deploy(bed, pausing);
    driver_bed_deploy(bed, quick);
    const char *id = driver_bed_create(bed, "pausing");
    assert_string_equal(driver_bed_state(bed, id), "PAUSED");
    assert_int_equal(refusal_of(bed, "execution.resume",
                                "{\"executionId\": \"%\", \"inputs\": {\"n\": \"many\"}}", id),
                     ERR_INVALID);
    (void)answer_of(bed, "execution.resume", "{\"executionId\": \"%\", \"inputs\": {\"n\": 7}}",
                    id);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
    const struct task_run *run = driver_bed_execution(bed, id)->runs.items[0];
    assert_int_equal(value_get_int(value_get(run->outputs, "onResume"), "n", 0), 7);
    assert_int_equal(refusal_of(bed, "execution.resume", "{\"executionId\": \"%\"}", id),
                     ERR_CONFLICT);
}

static size_t lines_of(struct driver_bed *bed, const char *id)
{
    const struct value *answer = answer_of(bed, "log.fetch", "{\"executionId\": \"%\"}", id);
    return value_count(value_get(answer, "entries"));
}

EACH_STORE(operations_fetch_and_purge_log_lines)
{
    driver_bed_deploy(bed, quick);
    const char *id = driver_bed_create(bed, "quick");
    const char *other = driver_bed_create(bed, "quick");
    const size_t all = lines_of(bed, id);
    assert_true(all >= 2);
    const struct value *entries = value_get(
        answer_of(bed, "log.fetch",
                  "{\"executionId\": \"%\", \"level\": \"WARN\", \"taskIds\": [\"b\"]}", id),
        "entries");
    assert_int_equal(value_count(entries), 1);
    assert_string_equal(value_get_text(value_item(entries, 0), "message", ""), "two");
    assert_string_equal(value_get_text(value_item(entries, 0), "level", ""), "WARN");
    assert_int_equal(
        value_count(value_get(
            answer_of(bed, "log.fetch", "{\"executionId\": \"%\", \"offset\": 1}", id), "entries")),
        all - 1);

    const struct value *answer =
        answer_of(bed, "log.purge", "{\"executionId\": \"%\", \"levels\": [\"WARN\"]}", id);
    assert_int_equal(value_get_int(answer, "count", 0), 1);
    assert_int_equal(lines_of(bed, id), all - 1);
    assert_int_equal(lines_of(bed, other), all);
    assert_int_equal(
        refusal_of(bed, "log.purge", "{\"executionId\": \"%\", \"levels\": [\"LOUD\"]}", id),
        ERR_INVALID);
    (void)answer_of(bed, "log.purge", "{\"namespace\": \"company\"}", id);
    assert_int_equal(lines_of(bed, id), 0);
    assert_int_equal(lines_of(bed, other), 0);
}

EACH_STORE(operations_purge_executions_in_parts)
{
    driver_bed_deploy(bed, quick);
    const char *id = driver_bed_create(bed, "quick");
    const struct value *answer =
        answer_of(bed, "execution.purge",
                  "{\"ids\": [\"%\", \"nobody\"], \"purgeExecution\": false,"
                  "\"purgeMetric\": false}",
                  id);
    assert_int_equal(value_get_int(answer, "executions", -1), 0);
    assert_true(value_get_int(answer, "logs", -1) >= 2);
    assert_int_equal(lines_of(bed, id), 0);
    assert_string_equal(driver_bed_state(bed, id), "SUCCESS");
    answer = answer_of(bed, "execution.purge", "{\"ids\": [\"%\"]}", id);
    assert_int_equal(value_get_int(answer, "executions", -1), 1);
    assert_null(driver_bed_state(bed, id));
}

EACH_STORE(operations_purge_keys_by_pattern)
{
    struct kv_change changes[3] = { 0 };
    const char *keys[] = { "old-1", "old-2", "new" };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        changes[i].row = (struct kv_row){ .namespace = "company.team",
                                          .key = keys[i],
                                          .type = "NUMBER",
                                          .value = "1",
                                          .expires_at = USEC_NEVER };
    struct driver_request request = { .type = REQUEST_CHANGE };
    request.change.kv = changes;
    request.change.kv_count = COUNT_OF(keys);
    assert_true(driver_bed_ask(bed, &request));
    const struct value *answer = answer_of(bed, "kv.purge", "{\"namespaces\": [\"company\"]}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 0); // none has expired
    answer = answer_of(bed, "kv.purge",
                       "{\"namespaces\": [\"company\"], \"includeChildNamespaces\": false,"
                       "\"expiredOnly\": false}",
                       "");
    assert_int_equal(value_get_int(answer, "count", -1), 0);
    answer = answer_of(bed, "kv.purge",
                       "{\"namespaces\": [\"company\"], \"keyPattern\": \"old-*\","
                       "\"expiredOnly\": false}",
                       "");
    assert_int_equal(value_get_int(answer, "count", -1), 2);
    struct query query = { .sort = FIELD_COUNT, .limit = 10 };
    struct kv_row *rows = NULL;
    size_t count = 0;
    assert_true(
        bed->reader->ops->kv_search(bed->reader, bed->arena, &query, &rows, &count, NULL, NULL));
    assert_int_equal(count, 1);
    assert_string_equal(rows[0].key, "new");
}

/* Writes a key so many times. */
static void put_often(struct driver_bed *bed, const char *key, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        struct kv_change change = { .row = { .namespace = "company.team",
                                             .key = key,
                                             .type = "NUMBER",
                                             .value = "1",
                                             .expires_at = USEC_NEVER } };
        struct driver_request request = { .type = REQUEST_CHANGE };
        request.change.kv = &change;
        request.change.kv_count = 1;
        assert_true(driver_bed_ask(bed, &request));
    }
}

static size_t versions_of(struct driver_bed *bed, int64_t *newest)
{
    struct kv_row *rows = NULL;
    size_t count = 0;
    assert_true(bed->reader->ops->kv_versions(bed->reader, bed->arena, NULL, SIZE_MAX, &rows,
                                              &count, NULL));
    *newest = count == 0 ? 0 : rows[0].revision;
    return count;
}

EACH_STORE(operations_purge_old_versions_of_keys)
{
    int64_t newest = 0;
    // More than one page of old versions.
    for (size_t i = 0; i < 6; i++)
        put_often(bed, arena_printf(bed->arena, "key-%zu", i), 98);
    put_often(bed, "other", 3);
    assert_int_equal(versions_of(bed, &newest), 6 * 97 + 2);
    const struct value *answer =
        answer_of(bed, "kv.purge",
                  "{\"namespaces\": [\"company\"], \"keyPattern\": \"key-*\","
                  "\"keepAmount\": 10}",
                  "");
    // The latest value is one of those that are kept.
    assert_int_equal(value_get_int(answer, "count", -1), 6 * 88);
    assert_int_equal(versions_of(bed, &newest), 6 * 9 + 2);
    assert_int_equal(newest, 97);
    answer =
        answer_of(bed, "kv.purge",
                  "{\"namespaces\": [\"elsewhere\"], \"before\": \"2999-01-01T00:00:00Z\"}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 0);
    answer = answer_of(bed, "kv.purge", "{\"before\": \"2000-01-01T00:00:00Z\"}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 0);
    answer = answer_of(bed, "kv.purge", "{\"before\": \"2999-01-01T00:00:00Z\"}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 6 * 9 + 2);
    assert_int_equal(versions_of(bed, &newest), 0);
    struct kv_row row;
    assert_true(
        bed->reader->ops->kv_get(bed->reader, bed->arena, "company.team", "key-0", &row, NULL));
    assert_int_equal(row.revision, 98);
}

EACH_STORE(operations_purge_many_keys_page_by_page)
{
    for (size_t i = 0; i < 1203; i++)
        put_often(bed, arena_printf(bed->arena, "%s-%zu", i % 3 == 0 ? "keep" : "go", i), 1);
    const struct value *answer =
        answer_of(bed, "kv.purge", "{\"keyPattern\": \"go-*\", \"expiredOnly\": false}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 802);
    answer = answer_of(bed, "kv.purge", "{\"keyPattern\": \"go-*\", \"expiredOnly\": false}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 0);
}

static void put_file(struct driver_bed *bed, const char *path, const char *content)
{
    struct file_change change = { .row = { .namespace = "company.team",
                                           .path = path,
                                           .size = 1,
                                           .digest = content,
                                           .content = content } };
    struct driver_request request = { .type = REQUEST_CHANGE };
    request.change.files = &change;
    request.change.files_count = 1;
    if (!driver_bed_ask(bed, &request))
        fail_msg("%s", request.error.text);
}

EACH_STORE(operations_purge_old_revisions_of_files)
{
    put_file(bed, "/a.sql", "one");
    put_file(bed, "/a.sql", "two");
    put_file(bed, "/a.sql", "three");
    put_file(bed, "/b.sql", "one");
    const struct value *answer = answer_of(
        bed, "file.purge",
        "{\"namespaces\": [\"company\"], \"filePattern\": \"a*\", \"keepAmount\": 2}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 1);
    assert_string_equal(value_to_json(bed->arena, value_get(answer, "namespaces")),
                        "[\"company.team\"]");
    // What another file holds is still needed.
    answer = answer_of(bed, "file.contents", "{\"namespace\": \"company.team\"}", "");
    assert_string_equal(value_to_json(bed->arena, value_get(answer, "contents")),
                        "[\"two\",\"three\",\"one\"]");
    answer = answer_of(bed, "file.purge", "{\"before\": \"2999-01-01T00:00:00Z\"}", "");
    assert_int_equal(value_get_int(answer, "count", -1), 1); // the latest ones stay
    answer = answer_of(bed, "file.contents", "{\"namespace\": \"company.team\"}", "");
    assert_string_equal(value_to_json(bed->arena, value_get(answer, "contents")),
                        "[\"three\",\"one\"]");
}

EACH_STORE(operations_toggle_a_trigger)
{
    driver_bed_deploy(bed, "id: timed\n"
                           "tasks: [{id: a, type: Log, message: hi}]\n"
                           "triggers: [{id: t, type: io.kestra.plugin.core.trigger.Schedule, "
                           "cron: \"*/5 * * * *\"}]\n");
    (void)answer_of(bed, "trigger.toggle",
                    "{\"namespace\": \"company.team\", \"flowId\": \"timed\", \"triggerId\": \"t\","
                    "\"disabled\": true}",
                    "");
    assert_true(driver_bed_trigger(bed, "timed", "t")->disabled);
    assert_int_equal(refusal_of(bed, "trigger.toggle",
                                "{\"namespace\": \"company.team\", \"flowId\": \"timed\","
                                "\"triggerId\": \"other\", \"disabled\": true}",
                                ""),
                     ERR_NOT_FOUND);
}

EACH_STORE(operations_run_a_subflow_and_wait_for_it)
{
    driver_bed_deploy(bed, "id: doubles\n"
                           "inputs: [{id: n, type: INT}]\n"
                           "tasks: [{id: a, type: Log, message: hi}]\n"
                           "outputs: [{id: twice, type: INT, value: \"{{ inputs.n * 2 }}\"}]\n");
    const struct value *answer =
        answer_of(bed, "subflow.run",
                  "{\"namespace\": \"company.team\", \"flowId\": \"doubles\", \"inputs\":"
                  " {\"n\": 21}, \"timeout\": 60}",
                  "");
    assert_string_equal(value_get_text(answer, "state", ""), "SUCCESS");
    assert_int_equal(value_get_int(value_get(answer, "outputs"), "twice", 0), 42);
    assert_int_equal(refusal_of(bed, "subflow.run",
                                "{\"namespace\": \"company.team\", \"flowId\": \"none\"}", ""),
                     ERR_NOT_FOUND);
    driver_bed_deploy(bed, pausing);
    assert_int_equal(
        refusal_of(bed, "subflow.run",
                   "{\"namespace\": \"company.team\", \"flowId\": \"pausing\", \"timeout\": 0.01}",
                   ""),
        ERR_TIMEOUT);
}

/* ---- batches ---- */

static const char batches[] = "id: batches\n"
                              "tasks:\n"
                              "  - id: each\n"
                              "    type: ForEachItem\n"
                              "    items: kestra:///rows.txt\n"
                              "    namespace: company.team\n"
                              "    flowId: part\n"
                              "    inputs: {file: \"{{ taskrun.items }}\"}\n";

/* The first batch fails once and is retried as another execution. */
static const char part[] = "id: part\n"
                           "inputs: [{id: file, type: STRING}]\n"
                           "retry: {type: constant, interval: PT10S, maxAttempts: 2,"
                           " behavior: CREATE_NEW_EXECUTION}\n"
                           "tasks: [{id: w, type: io.weir.test.Work}]\n"
                           "outputs: [{id: file, type: STRING, value: \"{{ inputs.file }}\"}]\n";

static void answer_read(struct driver_bed *bed, const char *text)
{
    for (size_t i = 0; i < bed->orders.count; i++) {
        struct order *order = bed->orders.items[i];
        if (order->type != ORDER_EVALUATE)
            continue;
        struct worker_answers answers = driver_worker_answers(bed->driver);
        bed->orders.items[i] = bed->orders.items[--bed->orders.count];
        answers.evaluated(answers.data, order->execution_id, order->run_id, order->attempt,
                          order->function, order->props, value_string(bed->arena, text), NULL);
        order_free(order);
        driver_bed_settle(bed);
        return;
    }
    fail_msg("nothing is to be read");
}

EACH_STORE(operations_give_the_outputs_of_batches_in_order)
{
    driver_bed_deploy(bed, part);
    driver_bed_deploy(bed, batches);
    const char *id = driver_bed_create(bed, "batches");
    struct value_builder outputs = value_build(bed->arena);
    value_put_text(&outputs, "splits", "kestra:///splits.txt");
    driver_bed_ended_with(bed, driver_bed_order(bed, "each_split"), STATE_SUCCESS,
                          value_build_map(&outputs));
    answer_read(bed, "kestra:///1\nkestra:///2\nkestra:///3\n");
    struct execution_row *rows = NULL;
    assert_int_equal(driver_bed_executions(bed, "part", &rows), 3);
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_FAILED);
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);
    driver_bed_advance(bed, bed->now + 11 * USEC_SEC);
    assert_int_equal(driver_bed_executions(bed, "part", &rows), 4);
    driver_bed_ended(bed, driver_bed_order(bed, "w"), STATE_SUCCESS);

    const struct task_run *items = NULL;
    const struct execution *execution = driver_bed_execution(bed, id);
    for (size_t i = 0; i < execution->runs.count; i++)
        if (str_eq(execution->runs.items[i]->task_id, "each_items"))
            items = execution->runs.items[i];
    assert_non_null(items);
    const char *files[] = { "", "", "" };
    size_t pages = 0;
    size_t found = 0;
    for (int64_t after = 0; pages == 0 || after != 0; pages++) {
        char arguments[256];
        (void)snprintf(
            arguments, sizeof(arguments),
            "{\"executionId\": \"%s\", \"taskRunId\": \"%s\", \"after\": %lld, \"limit\": 3}", id,
            items->id.text, (long long)after);
        const struct value *answer = answer_of(bed, "execution.children", arguments, "");
        const struct value *children = value_get(answer, "children");
        for (size_t i = 0; i < value_count(children); i++, found++) {
            const struct value *child = value_item(children, i);
            int64_t iteration = value_get_int(child, "iteration", -1);
            assert_in_range(iteration, 0, 2);
            files[iteration] = value_get_text(value_get(child, "outputs"), "file", "");
        }
        after = value_get_int(answer, "next", 0);
    }
    assert_int_equal(pages, 2);
    assert_int_equal(found, 4); // the one that was tried again is among them
    assert_string_equal(files[0], "kestra:///1");
    assert_string_equal(files[1], "kestra:///2");
    assert_string_equal(files[2], "kestra:///3");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(operations_tell_of_executions),
    cmocka_unit_test(operations_resume_a_paused_execution_with_its_inputs),
    cmocka_unit_test(operations_fetch_and_purge_log_lines),
    cmocka_unit_test(operations_purge_executions_in_parts),
    cmocka_unit_test(operations_purge_keys_by_pattern),
    cmocka_unit_test(operations_purge_old_versions_of_keys),
    cmocka_unit_test(operations_purge_many_keys_page_by_page),
    cmocka_unit_test(operations_purge_old_revisions_of_files),
    cmocka_unit_test(operations_toggle_a_trigger),
    cmocka_unit_test(operations_run_a_subflow_and_wait_for_it),
    cmocka_unit_test(operations_give_the_outputs_of_batches_in_order),
};
TEST_GROUP(operations, tests)
