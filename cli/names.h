/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How people name things on a command line. experience.md 1, rule 9.
 */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <stdbool.h>

struct arena;
struct client;
struct error;
struct value;

struct flow_name {
    const char *namespace;
    const char *id;
};

/* "company.team/nightly"; also "company.team.nightly" (last dot). ERR_INVALID otherwise. */
bool flow_name_parse(struct arena *arena,
                     const char *text,
                     struct flow_name *out,
                     struct error *err);

/*
 * The execution whose id is, or uniquely begins with, `prefix`; its JSON form.
 * Errors: ERR_NOT_FOUND, or ERR_CONFLICT naming the candidates.
 */
const struct value *execution_by_prefix(struct client *client,
                                        struct arena *arena,
                                        const char *prefix,
                                        struct error *err);

#endif
