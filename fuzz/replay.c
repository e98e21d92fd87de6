/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay: feed a fuzz target with the files of its corpus, as a test.
 *
 * The fuzzer needs clang and time; what it once found is tried again in every test run. A finding
 * ends the program, and the case that was running is the one that is not ok.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a fuzz target may be given; the fuzzer's own default is 4 KiB unless the corpus has more. */
enum { BYTES_MAX = 1 << 20 };

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return alphasort(a, b);
}

static int is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **seeds;
    uint8_t *data = malloc(BYTES_MAX);
    int n = argc == 2 ? scandir(argv[1], &seeds, is_seed, by_name) : -1;

    if (n <= 0 || !data) {
        fprintf(stderr, "usage: replay CORPUS_FOLDER, which holds at least one file\n");
        return 2;
    }
    printf("1..%d\n", n);
    for (int i = 0; i < n; i++) {
        char path[4096];
        FILE *file;
        size_t size;

        snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[i]->d_name);
        file = fopen(path, "rb");
        if (!file) {
            perror(path);
            return 2;
        }
        size = fread(data, 1, BYTES_MAX, file);
        fclose(file);
        fprintf(stderr, "# trying %s\n", path);
        LLVMFuzzerTestOneInput(data, size);
        printf("ok %d %s\n", i + 1, seeds[i]->d_name);
        fflush(stdout);
        free(seeds[i]);
    }
    free(seeds);
    free(data);
    return 0;
}
