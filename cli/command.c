/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "cli/output.h"

static const char *const color_words[] = { "auto", "always", "never", NULL };
static const char *const output_words[] = { "text", "json", NULL };

const struct option common_options[] = {
    { "help", 'h', OPTION_FLAG, .doc = "Show this help." },
    { "output", 'o', OPTION_VALUE, "FORMAT", output_words, COMPLETE_WORDS,
      "text for people (default) or json for programs." },
    { "color", 0, OPTION_VALUE, "WHEN", color_words, COMPLETE_WORDS,
      "auto (default), always or never; NO_COLOR is honoured." },
    { 0 },
};

static const struct option server_option = {
    "server",
    's',
    OPTION_VALUE,
    "URL",
    NULL,
    COMPLETE_NONE,
    "Server to ask; default $WEIR_SERVER, else http://127.0.0.1:8080.",
};

static const struct option *find_in(const struct option *table, const char *name, size_t length)
{
    for (const struct option *row = table; row != NULL && row->name != NULL; row++) {
        if (strlen(row->name) == length && memcmp(row->name, name, length) == 0)
            return row;
    }
    return NULL;
}

static const struct option *find_option(const struct cli_command *command,
                                        const char *name,
                                        size_t length)
{
    const struct option *found = find_in(command->options, name, length);
    if (found == NULL)
        found = find_in(common_options, name, length);
    if (found == NULL && command->needs_server && length == strlen(server_option.name) &&
        memcmp(server_option.name, name, length) == 0)
        found = &server_option;
    return found;
}

static const struct option *find_letter(const struct cli_command *command, char letter)
{
    const struct option *const tables[] = { command->options, common_options };
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        for (const struct option *row = tables[i]; row != NULL && row->name != NULL; row++) {
            if (row->letter == letter)
                return row;
        }
    }
    return command->needs_server && letter == server_option.letter ? &server_option : NULL;
}

static const struct cli_command *find_command(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

const char *line_option(const struct command_line *line, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < line->given.count; i++) {
        if (strcmp(line->given.items[i].option->name, name) == 0)
            value = line->given.items[i].value;
    }
    return value;
}

bool line_flag(const struct command_line *line, const char *name)
{
    return line_option(line, name) != NULL;
}

const char **line_options(const struct command_line *line, const char *name)
{
    const char **values = ARENA_ARRAY(line->arena, line->given.count + 1, const char *);
    size_t count = 0;
    for (size_t i = 0; i < line->given.count; i++) {
        if (strcmp(line->given.items[i].option->name, name) == 0)
            values[count++] = line->given.items[i].value;
    }
    return values;
}

/* ---- help ---- */

static void option_usage(struct buf *out, const struct option *row)
{
    if (row->letter != 0)
        buf_printf(out, "-%c, ", row->letter);
    else
        buf_puts(out, "    ");
    buf_printf(out, "--%s", row->name);
    if (row->metavar != NULL)
        buf_printf(out, " %s", row->metavar);
}

static void print_options(struct buf *out, const struct option *table)
{
    for (const struct option *row = table; row != NULL && row->name != NULL; row++) {
        struct buf left = { 0 };
        option_usage(&left, row);
        buf_printf(out, "  %-28s %s\n", buf_text(&left), row->doc);
        buf_free(&left);
    }
}

static void command_help(struct buf *out, const struct cli_command *command)
{
    buf_printf(out, "weir %s%s%s: %s\n", command->name, command->arguments[0] == '\0' ? "" : " ",
               command->arguments, command->summary);
    if (command->doc != NULL)
        buf_printf(out, "\n%s\n", command->doc);
    buf_puts(out, "\nOptions\n");
    print_options(out, command->options);
    if (command->needs_server)
        print_options(out, (const struct option[]){ server_option, { 0 } });
    print_options(out, common_options);
    if (command->examples != NULL) {
        buf_puts(out, "\nExamples\n");
        for (size_t i = 0; command->examples[i] != NULL; i++)
            buf_printf(out, "  %s\n", command->examples[i]);
    }
    buf_printf(out, "\nExit status\n  0 done, 1 failed, 64 wrong command line%s%s\n",
               command->exits == NULL ? "" : "; ", command->exits == NULL ? "" : command->exits);
}

