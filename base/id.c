/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <string.h>

#include "base/map.h"
#include "base/rng.h"
#include "base/uint128.h"

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static struct id encode(uint128_t number)
{
    struct id id;
    for (size_t i = ID_LENGTH; i-- > 0;) {
        id.text[i] = alphabet[(size_t)(number % 62)];
        number /= 62;
    }
    id.text[ID_LENGTH] = '\0';
    return id;
}

struct id id_new(usec_t now, struct rng *rng)
{
    uint64_t millis = (uint64_t)(now / USEC_MSEC) & 0xffffffffffffU;
    uint128_t number = (uint128_t)millis << 80;
    number |= (uint128_t)(rng_next(rng) & 0xffffU) << 64;
    number |= rng_next(rng);
    return encode(number);
}

struct id id_derive(const char *seed, const void *path, size_t length)
{
    struct rng mixed = { .state = map_hash(seed, strlen(seed)) };
    uint64_t first = rng_next(&mixed) ^ map_hash(path, length);
    struct rng low = { .state = first };
    uint64_t second = rng_next(&low) ^ rng_next(&mixed);
    struct rng high = { .state = second + map_hash(path, length) * 3 };
    return encode((uint128_t)rng_next(&high) << 64 | rng_next(&low));
}
