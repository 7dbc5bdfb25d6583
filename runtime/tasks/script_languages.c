/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scripts and commands of every language: one table says how each is started.
 *
 * To add a language: a row in `languages`, a LANGUAGE line at the end, two lines in
 * runtime/plugins.c.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/vec.h"
#include "core/plugin.h"
#include "runtime/tasks/script.h"
#include "runtime/worker/services.h"

#define TYPE_PREFIX "io.kestra.plugin.scripts."

enum package_manager { MANAGER_PIP, MANAGER_UV };

struct props {
    struct script_props common;
    const char *script;
    const struct value *commands;
    /* Python. */
    const struct value *dependencies;
    const char *python_version;
    bool cache_enabled;
    int manager; /* enum package_manager */
    bool uv_install;
    /* JBang. */
    bool quiet;
    const char *extension;
};

struct language {
    const char *name;      /* as in the type */
    const char *extension; /* of the script file; NULL: the script is the commands */
    const char *start;     /* words before the script file; "" when it is started itself */
    const char *const *interpreter;
    const char *exit_on_error;
    const char *const *env;
};

static const char *const powershell[] = { "pwsh", "-NoProfile", "-NonInteractive", "-Command",
                                          NULL };
static const char *const python_env[] = { "PYTHONUNBUFFERED=true", "PIP_ROOT_USER_ACTION=ignore",
                                          "PIP_DISABLE_PIP_VERSION_CHECK=1", NULL };

static const struct language languages[] = {
    { "shell", NULL, NULL, NULL, NULL, NULL },
    { "python", ".py", "python", NULL, NULL, python_env },
    { "node", ".js", "node", NULL, NULL, NULL },
    { "powershell", ".ps1", "", powershell, "$ErrorActionPreference = 'Stop'", NULL },
    { "ruby", ".rb", "ruby", NULL, NULL, NULL },
    { "perl", ".pl", "perl", NULL, NULL, NULL },
    { "php", ".php", "php", NULL, NULL, NULL },
    { "lua", ".lua", "lua", NULL, NULL, NULL },
    { "julia", ".jl", "julia", NULL, NULL, NULL },
    { "groovy", ".groovy", "groovy", NULL, NULL, NULL },
    { "r", ".R", "Rscript", NULL, NULL, NULL },
    { "go", ".go", "go run", NULL, NULL, NULL },
    { "bun", ".ts", "bun run", NULL, NULL, NULL },
    { "deno", ".ts", "deno run", NULL, NULL, NULL },
    { "dotnet", ".csx", "dotnet-script", NULL, NULL, NULL },
    { "jbang", ".java", "jbang", NULL, NULL, NULL },
};

/* The language of the running task: the part of its type after the prefix. */
static const struct language *language_of(const struct task_ctx *ctx)
{
    const char *name = ctx->task_type + strlen(TYPE_PREFIX);
    size_t length = strcspn(name, ".");
    for (size_t i = 0; i < COUNT_OF(languages); i++)
        if (strlen(languages[i].name) == length && memcmp(languages[i].name, name, length) == 0)
            return &languages[i];
    CHECK(false);
    return NULL;
}

/* ---- Python ---- */

/* Names that people write from habit in JSON; after `from __future__`, which must come first. */
static const char *with_prelude(struct arena *arena, const char *script)
{
    static const char prelude[] = "true, false, null = True, False, None\n";
    const char *at = script;
    for (const char *line = script; line != NULL;) {
        const char *next = strchr(line, '\n');
        if (str_starts(line, "from __future__ "))
            at = next == NULL ? line + strlen(line) : next + 1;
        line = next == NULL ? NULL : next + 1;
    }
    return arena_printf(arena, "%.*s%s%s%s", (int)(at - script), script,
                        at > script && at[-1] != '\n' ? "\n" : "", prelude, at);
}

/* python of the virtual environment, python, or python3, whichever there is. */
static const char *python_command(struct task_ctx *ctx, const struct props *p)
{
    const char *given = value_get_text(p->common.env, "VIRTUAL_ENV", NULL);
    if (given != NULL)
        return arena_printf(ctx->arena, "%s/bin/python", given);
    if (!script_runs_here(&p->common))
        return "python";
    const char *const *env = script_environment(ctx, true, p->common.env, NULL);
    for (const char *const *at = env; *at != NULL; at++)
        if (str_starts(*at, "VIRTUAL_ENV=") && (*at)[strlen("VIRTUAL_ENV=")] != '\0')
            return arena_printf(ctx->arena, "%s/bin/python", *at + strlen("VIRTUAL_ENV="));
    if (proc_find(ctx->arena, "python", env, NULL) == NULL &&
        proc_find(ctx->arena, "python3", env, NULL) != NULL)
        return "python3";
    return "python";
}

