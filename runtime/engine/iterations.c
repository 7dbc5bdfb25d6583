/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/engine/iterations.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/pack.h"

static enum state state_of(unsigned char byte)
{
    return byte == 0 || byte > STATE_COUNT ? STATE_COUNT : (enum state)(byte - 1);
}

struct iterations *iterations_new(struct arena *arena, size_t total)
{
    struct iterations *iterations = ARENA_NEW(arena, struct iterations);
    iterations->states = arena_alloc(arena, total);
    iterations->total = total;
    return iterations;
}

enum state iterations_state(const struct iterations *iterations, size_t index)
{
    return index < iterations->total ? state_of(iterations->states[index]) : STATE_COUNT;
}

static void count(struct iterations *iterations, enum state state, bool in)
{
    size_t one = in ? 1 : (size_t)-1;
    if (state == STATE_COUNT)
        return;
    iterations->started += one;
    iterations->in_state[state] += one;
    if (!states[state].is_terminal)
        iterations->open += one;
}

static void set(struct iterations *iterations, size_t index, enum state state)
{
    count(iterations, iterations_state(iterations, index), false);
    iterations->states[index] = (unsigned char)(1 + (int)state);
    iterations->seen |= BIT(state);
    count(iterations, state, true);
    while (iterations->next < iterations->total && iterations->states[iterations->next] != 0)
        iterations->next++;
}

bool iterations_move(struct iterations *iterations, size_t index, enum state state)
{
    enum state from = iterations_state(iterations, index);
    if (index >= iterations->total || from == state ||
        (from != STATE_COUNT && states[from].is_terminal))
        return false;
    set(iterations, index, state);
    return true;
}

void iterations_reopen(struct iterations *iterations, size_t index)
{
    set(iterations, index, STATE_CREATED);
}

void iterations_pack(struct buf *out, const struct iterations *iterations)
{
    pack_uint(out, iterations == NULL ? 0 : 1);
    if (iterations == NULL)
        return;
    pack_bytes(out, iterations->states, iterations->total);
    pack_uint(out, iterations->seen);
}

static struct iterations *made_of(struct arena *arena, const unsigned char *bytes, size_t total)
{
    struct iterations *iterations = iterations_new(arena, total);
    for (size_t i = 0; i < total; i++) {
        if (state_of(bytes[i]) != STATE_COUNT)
            set(iterations, i, state_of(bytes[i]));
    }
    return iterations;
}

struct iterations *iterations_unpack(struct unpack *in, struct arena *arena)
{
    if (unpack_max(in, 1) == 0)
        return NULL;
    size_t total = 0;
    const unsigned char *bytes = unpack_bytes(in, &total);
    if (bytes == NULL)
        return NULL;
    struct iterations *iterations = made_of(arena, bytes, total);
    iterations->seen |= (uint32_t)unpack_max(in, UINT32_MAX);
    return iterations;
}

struct iterations *iterations_copy(struct arena *arena, const struct iterations *iterations)
{
    if (iterations == NULL)
        return NULL;
    struct iterations *copy = made_of(arena, iterations->states, iterations->total);
    copy->seen |= iterations->seen;
    return copy;
}
