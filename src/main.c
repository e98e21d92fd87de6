/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--version")) {
        puts("weft " WEFT_VERSION);
        return 0;
    }
    fprintf(stderr, "weft: usage: weft --version\n");
    return 2;
}
