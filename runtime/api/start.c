/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api/start.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/labels.h"
#include "core/value.h"
#include "runtime/api/host.h"
#include "runtime/storage/storage.h"
#include "runtime/worker/services.h"

bool start_flow(struct start *start,
                struct call *call,
                const char *namespace,
                const char *flow_id,
                int64_t revision)
{
    *start = (struct start){ .call = call };
    struct store_reader *reader = call_reader(call);
    if (reader == NULL)
        return false;
    struct error err = { 0 };
    if (!reader->ops->flow_get(reader, call->arena, namespace, flow_id, revision, false,
                               &start->row, &err)) {
        if (err.code == ERR_NOT_FOUND)
            reply_error(call, 404, "Not Found", "no flow %s/%s", namespace, flow_id);
        else
            reply_failure(call, &err);
        return false;
    }
    if (start->row.disabled) {
        reply_error(call, 409, "Illegal state", "Cannot execute a disabled flow");
        return false;
    }
    start->flow = call_flow(call, &start->row, &err);
    if (start->flow == NULL) {
        reply_error(call, 409, "Illegal state", "%s", err.text);
        return false;
    }
    start->id = call_new_id(call);
    return true;
}

void start_release(struct start *start)
{
    flow_unref(start->flow);
    start->flow = NULL;
}

/* ---- labels ---- */

static bool refuse_label(struct call *call, const struct label *label)
{
    reply_error(call, 422, "Illegal argument",
                "System labels can only be set by Kestra itself, offending label: %s=%s",
                label->key, label->value);
    return false;
}

bool start_labels(struct start *start)
{
    struct call *call = start->call;
    struct http_fields fields = { 0 };
    const struct http_fields *sources[] = { &call->http->query, &start->form.labels };
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < sources[i]->count; j++) {
            if (str_eq(sources[i]->items[j].name, "labels"))
                http_fields_add(call->arena, &fields, "labels", sources[i]->items[j].value);
        }
    }
    struct refusal refusal = { 0 };
    struct label *labels = NULL;
    size_t count = 0;
    if (!labels_parse(call->arena, &fields, &labels, &count, &refusal)) {
        reply_refusal(call, &refusal);
        return false;
    }
    bool has_from = false;
    for (size_t i = 0; i < count; i++) {
        bool is_from = str_eq(labels[i].key, "system.from");
        has_from = has_from || is_from;
        if (label_is_reserved(labels[i].key) && !is_from &&
            !str_eq(labels[i].key, "system.correlationId"))
            return refuse_label(call, &labels[i]);
    }
    start->labels = ARENA_ARRAY(call->arena, count + 1, struct label);
    if (count > 0)
        memcpy(start->labels, labels, count * sizeof(*labels));
    start->labels_count = count;
    if (!has_from)
        start->labels[start->labels_count++] = (struct label){ "system.from", "api" };
    return true;
}

/* ---- inputs ---- */

bool start_inputs(struct start *start)
{
    struct call *call = start->call;
    struct api *api = call->api;
    const struct flow *flow = start->flow;
    const char *folder = arena_printf(
        call->arena, "%s/inputs",
        storage_execution_path(call->arena, flow->namespace, flow->id, start->id.text));
    struct error err = { 0 };
    if (!form_read(call, flow->inputs, flow->inputs_count, folder, &start->form, &err)) {
        reply_failure(call, &err);
        return false;
    }

    struct api_host host;
    const struct value *context = host_flow_context(call->arena, api, flow);
    api_host_init(&host, api, context, map_hash(start->id.text, ID_LENGTH), false);
    struct inputs_request request = {
        .inputs = flow->inputs,
        .count = flow->inputs_count,
        .supplied = start->form.given,
        .env = &host.env,
        .owner = arena_printf(call->arena, "%s.%s", flow->namespace, flow->id),
        .encrypt = api->config.services->encrypt,
        .encrypt_data = api->config.services->data,
    };
    bool ok = inputs_resolve(&request, call->arena, &start->inputs, &err);
    if (ok) {
        inputs_log_warnings(&start->inputs);
        host.env.context = value_with(call->arena, context, "inputs", start->inputs.shown);
        ok = checks_evaluate(flow, &host.env, call->arena, &start->checks, &err);
    }
    api_host_release(&host);
    if (!ok)
        reply_failure(call, &err);
    return ok;
}

void reply_input_errors(struct call *call, const struct inputs_result *inputs)
{
    struct value_builder errors = value_build(call->arena);
    for (size_t i = 0; i < inputs->count; i++) {
        if (inputs->items[i].error != NULL)
            value_add(&errors,
                      error_item(call->arena, inputs->items[i].error, inputs->items[i].input->id));
    }
    reply_invalid(call, inputs_errors(inputs, call->arena), value_build_list(&errors));
}

bool start_accept(struct start *start)
{
    struct call *call = start->call;
    if (start->inputs.errors > 0) {
        reply_input_errors(call, &start->inputs);
        return false;
    }
    if (start->checks.is_blocked) {
        reply_error(call, 422, "Illegal argument", "%s",
                    checks_refusal(&start->checks, call->arena));
        return false;
    }
    return true;
}

/* ---- shapes ---- */

static const struct value *input_value(struct arena *arena, const struct input_result *result)
{
    struct value_builder errors = value_build(arena);
    if (result->error != NULL) {
        struct value_builder item = value_build(arena);
        value_put_text(&item, "message", result->error);
        value_put_bool(&item, "renderError", result->is_render_error);
        value_add(&errors, value_build_map(&item));
    }
    struct value_builder map = value_build(arena);
    const struct value *about = result->input->doc;
    if (result->values != NULL && value_is_map(about))
        about = value_with(arena, about, "values", result->values);
    if (about != NULL)
        value_put(&map, "input",
                  value_with(arena, about, "id", value_string(arena, result->input->id)));
    if (!value_is_null(result->value))
        value_put(&map, "value", result->value);
    value_put_bool(&map, "enabled", result->is_enabled);
    value_put_bool(&map, "isDefault", result->is_default);
    value_put(&map, "errors", value_build_list(&errors));
    return value_build_map(&map);
}

const struct value *shape_input_validation(struct arena *arena,
                                           const char *flow_id,
                                           const char *namespace,
                                           const struct inputs_result *inputs,
                                           const struct checks_result *checks)
{
    static const char *const behaviors[] = {
        [CHECK_BLOCK] = "BLOCK_EXECUTION",
        [CHECK_FAIL] = "FAIL_EXECUTION",
        [CHECK_CREATE] = "CREATE_EXECUTION",
    };
    struct value_builder list = value_build(arena);
    for (size_t i = 0; i < inputs->count; i++)
        value_add(&list, input_value(arena, &inputs->items[i]));
    struct value_builder failed = value_build(arena);
    for (size_t i = 0; checks != NULL && i < checks->count; i++) {
        struct value_builder item = value_build(arena);
        value_put_text(&item, "message", checks->failed[i].message);
        value_put_text(&item, "style", checks->failed[i].style);
        value_put_text(&item, "behavior", behaviors[checks->failed[i].behavior]);
        value_add(&failed, value_build_map(&item));
    }
    struct value_builder map = value_build(arena);
    value_put_text(&map, "id", flow_id);
    value_put_text(&map, "namespace", namespace);
    value_put(&map, "inputs", value_build_list(&list));
    value_put(&map, "checks", value_build_list(&failed));
    return value_build_map(&map);
}