static void program_help(struct buf *out)
{
    buf_puts(out, "weir: flows from Git, planned, applied and run\n\n"
                  "usage: weir COMMAND [OPTIONS] [ARGUMENTS]\n\n"
                  "Commands\n");
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (!commands[i]->is_hidden)
            buf_printf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    }
    buf_puts(out, "\nweir help COMMAND tells more about one. First steps: weir up FOLDER-OR-URL\n");
}

static int run_help(struct command_line *line)
{
    struct buf out = { 0 };
    int status = EXIT_OK;
    if (line->arguments_count == 0) {
        program_help(&out);
    } else {
        const struct cli_command *command = find_command(line->arguments[0]);
        if (command == NULL)
            status = command_usage(line, "there is no command '%s'", line->arguments[0]);
        else
            command_help(&out, command);
    }
    (void)fputs(buf_text(&out), stdout);
    buf_free(&out);
    return status;
}

const struct cli_command command_help_row = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "tell what a command does",
    .complete = COMPLETE_COMMAND,
    .arguments_max = 1,
    .run = run_help,
};

void command_markdown(struct buf *out, const struct cli_command *command)
{
    buf_printf(out, "## weir %s\n\n%s.\n\n", command->name, command->summary);
    buf_printf(out, "    weir %s %s\n\n", command->name, command->arguments);
    if (command->doc != NULL)
        buf_printf(out, "%s\n\n", command->doc);
    buf_puts(out, "| option | meaning |\n|---|---|\n");
    const struct option *const tables[] = { command->options, common_options };
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        for (const struct option *row = tables[i]; row != NULL && row->name != NULL; row++)
            buf_printf(out, "| `--%s%s%s` | %s |\n", row->name, row->metavar == NULL ? "" : " ",
                       row->metavar == NULL ? "" : row->metavar, row->doc);
    }
    if (command->needs_server)
        buf_printf(out, "| `--server URL` | %s |\n", server_option.doc);
    buf_printf(out, "\nExit status: 0 done, 1 failed, 64 wrong command line%s%s.\n\n",
               command->exits == NULL ? "" : "; ", command->exits == NULL ? "" : command->exits);
}

/* ---- parsing ---- */

int command_fail(const struct command_line *line, const struct error *err)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "%sweir %s:%s %s\n", output_paint(2, PAINT_RED), line->command->name,
                  output_paint(2, PAINT_OFF), err->text);
    return EXIT_ERROR;
}

static int usage_error(const char *command, const char *format, va_list args)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "weir%s%s: ", command == NULL ? "" : " ", command == NULL ? "" : command);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\nsee: weir help%s%s\n", command == NULL ? "" : " ",
                  command == NULL ? "" : command);
    return EXIT_USAGE;
}

static int usage(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int usage(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = usage_error(command, format, args);
    va_end(args);
    return status;
}

int command_usage(const struct command_line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int status = usage_error(line->command->name, format, args);
    va_end(args);
    return status;
}

static int unknown_option(const struct cli_command *command, const char *name)
{
    const char *names[128];
    size_t count = 0;
    const struct option *const tables[] = { command->options, common_options };
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        for (const struct option *row = tables[i];
             row != NULL && row->name != NULL && count < COUNT_OF(names); row++)
            names[count++] = row->name;
    }
    const char *nearest = str_nearest(name, names, count);
    if (nearest == NULL)
        return usage(command->name, "unknown option '--%s'", name);
    return usage(command->name, "unknown option '--%s', did you mean '--%s'?", name, nearest);
}

