/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks of workers, files of blocks, followers. Reading is in log_read.c. */
#include "runtime/store/logstore.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "runtime/store/logstore_internal.h"

/* Blocks of one sink that may wait to be written; more makes its writer wait. */
#define SINK_BLOCKS_MAX 4U

/* Stored bytes that one sink may keep inline when there is no file to write to. */
#define MEMORY_MAX ((size_t)64 * 1024 * 1024)

/* Threads that compress and write. */
#define THREADS     2U
#define THREADS_MAX 16U

/*
 * Locks, never one while another is held, except that `followers` is read-locked around callbacks:
 *   lock       jobs, files, the counts of all sinks
 *   followers  who follows what
 */
struct logstore {
    char *folder;
    int folder_fd; /* -1: in memory */
    void (*written)(void *data, const struct log_row *row);
    void *data;

    pthread_mutex_t lock;
    pthread_cond_t work; /* a job is there, or the end */
    pthread_cond_t room; /* a block was written */
    pthread_t threads[THREADS_MAX];
    size_t threads_count;
    struct list jobs[THREADS_MAX]; /* each sink keeps to one thread: its blocks stay in order */
    size_t threads_wanted;
    bool is_closing;
    struct map files; /* execution id -> struct log_file */

    pthread_rwlock_t follow_lock;
    struct list followers; /* of everything */
    struct map followed;   /* execution id -> struct list */
    _Atomic size_t follow_count;
};

/* The file of an execution while somebody writes to it. */
struct log_file {
    char id[ID_LENGTH + 1];
    int fd;
    int64_t end;
    size_t users;
};

struct log_sink {
    struct logstore *logstore;
    struct arena *arena;
    struct log_source source;
    struct log_block block;
    size_t thread;
    struct log_file *file; /* NULL while nothing was written */
    size_t waiting;        /* blocks on their way */
    bool was_full;
    bool has_file_blocks;
    struct log_result *result; /* rows that stay inline */
    size_t result_capacity;
    struct error *failure;
    void (*on_room)(void *data);
    void *room_data;
    void (*done)(void *data, struct log_result *result);
    void *done_data;
};

/* A block to be written, or (no lines) the end of a sink. */
struct job {
    struct list link;
    struct log_sink *sink;
    struct log_block block;
    bool is_end;
};

/* ---- followers ---- */

struct log_follower {
    struct list link;
    char *execution_id;
    log_follow_fn *fn;
    void *data;
};

struct log_follower *logstore_follow(struct logstore *logstore,
                                     const char *execution_id,
                                     log_follow_fn *fn,
                                     void *data)
{
    struct log_follower *follower = check_calloc(1, sizeof(*follower));
    follower->fn = fn;
    follower->data = data;
    pthread_rwlock_wrlock(&logstore->follow_lock);
    if (execution_id == NULL) {
        list_push(&logstore->followers, &follower->link);
    } else {
        follower->execution_id = check_strdup(execution_id);
        struct list *list = map_find(&logstore->followed, execution_id);
        if (list == NULL) {
            list = check_malloc(sizeof(*list));
            list_init(list);
            map_put(&logstore->followed, execution_id, list);
        }
        list_push(list, &follower->link);
    }
    pthread_rwlock_unlock(&logstore->follow_lock);
    atomic_fetch_add(&logstore->follow_count, 1);
    return follower;
}

void logstore_unfollow(struct logstore *logstore, struct log_follower *follower)
{
    if (follower == NULL)
        return;
    pthread_rwlock_wrlock(&logstore->follow_lock);
    list_remove(&follower->link);
    struct list *list = follower->execution_id == NULL
                            ? NULL
                            : map_find(&logstore->followed, follower->execution_id);
    if (list != NULL && list_is_empty(list)) {
        map_remove(&logstore->followed, follower->execution_id);
        free(list);
    }
    pthread_rwlock_unlock(&logstore->follow_lock);
    atomic_fetch_sub(&logstore->follow_count, 1);
    free(follower->execution_id);
    free(follower);
}

