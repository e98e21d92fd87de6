/* SPDX-License-Identifier: Apache-2.0 */
#include "core/group.h"

#include <assert.h>
#include <inttypes.h>

#include "base/buf.h"

static const struct str rule_texts[] = {
#define GROUP_TEXT(name, text) [GROUP_##name] = {text, sizeof(text) - 1},
    GROUP_RULES(GROUP_TEXT)
#undef GROUP_TEXT
};

static const struct str role_texts[] = {
#define GROUP_TEXT(name, text) [GROUP_ROLE_##name] = {text, sizeof(text) - 1},
    GROUP_ROLES(GROUP_TEXT)
#undef GROUP_TEXT
};

bool group_sound(const struct group *g)
{
    return g->rule < GROUP_RULE_N && g->total >= (g->rule != GROUP_ALL_DONE) && g->succeeded >= 0 &&
           g->succeeded <= g->done && g->done <= g->total && g->missing >= 0 &&
           g->missing <= g->total - g->done &&
           (g->rule != GROUP_AT_LEAST || (g->need >= 1 && g->need <= g->total));
}

/* A rule over successes: met by `need` of them, and out of reach when even all that are open would
 * not be enough. */
static enum group_verdict judge_successes(const struct group *g, int64_t need)
{
    if (g->succeeded >= need)
        return GROUP_MET;
    return g->succeeded + (g->total - g->done - g->missing) < need ? GROUP_IMPOSSIBLE
                                                                   : GROUP_WAITING;
}

/* A rule over ends: met by `need` of them. */
static enum group_verdict judge_ends(const struct group *g, int64_t need)
{
    if (g->done >= need)
        return GROUP_MET;
    return g->total - g->missing < need ? GROUP_IMPOSSIBLE : GROUP_WAITING;
}

enum group_verdict group_judge(const struct group *g)
{
    assert(group_sound(g));
    switch (g->rule) {
    case GROUP_ALL_SUCCESS:
        return judge_successes(g, g->total);
    case GROUP_ONE_SUCCESS:
        return judge_successes(g, 1);
    case GROUP_AT_LEAST:
        return judge_successes(g, g->need);
    case GROUP_ALL_DONE:
        return g->total ? judge_ends(g, g->total) : GROUP_WAITING;
    case GROUP_ONE_DONE:
        return judge_ends(g, 1);
    case GROUP_RULE_N:
        break;
    }
    __builtin_unreachable(); /* group_sound() has looked at the rule */
}

struct str group_rule_text(enum group_rule r)
{
    assert(r < GROUP_RULE_N);
    return rule_texts[r];
}

bool group_rule_parse(struct str s, enum group_rule *ret)
{
    size_t i;

    if (!str_index(s, rule_texts, GROUP_RULE_N, &i))
        return false;
    *ret = (enum group_rule)i;
    return true;
}

struct str group_role_text(enum group_role r)
{
    assert(r < GROUP_ROLE_N);
    return role_texts[r];
}

bool group_role_parse(struct str s, enum group_role *ret)
{
    size_t i;

    if (!str_index(s, role_texts, GROUP_ROLE_N, &i))
        return false;
    *ret = (enum group_role)i;
    return true;
}

struct str group_explain(const struct group *g, char out[static GROUP_TEXT_BYTES])
{
    static const char *const needs[] = {
        [GROUP_ALL_SUCCESS] = "every one to succeed",
        [GROUP_ALL_DONE] = "every one to end",
        [GROUP_ONE_SUCCESS] = "at least one to succeed",
        [GROUP_ONE_DONE] = "at least one to end",
        [GROUP_AT_LEAST] = "to succeed",
    };
    struct buf b;

    assert(group_sound(g));
    buf_fixed(&b, out, GROUP_TEXT_BYTES);
    buf_printf(&b, "%" PRId64 " of %" PRId64 " ended, %" PRId64 " succeeded; needs ", g->done,
               g->total, g->succeeded);
    if (g->rule == GROUP_AT_LEAST)
        buf_printf(&b, "at least %" PRId64 " ", g->need);
    buf_add(&b, str_of(needs[g->rule]));
    assert(!b.full);
    return buf_str(&b);
}
