/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/pools.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#define REMOVED_GRACE_US (30 * CLOCK_S)

struct entry {
    struct list link;
    struct pools *pools;
    char *name;
    char *command; /* struct pool_config.command */
    struct pipes *pipes;
    bool named; /* by the settings */
};

#define ENTRY_OF(it) LIST_OF(it, struct entry, link)

struct pools {
    struct pools_options o;
    char *data;
    struct nursery *nursery;
    struct list entries;
    bool draining;
};

static void told_over(struct pools *p)
{
    if (p->draining && list_empty(&p->entries))
        p->o.over(p->o.context);
}

static void entry_over(void *context)
{
    struct entry *e = context;
    struct pools *p = e->pools;

    log_say(LOG_INFO, "pool_ended", LOG_TEXT("pool", str_of(e->name)));
    list_del(&e->link);
    pipes_free(e->pipes);
    free(e->name);
    free(e->command);
    free(e);
    told_over(p);
}

static struct entry *find(const struct pools *p, struct str name)
{
    LIST_EACH(it, &p->entries)
    if (ENTRY_OF(it)->named && str_eq(str_of(ENTRY_OF(it)->name), name))
        return ENTRY_OF(it);
    return NULL;
}

/* "NAME=" of both are the same. */
static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=") + 1;

    return strncmp(a, b, n) == 0;
}

/* The server's environment with what the pool says in its place. The list is the caller's. */
static const char **environment(const struct pools *p, const struct pool_config *c)
{
    const char *const *own = c->env;
    const char **env;
    size_t n = 0, own_n = 0;

    while (p->o.env[n])
        n++;
    while (own[own_n])
        own_n++;
    env = memory_new((n + own_n + 1) * sizeof(*env));
    n = 0;
    for (size_t i = 0; p->o.env[i]; i++) {
        bool said = false;

        for (size_t k = 0; k < own_n; k++)
            said = said || same_name(own[k], p->o.env[i]);
        if (!said)
            env[n++] = p->o.env[i];
    }
    memcpy(env + n, own, own_n * sizeof(*env));
    return env;
}

static char *text_of(struct str s)
{
    char *text = memory_new(s.n + 1);

    memcpy(text, s.p, s.n);
    return text;
}

static uint64_t draw(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = (uint64_t)clock_monotonic();
    return seed;
}

static struct entry *entry_new(struct pools *p, const struct pool_config *c,
                               const struct pipes_command *command)
{
    struct entry *e = memory_new(sizeof(*e));

    e->pools = p;
    e->named = true;
    e->name = text_of(c->settings.name);
    e->command = text_of(c->command);
    e->pipes = pipes_new(&(struct pipes_options){
        .loop = p->o.loop,
        .nursery = p->nursery,
        .settings = c->settings,
        .command = *command,
        .seed = draw(),
        .over = entry_over,
        .context = e,
    });
    list_add(&p->entries, &e->link);
    return e;
}

static void entry_set(struct entry *e, const struct pool_config *c,
                      const struct pipes_command *command)
{
    bool renew = !str_eq(str_of(e->command), c->command);

    e->named = true;
    free(e->command);
    e->command = text_of(c->command);
    pipes_set(e->pipes, &c->settings, command, renew);
}

static void set_one(struct pools *p, const struct pool_config *c)
{
    CLEANUP(memory_freep) const char **env = environment(p, c);
    char folder[PATH_MAX];
    const struct pipes_command command = {
        .argv = c->argv,
        .env = env,
        .cwd = c->cwd,
        .log_folder = folder,
        .grace_us = c->grace_us,
    };
    struct entry *e = find(p, c->settings.name);

    snprintf(folder, sizeof(folder), "%s/pools/" STR_FMT, p->data, STR_ARG(c->settings.name));
    if (e)
        entry_set(e, c, &command);
    else
        entry_new(p, c, &command);
}

static bool is_named(const struct pool_configs *configs, const char *name)
{
    for (size_t i = 0; i < configs->n; i++)
        if (str_eq(configs->list[i].settings.name, str_of(name)))
            return true;
    return false;
}

size_t pools_set(struct pools *p, const struct pool_configs *configs)
{
    if (p->draining)
        return 0;
    LIST_EACH(it, &p->entries)
    {
        struct entry *e = ENTRY_OF(it);

        if (!e->named || is_named(configs, e->name))
            continue;
        e->named = false;
        pool_drain(pipes_pool(e->pipes), REMOVED_GRACE_US, clock_monotonic());
    }
    for (size_t i = 0; i < configs->n; i++)
        set_one(p, &configs->list[i]);
    return configs->n;
}

void pools_drain(struct pools *p, int64_t grace_us)
{
    p->draining = true;
    LIST_EACH(it, &p->entries)
    pool_drain(pipes_pool(ENTRY_OF(it)->pipes), grace_us, clock_monotonic());
    told_over(p);
}

struct pools *pools_new(const struct pools_options *options)
{
    struct pools *p = memory_new(sizeof(*p));

    p->o = *options;
    p->data = memory_text(options->data);
    p->nursery = nursery_new(p->o.loop);
    list_init(&p->entries);
    return p;
}

struct pools *pools_free(struct pools *p)
{
    if (!p)
        return NULL;
    assert(list_empty(&p->entries));
    p->nursery = nursery_free(p->nursery);
    free(p->data);
    free(p);
    return NULL;
}

struct nursery *pools_nursery(struct pools *p)
{
    return p->nursery;
}

struct pool *pools_find(const struct pools *p, struct str name)
{
    struct entry *e = find(p, name);

    return e ? pipes_pool(e->pipes) : NULL;
}

void pools_each(const struct pools *p,
                void (*each)(void *context, struct str name, struct pool *pool), void *context)
{
    LIST_EACH(it, &p->entries)
    if (ENTRY_OF(it)->named)
        each(context, str_of(ENTRY_OF(it)->name), pipes_pool(ENTRY_OF(it)->pipes));
}
