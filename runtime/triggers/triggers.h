/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trigger types that are built in, one file each; see core/plugin.h.
 */
#ifndef RUNTIME_TRIGGERS_TRIGGERS_H
#define RUNTIME_TRIGGERS_TRIGGERS_H

struct plugin;

extern const struct plugin trigger_schedule;
extern const struct plugin trigger_schedule_on_dates;
extern const struct plugin trigger_webhook;
extern const struct plugin trigger_flow;
extern const struct plugin trigger_http;

#endif