static void put_quoted(struct buf *out, const char *text)
{
    buf_putc(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buf_puts(out, "'\\''");
        else
            buf_putc(out, *text);
    }
    buf_putc(out, '\'');
}

/*
 * Shell text that makes a virtual environment with the dependencies and enters it. One that is kept
 * has a name made of what is in it; a lock keeps two tasks from making it at the same time.
 */
static const char *enter_environment(struct task_ctx *ctx, const struct props *p)
{
    struct buf wanted = { 0 };
    for (size_t i = 0; i < value_count(p->dependencies); i++) {
        const char *dependency = value_cstr(value_item(p->dependencies, i));
        buf_putc(&wanted, ' ');
        put_quoted(&wanted, dependency == NULL ? "" : dependency);
    }
    const char *version = p->python_version == NULL ? "" : p->python_version;
    struct buf identity = { 0 };
    buf_printf(&identity, "%s\n%d\n%s", version, p->manager, buf_text(&wanted));
    const char *digest = digest_sha256_hex(ctx->arena, buf_text(&identity), identity.length);
    bool is_here = script_runs_here(&p->common);
    bool is_kept = is_here && p->cache_enabled && ctx->services->cache_root != NULL;
    const char *folder =
        is_kept   ? arena_printf(ctx->arena, "%s/python/%.32s", ctx->services->cache_root, digest)
        : is_here ? arena_printf(ctx->arena, "%s/.venv", ctx->working_dir)
                  : "/tmp/.venv"; // not copied out of the container
    struct buf quoted = { 0 };
    put_quoted(&quoted, folder);
    struct buf text = { 0 };
    buf_printf(&text, "VIRTUAL_ENV=%s\n", buf_text(&quoted));
    buf_puts(&text, "mkdir -p \"$(dirname \"$VIRTUAL_ENV\")\"\n"
                    "(\n");
    if (is_kept)
        buf_puts(&text, "flock 9\n");
    buf_puts(&text, "if [ ! -f \"$VIRTUAL_ENV/.ready\" ]; then\n"
                    "rm -rf \"$VIRTUAL_ENV\"\n");
    struct buf python = { 0 };
    put_quoted(&python,
               *version == '\0' ? "python3" : arena_printf(ctx->arena, "python%s", version));
    struct buf wanted_python = { 0 };
    if (*version != '\0') {
        buf_puts(&wanted_python, "--python ");
        put_quoted(&wanted_python, version);
        buf_putc(&wanted_python, ' ');
    }
    if (p->manager == MANAGER_UV)
        buf_printf(&text,
                   "if command -v uv >/dev/null; then\n"
                   "uv venv -q %s\"$VIRTUAL_ENV\"\n"
                   "uv pip install -q --python \"$VIRTUAL_ENV/bin/python\"%s\n"
                   "else\n",
                   buf_text(&wanted_python), buf_text(&wanted));
    buf_printf(&text,
               "%s -m venv \"$VIRTUAL_ENV\"\n"
               "\"$VIRTUAL_ENV/bin/python\" -m pip install -q%s\n",
               buf_text(&python), buf_text(&wanted));
    if (p->manager == MANAGER_UV)
        buf_puts(&text, "fi\n");
    buf_puts(&text, "touch \"$VIRTUAL_ENV/.ready\"\n"
                    "fi\n"
                    ") 9>\"$VIRTUAL_ENV.lock\"\n"
                    "PATH=\"$VIRTUAL_ENV/bin:$PATH\"\n"
                    "export VIRTUAL_ENV PATH");
    const char *result = buf_dup(&text, ctx->arena);
    buf_free(&wanted);
    buf_free(&identity);
    buf_free(&quoted);
    buf_free(&python);
    buf_free(&wanted_python);
    buf_free(&text);
    return result;
}

/* ---- preparing ---- */

/* The file with the script, below the working directory. */
static const char *write_script(struct task_ctx *ctx,
                                const struct language *language,
                                const struct props *p,
                                struct error *err)
{
    bool is_python = str_eq(language->name, "python");
    const char *text = files_localize(ctx, p->script, err);
    if (text == NULL)
        return NULL;
    if (is_python)
        text = with_prelude(ctx->arena, text);
    const char *extension = str_empty(p->extension) ? language->extension : p->extension;
    const char *name = arena_printf(ctx->arena, "script-%.8s%s%s", ctx->run_id,
                                    *extension == '.' ? "" : ".", extension);
    struct value_builder file = value_build(ctx->arena);
    // A text that looks like a URI is a text all the same: it is written, not fetched.
    value_put_text(&file, name,
                   task_is_file_uri(text) ? arena_printf(ctx->arena, "\n%s", text) : text);
    return files_write_inputs(ctx, value_build_map(&file), err) ? name : NULL;
}

