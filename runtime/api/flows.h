/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the handlers of flows share: parsing for saving, changes, lists.
 */
#ifndef RUNTIME_API_FLOWS_H
#define RUNTIME_API_FLOWS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/diag.h"
#include "runtime/api/call.h"

/* Documents of one request. */
#define FLOW_DOCUMENTS_MAX 10000U

/* A source in a request, and what became of it. */
struct document {
    const char *source;
    size_t length;
    const char *file_name;     /* of a multipart part, NULL none */
    struct flow *flow;         /* NULL: invalid; one reference */
    struct diag_list findings; /* in the arena of the call */
};

/* Parses and checks a source; findings either way. */
void document_parse(struct call *call, struct document *document);
void documents_release(struct document *documents, size_t count);

/*
 * Sources of a request: the parts of a multi-document body, or multipart parts named `flows`. On
 * failure replies and returns false.
 */
bool documents_read(struct call *call, struct document **out, size_t *count);

/* Why a document is refused: texts of api.md 2.1.2. */
void reply_invalid_flow(struct call *call, const struct document *document);
/* Of a flow sent as JSON: types and shapes that do not fit have reasons of their own (1.7). */
void reply_invalid_json_flow(struct call *call, const struct document *document);

/* A change that saves a parsed flow. */
void flow_change_of(struct call *call, const struct document *document, struct flow_change *out);

/* Latest revision of a flow; on failure replies 404 (or 503) and returns false. */
bool call_flow_row(struct call *call,
                   const char *namespace,
                   const char *id,
                   int64_t revision,
                   bool allow_deleted,
                   struct flow_row *out);

/* Replies with a flow; with_source as FlowWithSource. */
void reply_flow(struct call *call, const struct flow_row *row, bool with_source);

/* Appends the JSON of a flow. */
void write_flow(struct call *call, struct buf *out, const struct flow_row *row, bool with_source);

/* Flows a list of {namespace, id} names; on failure replies 404 and returns false. */
bool flows_by_ids(struct call *call, struct flow_row **out, size_t *count);

/* Flows that filters find, with sources; on failure replies and returns false. */
bool flows_by_query(struct call *call, struct flow_row **out, size_t *count);

/*
 * The source with its top-level key `disabled` set: replaced where it stands, or added at the end.
 * Everything else is untouched.
 */
char *source_set_disabled(struct arena *arena, const char *source, size_t length, bool disabled);

/* The source with its first line `namespace: …` naming another one; added when there is none. */
char *source_set_namespace(struct arena *arena,
                           const char *source,
                           size_t length,
                           const char *namespace);

/* JSON of a flow, as YAML. */
char *source_of_json(struct arena *arena, const struct value *flow);

#endif