static void tell(const struct list *list, const struct log_line *line)
{
    struct list *at;
    LIST_EACH(at, list) {
        struct log_follower *follower = LIST_OWNER(at, struct log_follower, link);
        follower->fn(follower->data, line);
    }
}

void logstore_publish(struct logstore *logstore, const struct log_line *line)
{
    if (atomic_load_explicit(&logstore->follow_count, memory_order_relaxed) == 0)
        return;
    pthread_rwlock_rdlock(&logstore->follow_lock);
    tell(&logstore->followers, line);
    const struct list *list = line->source.execution_id == NULL
                                  ? NULL
                                  : map_find(&logstore->followed, line->source.execution_id);
    if (list != NULL)
        tell(list, line);
    pthread_rwlock_unlock(&logstore->follow_lock);
}

/* ---- files ---- */

/* "ab/<id>.log": the last two characters of an id are random, the first ones are the time. */
static char *path_of(struct arena *arena, const char *id)
{
    size_t length = strlen(id);
    return arena_printf(arena, "%s/%s.log", length >= 2 ? id + length - 2 : "xx", id);
}

int logstore_open(struct logstore *logstore, const char *id, int flags, struct error *err)
{
    if (logstore->folder_fd < 0) {
        error_set(err, ERR_NOT_FOUND, "no folder for logs");
        return -1;
    }
    AUTO(arena_freep) struct arena *arena = arena_new_sized(256);
    return fs_open_beneath(logstore->folder_fd, path_of(arena, id), flags, 0600, FS_MAKE_PARENTS,
                           err);
}

/* The file for blocks of a sink; holds the lock. */
static struct log_file *file_use(struct logstore *logstore, const char *id, struct error *err)
{
    struct log_file *file = map_find(&logstore->files, id);
    if (file != NULL) {
        file->users++;
        return file;
    }
    int fd = logstore_open(logstore, id, O_RDWR | O_CREAT, err);
    struct stat info;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) != 0) {
        fs_error(err, errno, "read", id);
        (void)close(fd);
        return NULL;
    }
    file = check_calloc(1, sizeof(*file));
    memcpy(file->id, id, strlen(id) < sizeof(file->id) ? strlen(id) : sizeof(file->id) - 1);
    file->fd = fd;
    file->end = info.st_size;
    file->users = 1;
    map_put(&logstore->files, id, file);
    return file;
}

static void file_leave(struct logstore *logstore, struct log_file *file)
{
    if (file == NULL)
        return;
    pthread_mutex_lock(&logstore->lock);
    bool is_last = --file->users == 0;
    if (is_last)
        map_remove(&logstore->files, file->id);
    pthread_mutex_unlock(&logstore->lock);
    if (!is_last)
        return;
    (void)close(file->fd);
    free(file);
}

