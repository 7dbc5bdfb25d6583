/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/worker/orders.h"

#include "base/arena.h"

void order_free(struct order *order)
{
    if (order != NULL)
        arena_free(order->arena);
}
