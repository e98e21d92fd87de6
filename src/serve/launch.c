/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/launch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "client/dump.h"
#include "core/definition.h"
#include "core/template.h"
#include "serve/logs.h"

/* What an attempt gets, and its parent's must not leak into it. */
enum own {
    OWN_RUN,
    OWN_TASK,
    OWN_ATTEMPT,
    OWN_TOKEN,
    OWN_DEADLINE,
    OWN_OUTPUT,
    OWN_PROGRESS,
    OWN_N,
};

static const struct str own_names[OWN_N] = {
    [OWN_RUN] = {"WEFT_RUN_ID=",   12},
      [OWN_TASK] = {"WEFT_TASK=",     10},
    [OWN_ATTEMPT] = {"WEFT_ATTEMPT=",  13},
      [OWN_TOKEN] = {"WEFT_TOKEN=",    11},
    [OWN_DEADLINE] = {"WEFT_DEADLINE=", 14},
      [OWN_OUTPUT] = {"WEFT_OUTPUT=",   12},
    [OWN_PROGRESS] = {"WEFT_PROGRESS=", 14},
};

static bool is_own(const char *entry)
{
    for (size_t i = 0; i < OWN_N; i++) {
        if (strncmp(entry, own_names[i].p, own_names[i].n) == 0)
            return true;
    }
    return false;
}

void launch_base_init(struct launch_base *b, const char *const *env, const char *data)
{
    size_t n = 0;

    *b = (struct launch_base){0};
    while (env[n])
        n++;
    b->env = ARENA_ARRAY(&b->arena, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (!is_own(env[i]))
            b->env[b->env_n++] = str_cstr(&b->arena, str_of(env[i]));
    }
    b->data = str_cstr(&b->arena, str_of(data));
}

int launch_base_folders(struct launch_base *b, int64_t incarnation)
{
    int r = file_mkdirs(str_printf(&b->arena, "%s/logs", b->data).p);

    b->scratch = logs_scratch(&b->arena, b->data, incarnation).p;
    if (!r)
        r = file_mkdirs(b->scratch);
    return r ? fault(r) : 0;
}

/* A failure shows where the task writes, and in its words. */
void launch_base_scratch(const struct launch_base *b)
{
    if (mkdir(b->scratch, 0755) && errno != EEXIST)
        file_mkdirs(b->scratch);
}

void launch_base_deinit(struct launch_base *b)
{
    arena_deinit(&b->arena);
}

/* Reading. */

static struct str text_of(const json_t *v)
{
    return (struct str){json_string_value(v), json_string_length(v)};
}

static bool texts_only(const json_t *list)
{
    size_t i;
    json_t *item;

    if (!json_is_array(list))
        return false;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        if (!json_is_string(item))
            return false;
    }
    return true;
}

static bool well_formed(const json_t *payload)
{
    const json_t *env = json_object_get(payload, "env");
    size_t i;
    json_t *pair;

    if (!texts_only(json_object_get(payload, "argv")) ||
        json_array_size(json_object_get(payload, "argv")) == 0 ||
        !json_is_string(json_object_get(payload, "cwd")) || !json_is_array(env) ||
        !json_is_integer(json_object_get(payload, "grace_us")))
        return false;
    json_array_foreach((json_t *)(uintptr_t)env, i, pair)
    {
        if (!texts_only(pair) || json_array_size(pair) != 2)
            return false;
    }
    return true;
}

struct gather {
    struct arena *a;
    struct launch *l;
    struct str *error;
    int r;
};

static void note_name(void *context, const struct template_ref *ref)
{
    struct gather *g = context;
    struct launch *l = g->l;

    if (ref->kind != TEMPLATE_TASK_OUTPUT)
        return;
    for (size_t i = 0; i < l->names_n; i++) {
        if (str_eq(l->names[i], ref->name))
            return;
    }
    l->names = arena_grow(g->a, l->names, l->names_n * sizeof(*l->names),
                          (l->names_n + 1) * sizeof(*l->names));
    l->names[l->names_n++] = str_copy(g->a, ref->name);
}

static void gather_names(struct gather *g, const json_t *text)
{
    if (!g->r && template_scan(g->a, text_of(text), note_name, g, g->error))
        g->r = LAUNCH_E_BAD;
}

static int read_names(struct arena *a, struct launch *l, struct str *ret_error)
{
    struct gather g = {a, l, ret_error, 0};
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(l->payload, "argv"), i, item)
    {
        gather_names(&g, item);
    }
    json_array_foreach(json_object_get(l->payload, "env"), i, item)
    {
        gather_names(&g, json_array_get(item, 1));
    }
    gather_names(&g, json_object_get(l->payload, "cwd"));
    return g.r;
}

