/* SPDX-License-Identifier: Apache-2.0 */
/* Notices to those who watch executions: after each commit, one per execution that changed. */
#include <stdlib.h>

#include "base/check.h"
#include "runtime/driver/driver_internal.h"

static void notify_list(const struct list *watches, const struct execution_notice *notice)
{
    struct list *at;
    struct list *after;
    LIST_EACH_SAFE(at, after, watches) {
        struct driver_watch *watch = LIST_OWNER(at, struct driver_watch, link);
        watch->fn(watch->data, notice);
    }
}

void watches_notify(struct driver *driver)
{
    // Who begins to watch during the commit is told of it; who begins later reads it in the store.
    if (driver->notices.count == 0 || atomic_load(&driver->watch_count) == 0) {
        driver->notices.count = 0;
        return;
    }
    pthread_mutex_lock(&driver->watch_lock);
    const struct execution_notice *notice;
    VEC_EACH(notice, &driver->notices) {
        notify_list(&driver->watches, notice);
        const struct list *watched = map_find(&driver->watched, notice->execution_id);
        if (watched != NULL)
            notify_list(watched, notice);
    }
    pthread_mutex_unlock(&driver->watch_lock);
    driver->notices.count = 0;
}

struct driver_watch *driver_watch(struct driver *driver,
                                  const char *execution_id,
                                  driver_watch_fn *fn,
                                  void *data)
{
    struct driver_watch *watch = check_calloc(1, sizeof(*watch));
    watch->fn = fn;
    watch->data = data;
    pthread_mutex_lock(&driver->watch_lock);
    if (execution_id == NULL) {
        list_push(&driver->watches, &watch->link);
    } else {
        watch->execution_id = check_strdup(execution_id);
        struct list *watched = map_find(&driver->watched, execution_id);
        if (watched == NULL) {
            watched = check_malloc(sizeof(*watched));
            list_init(watched);
            map_put(&driver->watched, execution_id, watched);
        }
        list_push(watched, &watch->link);
    }
    pthread_mutex_unlock(&driver->watch_lock);
    atomic_fetch_add(&driver->watch_count, 1);
    return watch;
}

void driver_unwatch(struct driver *driver, struct driver_watch *watch)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&driver->watch_lock);
    list_remove(&watch->link);
    if (watch->execution_id != NULL) {
        struct list *watched = map_find(&driver->watched, watch->execution_id);
        if (watched != NULL && list_is_empty(watched)) {
            map_remove(&driver->watched, watch->execution_id);
            free(watched);
        }
    }
    pthread_mutex_unlock(&driver->watch_lock);
    atomic_fetch_sub(&driver->watch_count, 1);
    free(watch->execution_id);
    free(watch);
}

void watches_note(struct driver *driver, const struct live *live)
{
    const struct execution *execution = live->execution;
    *VEC_PUSH(&driver->notices) = (struct execution_notice){
        .key = live->key,
        .execution_id = execution->id.text,
        .namespace = execution->namespace,
        .flow_id = execution->flow_id,
        .state = execution->state.current,
        .fully_ended = execution->fully_ended,
        .is_deleted = live->is_deleted,
    };
}
