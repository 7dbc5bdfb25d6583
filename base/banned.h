/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that lose lengths, locales or errors become compile errors. The Makefile includes this
 * header before every file (-include), after the system headers that declare them.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// clang refuses names that its headers made macros; what gcc refuses is enough
#ifndef __clang__
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gmtime localtime system popen
#endif

#endif
