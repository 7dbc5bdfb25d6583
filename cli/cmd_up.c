/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "cli/sources.h"
#include "cli/version.h"
#include "cli/wire.h"
#include "core/config.h"

static void open_log(const struct config *config)
{
    struct log_options options = {
        .level = LOG_INFO,
        .format =
            str_eq(config_text(config, "log.format"), "json") ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
        .fd = STDERR_FILENO,
    };
    (void)log_level_parse(config_text(config, "log.level"), &options.level);
    log_open(&options);
}

/* A folder is a repository too; Git wants its absolute path. */
static const char *address_of(struct command_line *line)
{
    if (line->arguments_count == 0)
        return NULL;
    const char *given = line->arguments[0];
    struct stat info;
    if (stat(given, &info) != 0 || !S_ISDIR(info.st_mode))
        return given;
    char *real = realpath(given, NULL);
    const char *path = real == NULL ? given : arena_strdup(line->arena, real);
    free(real);
    return arena_printf(line->arena, "file://%s", path);
}

static int serve(struct command_line *line, const struct config *config, const sigset_t *signals)
{
    struct error err = { 0 };
    const char *data = config_text(config, "data");
    struct runtime_options options = { .config = config, .data = data, .is_open = true };
    usec_t started = clock_monotonic();
    struct runtime *runtime = runtime_start(&options, &err);
    if (runtime == NULL)
        return command_fail(line, &err);
    (void)fprintf(stderr, "weir %s · data in %s (--data) · http://%s (--listen)\n", WEIR_VERSION,
                  data, config_text(config, "listen"));
    const char *address = address_of(line);
    struct sources *sources = sources_start(runtime, config, data, address, &err);
    if (sources == NULL) {
        runtime_stop(runtime);
        return command_fail(line, &err);
    }
    log_info("ready", LOG_INT("port", (int64_t)runtime->port),
             LOG_SPAN("took", clock_monotonic() - started));
    int number = 0;
    (void)sigwait(signals, &number);
    log_info("stopping", LOG_STR("signal", number == SIGINT ? "SIGINT" : "SIGTERM"));
    sources_stop(sources);
    runtime_stop(runtime);
    log_info("stopped; work in flight is resumed at the next start");
    return EXIT_OK;
}

static int run(struct command_line *line)
{
    const struct config *config = settings_load(line);
    if (config == NULL)
        return EXIT_ERROR;
    open_log(config);
    // threads inherit the mask, so that only this one takes the signals
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return serve(line, config, &signals);
}

static const char *const examples[] = {
    "weir up https://git.example.com/data/flows.git",
    "weir up ./sample-repo --listen 127.0.0.1:9000 --interval PT5S",
    NULL,
};

const struct cli_command command_up = {
    .name = "up",
    .arguments = "[FOLDER-OR-URL]",
    .summary = "watch a repository, apply its commits, run its flows, serve the API",
    .doc = "Without an address the setting 'sources' says what is watched; without that, nothing:\n"
           "flows then come through the API. Ctrl-C stops; work in flight is resumed at the next\n"
           "start. 'weir help config' tells where settings come from.",
    .options = settings_options,
    .complete = COMPLETE_FOLDER,
    .arguments_max = 1,
    .examples = examples,
    .run = run,
};