int launch_read(struct arena *a, struct str payload, struct launch *ret, struct str *ret_error)
{
    json_error_t error;

    *ret = (struct launch){.payload = json_loadb(payload.p, payload.n, 0, &error)};
    if (!ret->payload || !well_formed(ret->payload)) {
        *ret_error = STR("the task's description in the store is damaged");
        return LAUNCH_E_BAD;
    }
    ret->refers = json_is_true(json_object_get(ret->payload, "refers"));
    return ret->refers ? read_names(a, ret, ret_error) : 0;
}

void launch_outputs(struct arena *a, struct launch *l, const struct str *texts)
{
    l->outputs = ARENA_ARRAY(a, json_t *, l->names_n);
    for (size_t i = 0; i < l->names_n; i++)
        l->outputs[i] =
            texts[i].n ? json_loadb(texts[i].p, texts[i].n, JSON_ALLOW_NUL, NULL) : NULL;
}

void launch_deinit(struct launch *l)
{
    for (size_t i = 0; l->outputs && i < l->names_n; i++)
        json_decref(l->outputs[i]);
    json_decref(l->payload);
    *l = (struct launch){0};
}

/* Replacing. */

struct filler {
    struct arena *a;
    const struct launch *l;
    const struct task_lease *lease;
    struct str *error;
};

/* The next name of "rows.total", which is cut from its front. */
static struct str next_name(struct str *path)
{
    size_t dot = path->n;
    struct str name;

    str_find(*path, '.', &dot);
    name = str_sub(*path, 0, dot);
    *path = dot < path->n ? str_sub(*path, dot + 1, path->n) : STR("");
    return name;
}

static const json_t *walk(const json_t *v, struct str path)
{
    while (v && path.n) {
        struct str name = next_name(&path);
        int64_t index;

        if (json_is_object(v)) {
            const char *key;
            json_t *item, *found = NULL;

            json_object_foreach((json_t *)(uintptr_t)v, key, item)
            {
                if (str_eq(str_of(key), name))
                    found = item;
            }
            v = found;
        } else if (json_is_array(v) && str_int64(name, &index) && index >= 0) {
            v = json_array_get(v, (size_t)index);
        } else {
            v = NULL;
        }
    }
    return v;
}

static bool unresolved(struct filler *f, const struct template_ref *ref, const char *why)
{
    *f->error = str_printf(f->a, "${tasks." STR_FMT ".output%s" STR_FMT "}: %s", STR_ARG(ref->name),
                           ref->path.n ? "." : "", STR_ARG(ref->path), why);
    return false;
}

/* A text as it is, another value as compact JSON. */
static bool output_text(struct filler *f, const struct template_ref *ref, struct str *ret)
{
    const json_t *v = NULL;
    char *dump;
    bool known = false;

    for (size_t i = 0; i < f->l->names_n; i++) {
        if (str_eq(f->l->names[i], ref->name)) {
            v = f->l->outputs ? f->l->outputs[i] : NULL;
            known = true;
        }
    }
    assert(known);
    if (!v)
        return unresolved(f, ref, "the task has no output");
    v = walk(v, ref->path);
    if (!v)
        return unresolved(f, ref, "the task's output has no such field");
    if (json_is_string(v)) {
        *ret = text_of(v);
        return true;
    }
    dump = dump_text(v, DUMP_COMPACT);
    *ret = str_copy(f->a, str_of(dump));
    free(dump);
    return true;
}

static bool value_of(void *context, struct arena *a, const struct template_ref *ref,
                     struct str *ret_text, bool *ret_keep, struct str *ret_error)
{
    struct filler *f = context;

    *ret_keep = false;
    switch (ref->kind) {
    case TEMPLATE_TASK_OUTPUT:
        if (output_text(f, ref, ret_text))
            return true;
        *ret_error = *f->error;
        return false;
    case TEMPLATE_TASK_ATTEMPT:
        *ret_text = str_printf(a, "%" PRId64, f->lease->attempt);
        return true;
    case TEMPLATE_RUN_ID:
        *ret_text = str_printf(a, "%" PRId64, f->lease->run);
        return true;
    case TEMPLATE_PARAM:
        break;
    }
    *ret_error = str_printf(a, "${params." STR_FMT "} was not replaced when the run started",
                            STR_ARG(ref->name));
    return false;
}

/* The job. */

struct maker {
    struct filler f;
    enum task_reason reason;
    size_t bytes; /* of arguments and environment */
};

/* A text of the payload as a C string; NULL where a reference cannot be resolved or it grows too
 * large. */
static const char *fill(struct maker *m, const json_t *text)
{
    struct str s = text_of(text);

    if (m->f.l->refers && template_fill(m->f.a, s, DEFINITION_TEXT_BYTES_MAX, TEMPLATE_LAST,
                                        value_of, &m->f, &s, m->f.error)) {
        m->reason = TASK_REASON_REFERENCE;
        return NULL;
    }
    m->bytes += s.n + 1;
    if (m->bytes > LAUNCH_BYTES_MAX) {
        m->reason = TASK_REASON_SPAWN_FAILED;
        *m->f.error = str_printf(m->f.a, "its arguments and environment are larger than %u bytes",
                                 LAUNCH_BYTES_MAX);
        return NULL;
    }
    return m->f.l->refers ? str_cstr(m->f.a, s) : s.p;
}

