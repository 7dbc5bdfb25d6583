/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes what is made from tables: schemas/ and docs/reference/. Usage: generate FOLDER
 *
 * Pages of types that are gone are removed.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/map.h"
#include "base/str.h"
#include "core/config.h"
#include "core/docgen.h"
#include "core/expr/expr.h"
#include "core/plugin.h"
#include "core/repo_config.h"
#include "core/schema.h"
#include "runtime/plugins.h"

struct generator {
    struct arena *arena;
    const char *root;
    struct map pages; /* names of files in docs/reference */
    struct buf out;   /* of the file under way */
};

static void stop(const struct error *err)
{
    (void)fprintf(stderr, "generate: %s\n", err->text);
    exit(EXIT_FAILURE);
}

/* Ends the file under way. */
static void save(struct generator *generator, const char *folder, const char *name)
{
    struct error err = { 0 };
    const char *path = arena_printf(generator->arena, "%s/%s", generator->root, folder);
    if (!fs_mkdirs(path, 0755, &err))
        stop(&err);
    path = arena_printf(generator->arena, "%s/%s", path, name);
    if (!fs_write_atomic(path, buf_text(&generator->out), generator->out.length, 0644, &err))
        stop(&err);
    if (strcmp(folder, "docs/reference") == 0)
        (void)map_put(&generator->pages, name, generator);
    buf_clear(&generator->out);
}

static void remove_old_pages(struct generator *generator)
{
    const char *folder = arena_printf(generator->arena, "%s/docs/reference", generator->root);
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (str_ends(entry->d_name, ".md") && !map_has(&generator->pages, entry->d_name))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
}

static void write_schemas(struct generator *generator)
{
    schema_write(&generator->out, schema_flow(generator->arena, plugins()));
    save(generator, "schemas", "flow.json");
    schema_write(&generator->out,
                 schema_table(generator->arena, "weir/repository.json",
                              "What a repository deploys: weir.yaml", repo_config_props));
    save(generator, "schemas", "repository.json");
    schema_write(&generator->out, schema_settings(generator->arena, settings));
    save(generator, "schemas", "config.json");
}

static void write_pages(struct generator *generator)
{
    const char *folder = "docs/reference";
    docgen_index(&generator->out, plugins());
    save(generator, folder, "README.md");
    docgen_flow(&generator->out);
    save(generator, folder, "flow.md");
    docgen_table(&generator->out, "The repository file weir.yaml",
                 "At the root of a repository: what it deploys, and what a plan must satisfy. "
                 "Every property is optional.",
                 repo_config_props);
    save(generator, folder, "repository.md");
    docgen_settings(&generator->out, settings);
    save(generator, folder, "settings.md");
    size_t count = 0;
    const struct expr_builtin *builtins = expr_builtins(&count);
    docgen_expressions(&generator->out, builtins, count);
    save(generator, folder, "expressions.md");
    const struct plugin *const *all = plugin_all(plugins(), &count);
    for (size_t i = 0; i < count; i++) {
        docgen_plugin(&generator->out, all[i]);
        save(generator, folder, arena_printf(generator->arena, "%s.md", all[i]->id));
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: generate FOLDER\n");
        return EXIT_FAILURE;
    }
    AUTO(arena_freep) struct arena *arena = arena_new();
    struct generator generator = { .arena = arena, .root = argv[1] };
    write_schemas(&generator);
    write_pages(&generator);
    remove_old_pages(&generator);
    map_free(&generator.pages);
    buf_free(&generator.out);
    return EXIT_SUCCESS;
}
