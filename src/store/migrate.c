/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>

#include "base/fault.h"
#include "store/backend.h"

/* Refuse what this program cannot work with; the table's versions must be 1, 2, … without a gap. */
static int schema_check(struct store *s, const struct schema *found)
{
    int newest = store_schema_newest(s->backend->kind);

    if (found->foreign)
        return store_say(s, -EINVAL,
                         "the database holds something that is not weft's; name "
                         "another one, or an empty one");
    if (found->n && (found->first != 1 || found->last != found->n))
        return store_say(s, -EPROTO,
                         "the store's schema has a gap: %" PRId64
                         " migrations from version %" PRId64 " to %" PRId64
                         "; restore it from a backup",
                         found->n, found->first, found->last);
    if (found->last > newest)
        return store_say(s, -EPROTO,
                         "the store has schema version %" PRId64
                         " and this program knows versions up to %d; use a newer weft",
                         found->last, newest);
    s->version = (int)found->last;
    return 0;
}

/* A reader changes nothing, so that it can say only what is missing. */
static int reader_check(struct store *s, int newest)
{
    if (s->version == newest)
        return 0;
    if (s->version == 0)
        return fault(store_say(s, -ENOENT,
                               "the database holds no weft store yet; it is made by "
                               "the first command that writes"));
    return fault(store_say(s, -EPROTO,
                           "the store has schema version %d and this program needs version %d; "
                           "run a command that writes, which brings the store forward",
                           s->version, newest));
}

/* The next migration in a transaction of its own. Under the lock we look again: another program may
 * have been faster. */
static int migrate_next(struct store *s, int newest)
{
    const struct backend *b = s->backend;
    struct schema found = {0};
    int r = b->migrate_begin(s);

    if (r)
        return fault(r);
    r = b->schema(s, &found);
    if (!r)
        r = schema_check(s, &found);
    if (!r && s->version < newest)
        r = b->migrate_apply(s, &b->migrations[s->version]);
    if (!r)
        r = b->migrate_commit(s);
    if (r) {
        b->migrate_rollback(s);
        return fault(r);
    }
    if (s->version < newest)
        s->version++;
    return 0;
}

int migrate_forward(struct store *s)
{
    int newest = store_schema_newest(s->backend->kind);
    struct schema found = {0};
    int r = s->backend->schema(s, &found);

    if (!r)
        r = schema_check(s, &found);
    if (r)
        return fault(r);
    if (s->options.mode == STORE_READ)
        return reader_check(s, newest);
    while (s->version < newest) {
        r = migrate_next(s, newest);
        if (r)
            return fault(r);
    }
    return 0;
}