static const char *const *make_argv(struct maker *m)
{
    const json_t *argv = json_object_get(m->f.l->payload, "argv");
    size_t n = json_array_size(argv);
    const char **list = ARENA_ARRAY(m->f.a, const char *, n + 1);

    for (size_t i = 0; i < n; i++) {
        list[i] = fill(m, json_array_get(argv, i));
        if (!list[i])
            return NULL;
    }
    return list;
}

/* Add KEY=VALUE, in the place of one with that key. `key_n` counts the "=". */
static void env_put(const char **list, size_t *n, const char *entry, size_t key_n)
{
    for (size_t i = 0; i < *n; i++) {
        if (strncmp(list[i], entry, key_n) == 0) {
            list[i] = entry;
            return;
        }
    }
    list[(*n)++] = entry;
}

static const char *const *make_env(struct maker *m, const struct launch_base *b,
                                   const char *const own[static OWN_N])
{
    const json_t *env = json_object_get(m->f.l->payload, "env");
    const char **list =
        ARENA_ARRAY(m->f.a, const char *, b->env_n + json_array_size(env) + OWN_N + 1);
    size_t n = b->env_n, i;
    json_t *pair;

    memcpy(list, b->env, n * sizeof(*list));
    json_array_foreach((json_t *)(uintptr_t)env, i, pair)
    {
        struct str key = text_of(json_array_get(pair, 0));
        const char *value = fill(m, json_array_get(pair, 1));

        if (!value)
            return NULL;
        env_put(list, &n, str_printf(m->f.a, STR_FMT "=%s", STR_ARG(key), value).p, key.n + 1);
    }
    for (i = 0; i < OWN_N; i++)
        env_put(list, &n, own[i], own_names[i].n);
    return list;
}

static const char *make_cwd(struct maker *m, const char *dir)
{
    const char *cwd = fill(m, json_object_get(m->f.l->payload, "cwd"));

    if (!cwd || cwd[0] == '/')
        return cwd;
    return cwd[0] ? str_printf(m->f.a, "%s/%s", dir, cwd).p : dir;
}

static const char *own_entry(struct arena *a, enum own i, const char *value)
{
    return str_printf(a, "%s%s", own_names[i].p, value).p;
}

static const char *number(struct arena *a, int64_t v)
{
    return str_printf(a, "%" PRId64, v).p;
}

int launch_job(struct arena *a, const struct launch *l, const struct launch_base *b,
               const char *dir, const struct task_lease *lease, struct job *ret,
               enum task_reason *ret_reason, struct str *ret_error)
{
    struct maker m = {
        .f = {a, l, lease, ret_error}
    };
    char deadline[CLOCK_TEXT_BYTES] = "";
    const char *own[OWN_N];

    if (lease->deadline_at)
        clock_text(lease->deadline_at, deadline);
    *ret = (struct job){0};
    ret->output_path = str_printf(a, "%s/%" PRId64 ".output", b->scratch, lease->token).p;
    ret->progress_path = str_printf(a, "%s/%" PRId64 ".progress", b->scratch, lease->token).p;
    own[OWN_RUN] = own_entry(a, OWN_RUN, number(a, lease->run));
    own[OWN_TASK] = own_entry(a, OWN_TASK, str_cstr(a, lease->name));
    own[OWN_ATTEMPT] = own_entry(a, OWN_ATTEMPT, number(a, lease->attempt));
    own[OWN_TOKEN] = own_entry(a, OWN_TOKEN, number(a, lease->token));
    own[OWN_DEADLINE] = own_entry(a, OWN_DEADLINE, deadline);
    own[OWN_OUTPUT] = own_entry(a, OWN_OUTPUT, ret->output_path);
    own[OWN_PROGRESS] = own_entry(a, OWN_PROGRESS, ret->progress_path);
    ret->token = lease->token;
    ret->out_path = logs_path(a, b->data, lease->run, lease->task, lease->attempt, LOGS_STDOUT).p;
    ret->err_path = logs_path(a, b->data, lease->run, lease->task, lease->attempt, LOGS_STDERR).p;
    ret->timeout_us = lease->timeout_us;
    ret->grace_us = json_integer_value(json_object_get(l->payload, "grace_us"));
    ret->cwd = make_cwd(&m, dir);
    ret->argv = ret->cwd ? make_argv(&m) : NULL;
    ret->env = ret->argv ? make_env(&m, b, own) : NULL;
    *ret_reason = m.reason;
    return ret->env ? 0 : LAUNCH_E_BAD;
}
