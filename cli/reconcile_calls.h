/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the API asks of the reconciler of a running server: plan, apply, drift, history, sync.
 */
#ifndef CLI_RECONCILE_CALLS_H
#define CLI_RECONCILE_CALLS_H

struct arena;
struct error;
struct value;

/*
 * A runtime_reconcile_fn; data is the struct sources.
 *
 *     plan     {source, ref, override}           plan document
 *     apply    {source, digest, override, actor} plan document with `applied`
 *     drift    {source}                          {sources: [drift document], drifted}
 *     history  {source, size}                    {results: [applied commit]}
 *     sync     {source}                          {sources: number of woken ones}
 *
 * override is a list of words, or such words with commas between: deletions, protected, windows,
 * approvals.
 */
const struct value *reconcile_call(void *data,
                                   struct arena *arena,
                                   const char *verb,
                                   const struct value *arguments,
                                   struct error *err);

#endif
