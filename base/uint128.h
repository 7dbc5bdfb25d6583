/* SPDX-License-Identifier: Apache-2.0 */
/* 128-bit unsigned arithmetic, an extension of gcc and clang. */
#ifndef BASE_UINT128_H
#define BASE_UINT128_H

__extension__ typedef unsigned __int128 uint128_t;

#endif
