/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules: a flow written by filling in a form.
 *
 * A module is a folder with a module.yaml: inputs, and a template of a flow. A flow file that says
 * `module: NAME` with `with:` values stands for the template with every `${{ expression }}`
 * replaced. Everything else of the template stays byte for byte. Pure.
 *
 *     # modules/airbyte-dbt/module.yaml         # flows/orders.yml
 *     description: Sync, then transform.        id: orders
 *     inputs:                                   module: airbyte-dbt
 *       - id: connection                        with:
 *         type: STRING                            connection: 4f1c
 *     template: |                               labels: { team: sales }
 *       tasks:
 *         - id: sync
 *           type: io.kestra.plugin.airbyte.connections.Sync
 *           connectionId: ${{ inputs.connection }}
 *
 * Expressions see `inputs`, `flow.id`, `flow.namespace` and `module.name`. A value that is a whole
 * scalar is written as YAML of the same type; inside a quoted text or a block it is escaped and
 * indented to fit. Ordinary `{{ … }}` expressions are left for the run.
 */
#ifndef CORE_MODULE_H
#define CORE_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct arena;
struct diag_list;
struct flow_input;
struct value;

#define MODULE_FILE_NAME "module.yaml"

/* Bytes of a module.yaml; the template is inside. */
#define MODULE_BYTES_MAX ((size_t)1024 * 1024)

/* Expressions in one template. */
#define MODULE_SPANS_MAX 5000U

/* Immutable once made; owned by an arena. Any thread may expand it. */
struct module {
    const char *name;
    const char *file; /* path of module.yaml, for findings */
    const char *description;
    struct flow_input *inputs;
    size_t inputs_count;
    const char *template; /* without the indentation it has in the file */
    size_t template_length;
    uint32_t template_line; /* of the file, where the template starts */
    uint32_t template_indent;
};

/* Reads a module.yaml; NULL when it has mistakes, which are findings. */
const struct module *module_parse(struct arena *arena,
                                  const char *name,
                                  const char *file,
                                  const char *text,
                                  size_t length,
                                  struct diag_list *findings);

/* Name of the module that a flow file uses; NULL when it uses none. Cheap for the usual file. */
const char *module_of(struct arena *arena, const char *text, size_t length);

/* Where a line of an expanded flow came from. */
struct module_line {
    const char *file;
    uint32_t line;
    uint32_t indent; /* columns that the line has more in its file */
};

struct module_map {
    VEC(struct module_line) lines; /* of the expanded text */
};

/*
 * The flow that a flow file stands for.
 *
 * file       path of the flow file, for findings
 * namespace  of the flow when it names none, may be NULL
 * length     out
 * map        out, for module_place()
 * Returns    NULL when there are mistakes, which are findings
 */
const char *module_expand(struct arena *arena,
                          const struct module *module,
                          const char *file,
                          const char *text,
                          size_t text_length,
                          const char *namespace,
                          size_t *length,
                          struct module_map *map,
                          struct diag_list *findings);

/* Moves findings about an expanded flow to where their lines were written. */
void module_place(const struct module *module,
                  const struct module_map *map,
                  const char *file,
                  struct diag_list *findings);

#endif
