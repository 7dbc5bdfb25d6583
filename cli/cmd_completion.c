/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shell completion. The scripts only call `weir __complete WORD...`, which answers from the command
 * table, so that a new command or option is completed without touching them.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "core/value.h"

static const char bash_script[] =
    "_weir() {\n"
    "    local words=(\"${COMP_WORDS[@]:1:COMP_CWORD}\") answer\n"
    "    answer=$(weir __complete -- \"${words[@]}\" 2>/dev/null) || return\n"
    "    if [ \"$answer\" = :file ] || [ \"$answer\" = :folder ]; then\n"
    "        compopt -o default; COMPREPLY=(); return\n"
    "    fi\n"
    "    local IFS=$'\\n'\n"
    "    COMPREPLY=($(compgen -W \"$answer\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
    "}\n"
    "complete -F _weir weir\n";

static const char zsh_script[] =
    "#compdef weir\n"
    "_weir() {\n"
    "    local answer=$(weir __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    case $answer in\n"
    "    :file|:folder) _files ;;\n"
    "    *) compadd -- ${(f)answer} ;;\n"
    "    esac\n"
    "}\n"
    "compdef _weir weir\n";

static const char fish_script[] =
    "function __weir_complete\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    set -l answer (weir __complete -- $words[2..-1] 2>/dev/null)\n"
    "    if contains -- \"$answer\" :file :folder\n"
    "        __fish_complete_path (commandline -ct)\n"
    "    else\n"
    "        printf '%s\\n' $answer\n"
    "    end\n"
    "end\n"
    "complete -c weir -f -a '(__weir_complete)'\n";

static int run_script(struct command_line *line)
{
    const char *shell = line->arguments[0];
    if (strcmp(shell, "bash") == 0)
        (void)fputs(bash_script, stdout);
    else if (strcmp(shell, "zsh") == 0)
        (void)fputs(zsh_script, stdout);
    else if (strcmp(shell, "fish") == 0)
        (void)fputs(fish_script, stdout);
    else
        return command_usage(line, "no completion for '%s'; there is bash, zsh and fish", shell);
    return EXIT_OK;
}

static const struct cli_command *named(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static void offer(const char *word, const char *prefix)
{
    if (str_starts(word, prefix))
        (void)puts(word);
}

static void offer_words(const char *const *words, const char *prefix)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++)
        offer(words[i], prefix);
}

static void offer_options(const struct option *table, const char *prefix)
{
    char text[64];
    for (const struct option *row = table; row != NULL && row->name != NULL; row++) {
        (void)snprintf(text, sizeof(text), "--%s", row->name);
        offer(text, prefix);
    }
}

/* Names the server knows; silent when there is none. */
static void offer_from_server(struct command_line *line,
                              enum complete_kind kind,
                              const char *prefix)
{
    struct client client = client_open(line);
    struct error err = { 0 };
    const char *path = kind == COMPLETE_FLOW
                           ? "flows/search?size=200"
                           : "executions/search?taskRuns=false&size=100&sort=state.startDate:desc";
    const struct value *answer = client_get(&client, line->arena, path, &err);
    const struct value *results = value_get(answer, "results");
    for (size_t i = 0; i < value_count(results); i++) {
        const struct value *row = value_item(results, i);
        const char *id = value_get_text(row, "id", "");
        if (kind == COMPLETE_FLOW)
            id = arena_printf(line->arena, "%s/%s", value_get_text(row, "namespace", ""), id);
        offer(id, prefix);
    }
}

static void offer_kind(struct command_line *line,
                       enum complete_kind kind,
                       const char *const *words,
                       const char *prefix)
{
    switch (kind) {
    case COMPLETE_NONE:
        break;
    case COMPLETE_FILE:
        (void)puts(":file");
        break;
    case COMPLETE_FOLDER:
        (void)puts(":folder");
        break;
    case COMPLETE_WORDS:
        offer_words(words, prefix);
        break;
    case COMPLETE_FLOW:
    case COMPLETE_EXECUTION:
        offer_from_server(line, kind, prefix);
        break;
    case COMPLETE_COMMAND:
        for (size_t i = 0; commands[i] != NULL; i++) {
            if (!commands[i]->is_hidden)
                offer(commands[i]->name, prefix);
        }
        break;
    }
}

/* The option that `word` names completely and that wants a value, or NULL. */
static const struct option *waiting_option(const struct cli_command *command, const char *word)
{
    if (!str_starts(word, "--"))
        return NULL;
    const struct option *const tables[] = { command->options, common_options };
    for (size_t i = 0; i < 2; i++) {
        for (const struct option *row = tables[i]; row != NULL && row->name != NULL; row++) {
            if (strcmp(row->name, word + 2) == 0)
                return row->kind == OPTION_FLAG ? NULL : row;
        }
    }
    return NULL;
}

static int run_complete(struct command_line *line)
{
    size_t count = line->arguments_count;
    const char *prefix = count == 0 ? "" : line->arguments[count - 1];
    if (count <= 1) {
        offer_kind(line, COMPLETE_COMMAND, NULL, prefix);
        return EXIT_OK;
    }
    const struct cli_command *command = named(line->arguments[0]);
    if (command == NULL)
        return EXIT_OK;
    const struct option *option =
        count >= 2 ? waiting_option(command, line->arguments[count - 2]) : NULL;
    if (option != NULL) {
        offer_kind(line, option->complete, option->words, prefix);
    } else if (prefix[0] == '-') {
        offer_options(command->options, prefix);
        offer_options(common_options, prefix);
        if (command->needs_server)
            offer("--server", prefix);
    } else {
        offer_kind(line, command->complete, command->words, prefix);
    }
    return EXIT_OK;
}

static const char *const shells[] = { "bash", "zsh", "fish", NULL };
static const char *const completion_examples[] = {
    "source <(weir completion bash)",
    NULL,
};

const struct cli_command command_completion = {
    .name = "completion",
    .arguments = "SHELL",
    .summary = "print the completion script of bash, zsh or fish",
    .complete = COMPLETE_WORDS,
    .words = shells,
    .arguments_min = 1,
    .arguments_max = 1,
    .examples = completion_examples,
    .run = run_script,
};

const struct cli_command command_complete = {
    .name = "__complete",
    .arguments = "WORD...",
    .summary = "answer a completion script",
    .arguments_max = SIZE_MAX,
    .run = run_complete,
    .is_hidden = true,
};
