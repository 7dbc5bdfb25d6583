/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plans and drift as people read them in a terminal; experience.md 3.
 *
 * Made from the documents of render_json.h, so that a plan that came over HTTP looks like one made
 * here, and nothing can be seen here that programs cannot read.
 */
#ifndef RECONCILER_RENDER_TEXT_H
#define RECONCILER_RENDER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct buf;
struct value;

/* Errors shown in full; more are counted. */
#define RENDER_FINDINGS_MAX 10U

struct render_options {
    bool colour;         /* ANSI escapes */
    bool full;           /* no value is cut, every finding and change is shown */
    usec_t now;          /* for times of today and for "3 h ago" */
    const char *command; /* the way to apply, for the last line; NULL none */
};

void plan_render_text(struct buf *out,
                      const struct value *plan,
                      const struct render_options *options);

void drift_render_text(struct buf *out,
                       const struct value *drift,
                       const struct render_options *options);

/* Only the findings of a list of documents as diag_to_value() makes them, and a line of counts. */
void findings_render_text(struct buf *out,
                          const struct value *findings,
                          const struct render_options *options);

#endif
