/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar archives of a folder, to and from open files: what container engines take and give.
 *
 * Written as POSIX ustar with pax headers for long names; read as ustar, pax and GNU long names.
 * Source: POSIX pax(1), GNU tar manual.
 */
#ifndef BASE_TAR_H
#define BASE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

/* Longest name of an entry. */
#define TAR_NAME_MAX 4096U

/*
 * Writes a folder with all it holds: files, folders, symbolic links (as links); anything else is
 * left out. Entries belong to root.
 *
 * prefix     put before every name, without leading or final '/'; it is an entry itself
 * mode_more  added to the modes of files (0666) and, with execute bits, of folders
 */
bool tar_write_folder(
    int out, const char *folder, const char *prefix, mode_t mode_more, struct error *err);

/*
 * Unpacks over a folder; existing files are replaced. Nothing is written outside of it: names that
 * are absolute or hold ".." are ERR_INVALID, links on the way are not followed. Devices and pipes
 * are left out.
 *
 * strip    leading segments to take off each name; entries with nothing left are skipped
 */
bool tar_read_folder(int in, const char *folder, unsigned strip, struct error *err);

#endif