static int unknown_command(const char *name)
{
    const char *names[128];
    size_t count = 0;
    for (size_t i = 0; commands[i] != NULL && count < COUNT_OF(names); i++)
        names[count++] = commands[i]->name;
    const char *nearest = str_nearest(name, names, count);
    if (nearest == NULL)
        return usage(NULL, "there is no command '%s'", name);
    return usage(NULL, "there is no command '%s', did you mean '%s'?", name, nearest);
}

static bool word_allowed(const struct option *option, const char *value)
{
    if (option->words == NULL)
        return true;
    for (size_t i = 0; option->words[i] != NULL; i++) {
        if (strcmp(option->words[i], value) == 0)
            return true;
    }
    return false;
}

static int add_option(struct command_line *line, const struct option *option, const char *value)
{
    if (!word_allowed(option, value)) {
        struct buf words = { 0 };
        for (size_t i = 0; option->words[i] != NULL; i++)
            buf_printf(&words, "%s%s", i == 0 ? "" : ", ", option->words[i]);
        int status = usage(line->command->name, "--%s is '%s', but can be only one of: %s",
                           option->name, value, buf_text(&words));
        buf_free(&words);
        return status;
    }
    struct given_option *given = VEC_PUSH_ARENA(line->arena, &line->given);
    given->option = option;
    given->value = value;
    return EXIT_OK;
}

/* One argument that starts with dashes; *at is advanced when the value is the next argument. */
static int parse_option(struct command_line *line, char **argv, int argc, int *at)
{
    const char *text = argv[*at];
    const struct option *option;
    const char *value = NULL;
    if (text[1] == '-') {
        const char *name = text + 2;
        size_t length = strcspn(name, "=");
        option = find_option(line->command, name, length);
        if (option == NULL)
            return unknown_option(line->command, arena_strndup(line->arena, name, length));
        if (name[length] == '=')
            value = name + length + 1;
    } else {
        option = find_letter(line->command, text[1]);
        if (option == NULL)
            return usage(line->command->name, "unknown option '-%c'", text[1]);
        if (text[2] != '\0')
            value = text + 2;
    }

    if (option->kind == OPTION_FLAG) {
        if (value != NULL)
            return usage(line->command->name, "option '--%s' takes no value", option->name);
        return add_option(line, option, "");
    }
    if (value == NULL) {
        if (*at + 1 >= argc)
            return usage(line->command->name, "option '--%s' needs a value", option->name);
        value = argv[++*at];
    }
    return add_option(line, option, value);
}

static int parse(struct command_line *line, int argc, char **argv)
{
    bool only_arguments = false;
    line->arguments = ARENA_ARRAY(line->arena, (size_t)argc + 1, const char *);
    for (int i = 0; i < argc; i++) {
        if (!only_arguments && strcmp(argv[i], "--") == 0) {
            only_arguments = true;
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
            int status = parse_option(line, argv, argc, &i);
            if (status != EXIT_OK)
                return status;
        } else {
            line->arguments[line->arguments_count++] = argv[i];
        }
    }
    return EXIT_OK;
}

int command_main(int argc, char **argv)
{
    if (argc < 2) {
        struct buf out = { 0 };
        program_help(&out);
        (void)fputs(buf_text(&out), stderr);
        buf_free(&out);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";
    const struct cli_command *command = find_command(name);
    if (command == NULL)
        return unknown_command(name);

    AUTO_ARENA struct arena *arena = arena_new();
    struct command_line line = { .arena = arena, .command = command };
    int status = parse(&line, argc - 2, argv + 2);
    if (status != EXIT_OK)
        return status;
    output_setup(line_option(&line, "color"), str_eq(line_option(&line, "output"), "json"));
    if (line_flag(&line, "help")) {
        struct buf out = { 0 };
        command_help(&out, command);
        (void)fputs(buf_text(&out), stdout);
        buf_free(&out);
        return EXIT_OK;
    }
    if (line.arguments_count < command->arguments_min)
        return command_usage(&line, "expected %s", command->arguments);
    if (line.arguments_count > command->arguments_max)
        return command_usage(&line, "unexpected argument '%s'",
                             line.arguments[command->arguments_max]);
    return command->run(&line);
}