static bool write_at(int fd, const void *bytes, size_t length, int64_t at, struct error *err)
{
    const char *from = bytes;
    while (length > 0) {
        ssize_t written = pwrite(fd, from, length, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return fs_error(err, written < 0 ? errno : ENOSPC, "write", "a log file");
        from += written;
        at += written;
        length -= (size_t)written;
    }
    return true;
}

/* ---- threads ---- */

static void fail(struct log_sink *sink, const struct error *err)
{
    if (sink->failure != NULL)
        return;
    sink->failure = check_malloc(sizeof(*err));
    *sink->failure = *err;
    log_error("log lines are lost", LOG_STR("execution", sink->source.execution_id), LOG_ERR(err));
}

static struct log_row row_of(const struct log_source *source)
{
    struct log_row row = {
        .execution = source->execution,
        .namespace = source->namespace,
        .flow_id = source->flow_id,
        .trigger_id = source->trigger_id,
        .file_at = -1,
    };
    if (source->execution_id != NULL) {
        size_t length = strlen(source->execution_id);
        memcpy(row.execution_id.text, source->execution_id,
               length < ID_LENGTH ? length : ID_LENGTH);
    }
    return row;
}

static void write_block(struct logstore *logstore, struct job *job, struct buf *body)
{
    struct log_sink *sink = job->sink;
    struct error err = { 0 };
    struct log_row row = row_of(&sink->source);
    buf_clear(body);
    log_block_finish(&job->block, body, &row);
    pthread_mutex_lock(&logstore->lock);
    if (sink->file == NULL)
        sink->file = file_use(logstore, row.execution_id.text, &err);
    if (sink->file != NULL) {
        row.file_at = sink->file->end;
        sink->file->end += (int64_t)body->length;
    }
    pthread_mutex_unlock(&logstore->lock);
    row.file_length = (int64_t)body->length;
    bool ok = sink->file != NULL &&
              write_at(sink->file->fd, body->bytes, body->length, row.file_at, &err);
    if (!ok)
        fail(sink, &err);
    else if (logstore->written != NULL)
        logstore->written(logstore->data, &row);
}

static struct log_result *result_of(struct log_sink *sink)
{
    if (sink->result == NULL)
        sink->result = check_calloc(1, sizeof(*sink->result));
    return sink->result;
}

/* Calls back with the result, and forgets the sink. */
static void finish(struct log_sink *sink)
{
    struct log_result *result = result_of(sink);
    result->error = sink->failure;
    sink->done(sink->done_data, result);
    log_block_free(&sink->block);
    arena_free(sink->arena);
}

/* Everything is written: makes it durable and says so. */
static void end_sink(struct log_sink *sink)
{
    struct error err = { 0 };
    if (sink->file != NULL && fdatasync(sink->file->fd) != 0) {
        fs_error(&err, errno, "sync", "a log file");
        fail(sink, &err);
    }
    file_leave(sink->logstore, sink->file);
    finish(sink);
}

static void run_job(struct logstore *logstore, struct job *job, struct buf *body)
{
    struct log_sink *sink = job->sink;
    if (job->is_end) {
        end_sink(sink);
        free(job);
        return;
    }
    write_block(logstore, job, body);
    log_block_free(&job->block);
    free(job);
    pthread_mutex_lock(&logstore->lock);
    sink->waiting--;
    bool tells = sink->was_full && sink->on_room != NULL;
    sink->was_full = false;
    void (*on_room)(void *data) = sink->on_room;
    void *data = sink->room_data;
    pthread_cond_broadcast(&logstore->room);
    pthread_mutex_unlock(&logstore->lock);
    if (tells)
        on_room(data);
}

struct thread_start {
    struct logstore *logstore;
    size_t index;
};

static void *run(void *data)
{
    struct thread_start start = *(struct thread_start *)data;
    struct logstore *logstore = start.logstore;
    free(data);
    struct buf body = { 0 };
    pthread_mutex_lock(&logstore->lock);
    for (;;) {
        struct list *link = list_pop(&logstore->jobs[start.index]);
        if (link == NULL && logstore->is_closing)
            break;
        if (link == NULL) {
            pthread_cond_wait(&logstore->work, &logstore->lock);
            continue;
        }
        pthread_mutex_unlock(&logstore->lock);
        run_job(logstore, LIST_OWNER(link, struct job, link), &body);
        pthread_mutex_lock(&logstore->lock);
    }
    pthread_mutex_unlock(&logstore->lock);
    buf_free(&body);
    return NULL;
}

/* Threads are started when the first block is to be written: most servers need none for long. */
static void start_threads(struct logstore *logstore)
{
    if (logstore->threads_count > 0)
        return;
    while (logstore->threads_count < logstore->threads_wanted) {
        struct thread_start *start = check_malloc(sizeof(*start));
        *start = (struct thread_start){ logstore, logstore->threads_count };
        if (pthread_create(&logstore->threads[logstore->threads_count], NULL, run, start) != 0) {
            free(start);
            break;
        }
        (void)pthread_setname_np(logstore->threads[logstore->threads_count], "logs");
        logstore->threads_count++;
    }
    CHECK(logstore->threads_count > 0); // a process that cannot have a thread cannot go on
}

/* Gives a job to the sink's thread; holds the lock. */
static void put_job(struct log_sink *sink, struct log_block *block, bool is_end)
{
    struct logstore *logstore = sink->logstore;
    struct job *job = check_calloc(1, sizeof(*job));
    job->sink = sink;
    job->is_end = is_end;
    if (block != NULL) {
        job->block = *block;
        *block = (struct log_block){ 0 };
        sink->waiting++;
    }
    start_threads(logstore);
    list_push(&logstore->jobs[sink->thread % logstore->threads_count], &job->link);
    pthread_cond_broadcast(&logstore->work);
}

/* ---- sinks ---- */

struct log_sink *log_sink_open(struct logstore *logstore, const struct log_source *source)
{
    struct arena *arena = arena_new_sized(512);
    struct log_sink *sink = ARENA_NEW(arena, struct log_sink);
    sink->logstore = logstore;
    sink->arena = arena;
    sink->source = *source;
    sink->source.execution_id = arena_strdup(arena, source->execution_id);
    sink->source.namespace = arena_strdup(arena, source->namespace);
    sink->source.flow_id = arena_strdup(arena, source->flow_id);
    sink->source.task_id = arena_strdup(arena, source->task_id);
    sink->source.run_id = arena_strdup(arena, source->run_id);
    sink->source.trigger_id = arena_strdup(arena, source->trigger_id);
    sink->thread = (size_t)map_hash(source->run_id != NULL ? source->run_id : "",
                                    source->run_id != NULL ? strlen(source->run_id) : 0);
    return sink;
}

/* May the sink use the file? In memory, and for triggers, everything stays inline. */
static bool has_files(const struct log_sink *sink)
{
    return sink->logstore->folder_fd >= 0 && sink->source.execution_id != NULL;
}

/* The block becomes a row of the commit that ends the task. */
static void keep_inline(struct log_sink *sink)
{
    struct log_result *result = result_of(sink);
    if (result->arena == NULL)
        result->arena = arena_new_sized(sink->block.lines.length + 512);
    struct arena *arena = result->arena;
    if (arena_bytes(arena) > MEMORY_MAX) {
        struct error err = { 0 };
        error_set(&err, ERR_LIMIT, "more than %zu MiB of lines, and no folder to write them to",
                  MEMORY_MAX / 1024U / 1024U);
        fail(sink, &err);
        log_block_free(&sink->block);
        return;
    }
    result->rows = vec_grow_arena(arena, result->rows, &sink->result_capacity, result->count,
                                  sizeof(*result->rows));
    struct log_row *row = &result->rows[result->count++];
    *row = row_of(&sink->source);
    row->namespace = arena_strdup(arena, row->namespace);
    row->flow_id = arena_strdup(arena, row->flow_id);
    row->trigger_id = arena_strdup(arena, row->trigger_id);
    struct buf body = { 0 };
    log_block_finish(&sink->block, &body, row);
    row->body = (struct bytes){ arena_memdup(arena, body.bytes, body.length), body.length };
    buf_free(&body);
}

static bool flush(struct log_sink *sink)
{
    if (!has_files(sink)) {
        keep_inline(sink);
        return true;
    }
    struct logstore *logstore = sink->logstore;
    pthread_mutex_lock(&logstore->lock);
    bool has_room = sink->waiting < SINK_BLOCKS_MAX;
    if (has_room)
        put_job(sink, &sink->block, false);
    else
        sink->was_full = true;
    pthread_mutex_unlock(&logstore->lock);
    sink->has_file_blocks |= has_room;
    return has_room;
}

bool log_sink_write(
    struct log_sink *sink, usec_t at, enum log_level level, const char *text, size_t length)
{
    if (sink->block.lines.length >= LOG_BLOCK_BYTES && !flush(sink))
        return false;
    struct log_line line = {
        .source = sink->source,
        .at = at,
        .level = level,
        .message = text,
        .length = length,
    };
    char *cut = NULL;
    if (length > LOG_MESSAGE_MAX) {
        static const char note[] = LOG_CUT_NOTE;
        cut = check_malloc(LOG_MESSAGE_MAX + sizeof(note));
        memcpy(cut, text, LOG_MESSAGE_MAX);
        memcpy(cut + LOG_MESSAGE_MAX, note, sizeof(note));
        line.message = cut;
        line.length = LOG_MESSAGE_MAX + sizeof(note) - 1;
    }
    logstore_publish(sink->logstore, &line);
    log_block_add(&sink->block, &line);
    free(cut);
    return true;
}

void log_sink_wait(struct log_sink *sink)
{
    struct logstore *logstore = sink->logstore;
    pthread_mutex_lock(&logstore->lock);
    while (sink->waiting >= SINK_BLOCKS_MAX)
        pthread_cond_wait(&logstore->room, &logstore->lock);
    sink->was_full = false;
    pthread_mutex_unlock(&logstore->lock);
}

void log_sink_on_room(struct log_sink *sink, void (*room)(void *data), void *data)
{
    pthread_mutex_lock(&sink->logstore->lock);
    sink->on_room = room;
    sink->room_data = data;
    pthread_mutex_unlock(&sink->logstore->lock);
}

void log_sink_close(struct log_sink *sink,
                    void (*done)(void *data, struct log_result *result),
                    void *data)
{
    struct logstore *logstore = sink->logstore;
    sink->done = done;
    sink->done_data = data;
    if (!sink->has_file_blocks &&
        (!has_files(sink) || sink->block.lines.length <= LOG_INLINE_MAX)) {
        if (sink->block.count > 0)
            keep_inline(sink);
        finish(sink);
        return;
    }
    pthread_mutex_lock(&logstore->lock);
    sink->on_room = NULL;
    if (sink->block.count > 0)
        put_job(sink, &sink->block, false);
    put_job(sink, NULL, true); // the sink belongs to its thread from here on
    pthread_mutex_unlock(&logstore->lock);
}

void log_result_free(struct log_result *result)
{
    if (result == NULL)
        return;
    arena_free(result->arena);
    free(result->error);
    free(result);
}

/* ---- opening ---- */

struct logstore *logstore_new(const struct logstore_options *options, struct error *err)
{
    struct logstore *logstore = check_calloc(1, sizeof(*logstore));
    logstore->folder_fd = -1;
    logstore->written = options->written;
    logstore->data = options->data;
    logstore->threads_wanted = options->threads == 0 ? THREADS : options->threads;
    if (logstore->threads_wanted > THREADS_MAX)
        logstore->threads_wanted = THREADS_MAX;
    pthread_mutex_init(&logstore->lock, NULL);
    pthread_cond_init(&logstore->work, NULL);
    pthread_cond_init(&logstore->room, NULL);
    pthread_rwlock_init(&logstore->follow_lock, NULL);
    list_init(&logstore->followers);
    for (size_t i = 0; i < THREADS_MAX; i++)
        list_init(&logstore->jobs[i]);
    if (options->folder == NULL)
        return logstore;
    logstore->folder = check_strdup(options->folder);
    if (fs_mkdirs(options->folder, 0700, err))
        logstore->folder_fd = fs_open_folder(options->folder, err);
    if (logstore->folder_fd < 0) {
        logstore_free(logstore);
        return NULL;
    }
    return logstore;
}

void logstore_free(struct logstore *logstore)
{
    if (logstore == NULL)
        return;
    pthread_mutex_lock(&logstore->lock);
    logstore->is_closing = true;
    pthread_cond_broadcast(&logstore->work);
    pthread_mutex_unlock(&logstore->lock);
    for (size_t i = 0; i < logstore->threads_count; i++)
        (void)pthread_join(logstore->threads[i], NULL);
    CHECK(logstore->files.count == 0); // sinks were closed
    map_free(&logstore->files);
    map_free(&logstore->followed);
    pthread_mutex_destroy(&logstore->lock);
    pthread_cond_destroy(&logstore->work);
    pthread_cond_destroy(&logstore->room);
    pthread_rwlock_destroy(&logstore->follow_lock);
    if (logstore->folder_fd >= 0)
        (void)close(logstore->folder_fd);
    free(logstore->folder);
    free(logstore);
}

bool logstore_remove(struct logstore *logstore, const char *execution_id, struct error *err)
{
    if (logstore->folder_fd < 0)
        return true;
    AUTO(arena_freep) struct arena *arena = arena_new_sized(256);
    const char *path = path_of(arena, execution_id);
    if (unlinkat(logstore->folder_fd, path, 0) == 0 || errno == ENOENT)
        return true;
    return fs_error(err, errno, "remove", path);
}
