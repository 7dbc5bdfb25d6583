/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    (void)puts("weir");
    return EXIT_SUCCESS;
}