static const char *start_words(struct task_ctx *ctx,
                               const struct language *language,
                               const struct props *p)
{
    if (str_eq(language->name, "python"))
        return value_count(p->dependencies) > 0 ? "python" : python_command(ctx, p);
    if (str_eq(language->name, "jbang") && p->quiet)
        return "jbang --quiet";
    return language->start;
}

static bool prepare(struct task_ctx *ctx,
                    const void *bound,
                    struct process_spec *spec,
                    struct error *err)
{
    const struct props *p = bound;
    const struct language *language = language_of(ctx);
    struct script_command command = {
        .commands = p->commands,
        .interpreter = language->interpreter,
        .exit_on_error = language->exit_on_error,
        .env = language->env,
    };
    struct value_builder commands = value_build(ctx->arena);
    if (value_count(p->dependencies) > 0)
        value_add(&commands, value_string(ctx->arena, enter_environment(ctx, p)));
    if (p->script == NULL) {
        for (size_t i = 0; i < value_count(p->commands); i++)
            value_add(&commands, value_item(p->commands, i));
    } else if (language->extension == NULL) {
        value_add(&commands, value_string(ctx->arena, p->script));
    } else {
        const char *name = write_script(ctx, language, p, err);
        if (name == NULL)
            return false;
        const char **except = ARENA_ARRAY(ctx->arena, 2, const char *);
        except[0] = name;
        command.except = except;
        const char *words = start_words(ctx, language, p);
        value_add(&commands,
                  value_string(ctx->arena, *words == '\0'
                                               ? arena_printf(ctx->arena, "./%s", name)
                                               : arena_printf(ctx->arena, "%s %s", words, name)));
    }
    command.commands = value_build_list(&commands);
    return script_prepare(ctx, &p->common, &command, spec, err);
}

static bool finish(struct task_ctx *ctx,
                   const void *bound,
                   int exit_code,
                   struct value_builder *out,
                   struct error *err)
{
    const struct props *p = bound;
    return script_finish(ctx, &p->common, exit_code, out, err);
}

static const struct process_ops ops = {
    .prepare = prepare,
    .line = script_line,
    .finish = finish,
};

/* ---- descriptors ---- */

static const struct plugin_output outputs[] = { SCRIPT_OUTPUTS, { 0 } };

static const char *const manager_words[] = { "PIP", "UV", NULL };

#define SCRIPT_ROW                                                                                 \
    {                                                                                              \
        "script", STR(struct props, script), .flags = PROP_REQUIRED | PROP_EXPR,                   \
                                             .doc = "The program text."                            \
    }
#define COMMANDS_ROW                                                                               \
    {                                                                                              \
        "commands", LIST(struct props, commands),                                                  \
            .item = PROP_STRING, .flags = PROP_REQUIRED | PROP_EXPR | PROP_NOT_EMPTY,              \
            .doc = "Commands, run one after the other in one shell."                               \
    }

#define ROWS_python(default_manager)                                                               \
    { "dependencies", STRINGS(struct props, dependencies), .flags = PROP_EXPR,                     \
      .doc = "Packages to install before, as requirements." },                                     \
        { "pythonVersion", STR(struct props, python_version), .flags = PROP_EXPR,                  \
          .doc = "Version of Python for the packages, for example `3.12`." },                      \
        { "dependencyCacheEnabled", BOOL(struct props, cache_enabled), .flags = PROP_EXPR,         \
          .fallback = "true", .doc = "Keep the installed packages for the next run." },            \
        { "packageManager",                                                                        \
          ENUM(struct props, manager),                                                             \
          .words = manager_words,                                                                  \
          .flags = PROP_EXPR,                                                                      \
          .fallback = default_manager,                                                             \
          .doc = "What installs the packages; `UV` falls back to `PIP` where it is missing." },    \
        { "uvAutoInstallEnabled", BOOL(struct props, uv_install), .flags = PROP_EXPR,              \
          .fallback = "true", .doc = "Accepted; weir installs no package manager." },
#define ROWS_jbang(unused)                                                                         \
    { "quiet", BOOL(struct props, quiet), .flags = PROP_EXPR, .fallback = "true",                  \
      .doc = "Let JBang itself print nothing." },                                                  \
        { "extension", STR(struct props, extension), .flags = PROP_EXPR,                           \
          .doc = "Extension of the script file." },
#define ROWS_none(unused)

