/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/api_log_watch.h"

#include <limits.h>
#include <unistd.h>

#include "serve/api_log.h"
#include "serve/hub.h"
#include "serve/methods_within.h"

struct watch {
    struct rpc *rpc;
    struct hub_wait wait;
    uv_fs_event_t file;
    char path[PATH_MAX];    /* of the log; empty: not known yet */
    char watched[PATH_MAX]; /* it, or the deepest folder of it that there is; empty: nothing */
    struct api api;         /* of the part, with an arena of its own */
    struct arena arena;
    Weft__V1__LogPart *part;
    const char *part_path;
    bool reading, sending, news;
};

static void read_on(struct watch *w);

/* Over: the handle goes first, since it lives in the call's arena. */

static void closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    struct rpc *rpc = w->rpc;

    if (w->api.answer.code != CODE_OK) {
        arena_adopt(rpc->api.arena, &w->arena);
        rpc_refuse(rpc, &w->api.answer);
    } else if (rpc->cancelled) {
        rpc_end_cancelled(rpc);
    } else {
        rpc_finish(rpc, NULL);
    }
    arena_deinit(&w->arena);
}

static void end(struct watch *w)
{
    hub_forget(&w->wait, 0);
    if (!uv_is_closing((uv_handle_t *)&w->file))
        uv_close((uv_handle_t *)&w->file, closed);
}

/* News. */

static void wake(struct watch *w)
{
    if (w->reading || w->sending || uv_is_closing((uv_handle_t *)&w->file)) {
        w->news = true;
        return;
    }
    hub_forget(&w->wait, 0);
    read_on(w);
}

static void file_changed(uv_fs_event_t *file, const char *name, int events, int status)
{
    (void)name;
    (void)events;
    (void)status;
    wake(file->data);
}

static void woken(struct hub_wait *wait)
{
    wake(wait->context);
}

/* Watch the log, or the deepest folder of its path that there is. */
static void arm(struct watch *w)
{
    char path[PATH_MAX];
    char *slash = path;

    memcpy(path, w->path, sizeof(path));
    while (path[0] && slash && access(path, F_OK) != 0) {
        slash = strrchr(path, '/');
        if (slash)
            *slash = '\0';
    }
    if (strcmp(path, w->watched) == 0)
        return;
    uv_fs_event_stop(&w->file);
    w->watched[0] = '\0';
    if (path[0] && uv_fs_event_start(&w->file, file_changed, path, 0) == 0)
        memcpy(w->watched, path, sizeof(path));
}

/* Parts. */

static void read_part(struct rpc *rpc)
{
    struct watch *w = rpc->state;

    w->api.answer = (struct batcher_answer){.code = CODE_OK};
    api_log_part(&w->api, rpc->request, &w->part, &w->part_path);
}

static bool learn_path(struct watch *w)
{
    size_t n = strlen(w->part_path);

    if (w->path[0] || n >= sizeof(w->path))
        return false;
    memcpy(w->path, w->part_path, n + 1);
    return true;
}

static void was_read(struct rpc *rpc, int status)
{
    struct watch *w = rpc->state;
    struct api_log_read *read = rpc->request;
    bool first;

    w->reading = false;
    if (status || rpc->cancelled || w->api.answer.code != CODE_OK) {
        end(w);
        return;
    }
    /* One attempt is watched, whatever comes after it. */
    read->attempt = w->part->attempt;
    read->offset = w->part->next_offset;
    first = learn_path(w);
    w->sending = w->part->text[0];
    if (w->sending)
        rpc_message(rpc, &w->part->base);
    else if (w->part->end)
        end(w);
    else if (first || w->news)
        read_on(w);
    else
        hub_sleep(&w->wait, NULL);
}

static void read_on(struct watch *w)
{
    w->news = false;
    w->reading = true;
    hub_look(&w->wait);
    arm(w);
    arena_deinit(&w->arena);
    rpc_pool(w->rpc, read_part, was_read);
}

static void go_on(struct rpc *rpc)
{
    struct watch *w = rpc->state;

    if (w->reading)
        return;
    w->sending = false;
    if (rpc->cancelled || w->part->end)
        end(w);
    else
        read_on(w);
}

static void pull(struct rpc *rpc)
{
    rpc_soon(rpc, go_on);
}

static bool begin(struct rpc *rpc)
{
    const struct api_log_read *read = rpc->request;
    struct watch *w = ARENA_NEW(rpc->api.arena, struct watch);

    if (!methods_seat(rpc->methods)) {
        rpc_refuse_code(rpc, CODE_UNAVAILABLE, "nothing is watched within a command");
        return true;
    }
    w->rpc = rpc;
    w->wait = (struct hub_wait){
        .seat = methods_seat(rpc->methods),
        .topic = HUB_RUN_EVENTS,
        .run = read->run,
        .woken = woken,
        .context = w,
    };
    uv_fs_event_init(methods_loop(rpc->methods), &w->file);
    w->file.data = w;
    w->api = (struct api){.arena = &w->arena, .house = rpc->api.house};
    rpc->state = w;
    rpc->on_pull = pull;
    rpc->on_cancel = pull;
    read_on(w);
    return true;
}

const struct api_action api_log_watch = {
    .decode = api_log_decode,
    .request_size = sizeof(struct api_log_read),
    .begin = begin,
};
