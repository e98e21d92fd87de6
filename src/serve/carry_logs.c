/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/carry_logs.h"

#include <sys/stat.h>

#include "serve/api_log.h"
#include "serve/logs.h"

static struct client_log *wanted(const struct carry_logs *l, size_t n)
{
    const struct client_listener *o = l->listener;

    return o->log ? o->log(o->context, n) : NULL;
}

void carry_logs_deinit(struct carry_logs *l)
{
    arena_deinit(&l->arena);
}

bool carry_logs_ended(const struct carry_logs *l)
{
    const struct client_log *log;

    for (size_t n = 0; (log = wanted(l, n)); n++)
        if (!log->ended)
            return false;
    return true;
}

static const char **path_of(struct carry_logs *l, size_t n)
{
    if (n >= l->max) {
        size_t max = l->max ? 2 * l->max : 64;

        l->paths =
            arena_grow(&l->arena, l->paths, l->max * sizeof(*l->paths), max * sizeof(*l->paths));
        for (size_t i = l->max; i < max; i++)
            l->paths[i] = NULL;
        l->max = max;
    }
    return &l->paths[n];
}

static bool has_grown(const char *path, const struct client_log *log)
{
    struct stat st;

    return !path || (stat(path, &st) == 0 && st.st_size > log->offset);
}

/* One part of it; *ret_more: there may be another one. */
static int tell_part(struct carry_logs *l, struct api *api, struct client_log *log,
                     const char **path, bool *ret_more)
{
    const struct api_log_read read = {
        .run = l->run,
        .name = str_of(log->name),
        .attempt = log->attempt,
        .stream = str_of(log->stream),
        .offset = log->offset,
        .max = LOGS_READ_BYTES,
    };
    Weft__V1__LogPart *part;
    const char *found;
    struct str text;

    *ret_more = false;
    if (api_log_part(api, &read, &part, &found)) {
        /* It was deleted. */
        log->ended = api->answer.code == CODE_LOG_NOT_FOUND;
        return log->ended ? 0 : API_E_REFUSED;
    }
    if (!*path)
        *path = str_cstr(&l->arena, str_of(found));
    text = str_of(part->text);
    log->offset = part->next_offset;
    log->ended = part->end;
    *ret_more = text.n > 0 && !part->end;
    if (text.n)
        l->listener->text(l->listener->context, log, text);
    return 0;
}

int carry_logs_look(struct carry_logs *l, bool news, struct batcher_answer *ret_refusal)
{
    struct client_log *log;
    int r = 0;

    for (size_t n = 0; !r && (log = wanted(l, n)); n++) {
        const char **path = path_of(l, n);
        bool more = !log->ended && (news || has_grown(*path, log));

        while (!r && more) {
            struct arena a = {0};
            struct api api = {.arena = &a, .house = &l->house};

            r = tell_part(l, &api, log, path, &more);
            if (r) {
                *ret_refusal = api.answer;
                ret_refusal->text = str_copy(&l->arena, api.answer.text);
            }
            arena_deinit(&a);
        }
    }
    return r;
}
