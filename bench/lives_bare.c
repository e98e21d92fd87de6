/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lives_bare: the limit beside `lives`, the same rounds by a bare loop over the same schema.
 *
 *     lives_bare STORE BATCH LIVES BACKLOG
 */
#include <stdio.h>

#include "bare.h"
#include "base/memory.h"
#include "measure.h"
#include "store/store.h"

#define USAGE "usage: lives_bare STORE BATCH LIVES BACKLOG\n"

/* The schema is the program's own. */
static void make_schema(const char *url)
{
    struct store *s;

    if (store_open(&(struct store_options){.url = str_of(url), .mode = STORE_WRITE}, &s))
        measure_die("%.*s", STR_ARG(store_error(s)));
    store_free(s);
}

int main(int argc, char **argv)
{
    const struct bare *bare;
    double from, between, then, spent[3] = {0};
    size_t batch, lives, backlog, done = 0;
    int64_t *ids, next = 1;
    void *store;

    if (argc != 5)
        measure_die(USAGE);
    batch = (size_t)measure_number(argv[2], 1, USAGE);
    lives = (size_t)measure_number(argv[3], 1, USAGE);
    backlog = (size_t)measure_number(argv[4], 0, USAGE);
    make_schema(argv[1]);
    bare = str_starts(str_of(argv[1]), STR("sqlite:")) ? &bare_sqlite : &bare_postgres;
    store = bare->open(argv[1]);
    ids = memory_new(batch * sizeof(*ids));
    for (size_t n = 0; n < backlog; n += batch, next += (int64_t)batch)
        bare->enqueue(store, next, batch);
    while (done < lives) {
        size_t n;

        from = measure_seconds();
        bare->enqueue(store, next, batch);
        next += (int64_t)batch;
        between = measure_seconds();
        n = bare->claim(store, batch, ids);
        then = measure_seconds();
        bare->complete(store, ids, n);
        spent[0] += between - from;
        spent[1] += then - between;
        spent[2] += measure_seconds() - then;
        done += n;
    }
    printf("{\"lives\":%zu,\"seconds\":%.6f,\"enqueue_s\":%.6f,\"claim_s\":%.6f,"
           "\"complete_s\":%.6f,\"rss_kib\":%lld}\n",
           done, spent[0] + spent[1] + spent[2], spent[0], spent[1], spent[2],
           (long long)measure_rss_kib());
    bare->close(store);
    memory_freep(&ids);
    return 0;
}
