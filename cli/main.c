/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <signal.h>

#include "cli/command.h"
#include "cli/settings.h"

int main(int argc, char **argv)
{
    // numbers are read and written in the C locale; a closed pipe is an error of write()
    (void)setlocale(LC_ALL, "C");
    (void)signal(SIGPIPE, SIG_IGN);
    settings_options_init();
    return command_main(argc, argv);
}
