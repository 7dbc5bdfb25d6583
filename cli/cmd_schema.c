/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/version.h"
#include "core/config.h"
#include "core/repo_config.h"
#include "core/schema.h"
#include "runtime/api/api.h"
#include "runtime/plugins.h"

static const char *const words[] = { "flow", "repository", "config", "openapi", NULL };

static int run(struct command_line *line)
{
    const char *name = line->arguments[0];
    const struct value *schema = NULL;
    if (strcmp(name, "flow") == 0)
        schema = schema_flow(line->arena, plugins());
    else if (strcmp(name, "repository") == 0)
        schema = schema_table(line->arena, "weir/repository.json",
                              "What a repository deploys: weir.yaml", repo_config_props);
    else if (strcmp(name, "config") == 0)
        schema = schema_settings(line->arena, settings);
    else if (strcmp(name, "openapi") == 0)
        schema = api_openapi(line->arena, WEIR_VERSION);
    else
        return command_usage(line, "no schema '%s': flow, repository, config or openapi", name);
    struct buf out = { 0 };
    schema_write(&out, schema);
    (void)fwrite(out.bytes, 1, out.length, stdout);
    buf_free(&out);
    return EXIT_OK;
}

static const char *const examples[] = { "weir schema flow > flow.json", NULL };

const struct cli_command command_schema = {
    .name = "schema",
    .arguments = "flow|repository|config|openapi",
    .summary = "print a JSON Schema for editors, or the description of the API",
    .doc =
        "The schema of flow files, of weir.yaml, or of the server's settings file. In an editor\n"
        "with YAML support it gives completion, documentation and checks while typing. openapi is\n"
        "the description of the HTTP API.",
    .complete = COMPLETE_WORDS,
    .words = words,
    .arguments_min = 1,
    .arguments_max = 1,
    .examples = examples,
    .run = run,
};
