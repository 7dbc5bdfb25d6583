/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the SQLite store: schema, writer, readers.
 */
#ifndef RUNTIME_STORE_SQLITE_INTERNAL_H
#define RUNTIME_STORE_SQLITE_INTERNAL_H

#include "base/map.h"
#include "base/sql.h"
#include "base/vec.h"
#include "runtime/store/store.h"

/* Cache of a reader: pages of indexes in use; readers are several. */
#define READER_CACHE_BYTES (1024 * 1024)

/*
 * Brings a database to the newest schema, one transaction per migration.
 *
 * Errors  ERR_INVALID  not a database of weir, or from a newer weir
 */
bool sqlite_migrate(struct sql *sql, const char *path, struct error *err);

struct store_reader *sqlite_reader_new(const char *path, struct error *err);

/*
 * Runs of an execution that was created and finished in one commit, in its own row: (seq, length,
 * bytes)*. Rows of the table `run` win over them; a row without body says that the run is gone.
 */
void sqlite_runs_pack(struct buf *out, uint32_t seq, const void *bytes, size_t length);

/* Hash under which a label is indexed. */
int64_t sqlite_label_hash(const char *key, const char *value);
/* Is it worth a row? Its own id as correlation, and system.from, are on every execution. */
bool sqlite_label_is_indexed(const struct label *label, const char *execution_id);

#endif
