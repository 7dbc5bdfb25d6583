/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table: help, usage, option parsing and shell completion come from it.
 *
 * To add a command: its file cli/cmd_NAME.c closing with a `const struct cli_command`, one line in
 * cli/commands.c, `make generate` (reference page), one end-to-end test.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/vec.h"

struct arena;
struct command_line;

/* Exit statuses shared by all commands; a command documents those that differ. */
enum exit_status {
    EXIT_OK = 0,
    EXIT_ERROR = 1,   /* something failed; a message says what */
    EXIT_CHANGES = 2, /* plan, drift: there are differences */
    EXIT_USAGE = 64,  /* the command line itself is wrong */
};

enum option_kind {
    OPTION_FLAG,
    OPTION_VALUE,
    OPTION_REPEAT, /* may be given several times */
};

/* What completion offers for a value or an argument. */
enum complete_kind {
    COMPLETE_NONE,
    COMPLETE_FILE,
    COMPLETE_FOLDER,
    COMPLETE_WORDS,     /* `words` */
    COMPLETE_FLOW,      /* asks the server */
    COMPLETE_EXECUTION, /* asks the server */
    COMPLETE_COMMAND,
};

struct option {
    const char *name; /* without dashes */
    char letter;      /* 0 none */
    enum option_kind kind;
    const char *metavar;      /* NULL for flags */
    const char *const *words; /* allowed values, NULL-terminated; NULL any */
    enum complete_kind complete;
    const char *doc;
};

struct cli_command {
    const char *name;
    const char *arguments;        /* "FOLDER-OR-URL", "[PATH...]", "" */
    const char *summary;          /* one line, lower case, no stop */
    const char *doc;              /* more; plain text wrapped by the printer; may be NULL */
    const struct option *options; /* ended by a zero row; may be NULL */
    enum complete_kind complete;  /* of arguments */
    const char *const *words;     /* COMPLETE_WORDS */
    size_t arguments_min;
    size_t arguments_max;        /* SIZE_MAX unbounded */
    const char *exits;           /* documented exit statuses beyond 0, 1 and 64; may be NULL */
    const char *const *examples; /* NULL-terminated "command line\0" texts; may be NULL */
    int (*run)(struct command_line *line);
    bool needs_server; /* has --server */
    bool is_hidden;
};

struct given_option {
    const struct option *option;
    const char *value;
};

/* A parsed command line. */
struct command_line {
    struct arena *arena;
    const struct cli_command *command;
    VEC(struct given_option) given;
    const char **arguments;
    size_t arguments_count;
};

extern const struct cli_command *const commands[]; /* NULL-terminated, in the order of the help */

/* Options that every command has (--help, --color, --output, --server …). */
extern const struct option common_options[];

/* Value of an option, last one wins; NULL when not given ("" for a flag that is given). */
const char *line_option(const struct command_line *line, const char *name);
bool line_flag(const struct command_line *line, const char *name);
/* All values of a repeated option; the array ends with NULL. */
const char **line_options(const struct command_line *line, const char *name);

/*
 * Runs the program: finds the command, parses, prints help or a usage error, runs.
 * Unknown commands and options get a suggestion. Returns the exit status.
 */
int command_main(int argc, char **argv);

/* Prints "weir NAME: <text>" to standard error, and what to do when `err` tells; EXIT_ERROR. */
int command_fail(const struct command_line *line, const struct error *err);
/* As above with EXIT_USAGE and a pointer to the help. */
int command_usage(const struct command_line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Markdown reference of one command, for docs/reference. */
struct buf;
void command_markdown(struct buf *out, const struct cli_command *command);

#endif