#define DESCRIBE(language, title_, image, script_example, commands_example, script_rows,           \
                 command_rows)                                                                     \
    static const struct prop language##_script_props[] = {                                         \
        SCRIPT_ROW,                                                                                \
        script_rows SCRIPT_ROWS(struct props, common, image),                                      \
        { 0 },                                                                                     \
    };                                                                                             \
    static const struct prop language##_commands_props[] = {                                       \
        COMMANDS_ROW,                                                                              \
        command_rows SCRIPT_ROWS(struct props, common, image),                                     \
        { 0 },                                                                                     \
    };                                                                                             \
    static const struct plugin_example language##_script_examples[] = {                            \
        { "A short script", script_example },                                                      \
        { 0 },                                                                                     \
    };                                                                                             \
    static const struct plugin_example language##_commands_examples[] = {                          \
        { "A file of the namespace", commands_example "namespaceFiles:\n  enabled: true\n" },      \
        { 0 },                                                                                     \
    };                                                                                             \
    const struct plugin task_script_##language##_script = {                                        \
        .id = TYPE_PREFIX #language ".Script",                                                     \
        .role = PLUGIN_TASK,                                                                       \
        .task_kind = TASK_PROCESS,                                                                 \
        .title = "Run a " title_ " script.",                                                       \
        .props = language##_script_props,                                                          \
        .props_size = sizeof(struct props),                                                        \
        .outputs = outputs,                                                                        \
        .examples = language##_script_examples,                                                    \
        .process_ops = &ops,                                                                       \
    };                                                                                             \
    const struct plugin task_script_##language##_commands = {                                      \
        .id = TYPE_PREFIX #language ".Commands",                                                   \
        .role = PLUGIN_TASK,                                                                       \
        .task_kind = TASK_PROCESS,                                                                 \
        .title = "Run commands with " title_ " at hand.",                                          \
        .props = language##_commands_props,                                                        \
        .props_size = sizeof(struct props),                                                        \
        .outputs = outputs,                                                                        \
        .examples = language##_commands_examples,                                                  \
        .process_ops = &ops,                                                                       \
    };

// clang-format off
#define LANGUAGE(language, title, image, script_example, commands_example)                         \
    DESCRIBE(language, title, image, script_example, commands_example, ROWS_none(0), ROWS_none(0))

LANGUAGE(shell, "shell", "ubuntu",
  "script: |\n  echo \"hello {{ inputs.name }}\"\n", "commands:\n  - ./run.sh\n")
DESCRIBE(python, "Python", "python:3.13-slim",
  "script: |\n  print('hello')\n", "commands:\n  - python main.py\n", ROWS_python("UV"), ROWS_python("PIP"))
LANGUAGE(node, "Node", "node",
  "script: |\n  console.log('hello')\n", "commands:\n  - node main.js\n")
LANGUAGE(powershell, "Powershell", "ghcr.io/kestra-io/powershell:latest",
  "script: |\n  Write-Output 'hello'\n", "commands:\n  - Get-Date\n")
LANGUAGE(ruby, "Ruby", "ruby",
  "script: |\n  puts 'hello'\n", "commands:\n  - ruby main.rb\n")
LANGUAGE(perl, "Perl", "perl",
  "script: |\n  print \"hello\\n\";\n", "commands:\n  - perl main.pl\n")
LANGUAGE(php, "PHP", "php",
  "script: |\n  <?php echo 'hello';\n", "commands:\n  - php main.php\n")
LANGUAGE(lua, "Lua", "nickblah/lua",
  "script: |\n  print('hello')\n", "commands:\n  - lua main.lua\n")
LANGUAGE(julia, "Julia", "julia",
  "script: |\n  println(\"hello\")\n", "commands:\n  - julia main.jl\n")
LANGUAGE(groovy, "Groovy", "groovy",
  "script: |\n  println 'hello'\n", "commands:\n  - groovy main.groovy\n")
LANGUAGE(r, "R", "r-base",
  "script: |\n  print('hello')\n", "commands:\n  - Rscript main.R\n")
LANGUAGE(go, "Go", "golang",
  "script: |\n  package main\n  func main() { println(\"hello\") }\n", "commands:\n  - go run main.go\n")
LANGUAGE(bun, "Bun", "oven/bun",
  "script: |\n  console.log('hello')\n", "commands:\n  - bun run main.ts\n")
LANGUAGE(deno, "Deno", "denoland/deno",
  "script: |\n  console.log('hello')\n", "commands:\n  - deno run main.ts\n")
LANGUAGE(dotnet, ".NET", "mcr.microsoft.com/dotnet/sdk:10.0",
  "script: |\n  Console.WriteLine(\"hello\");\n", "commands:\n  - dotnet-script main.csx\n")
DESCRIBE(jbang, "Java", "jbangdev/jbang-action",
  "script: |\n  class main { public static void main(String[] a) { System.out.println(\"hello\"); } }\n", "commands:\n  - jbang main.java\n", ROWS_jbang(0), ROWS_jbang(0))
// clang-format on
