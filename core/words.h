/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of enumerations that several property tables share. Each list ends with NULL.
 */
#ifndef CORE_WORDS_H
#define CORE_WORDS_H

extern const char *const words_state[];           /* CREATED … RESUBMITTED */
extern const char *const words_log_level[];       /* in the order of enum log_level */
extern const char *const words_retry_type[];      /* from RETRY_CONSTANT */
extern const char *const words_retry_behavior[];  /* in the order of enum retry_behavior */
extern const char *const words_subflow_restart[]; /* RETRY_FAILED NEW_EXECUTION */

/* Position of a word, exact spelling; -1 when it is not in the list. */
int words_find(const char *const *words, const char *word);

#endif
