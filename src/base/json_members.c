/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_members.h"

#include "base/json_scan.h"

bool json_members_begin(struct json_members *m, struct str text, unsigned depth_max)
{
    m->end = text.p + text.n;
    m->p = json_scan_blank(text.p, m->end);
    m->first = true;
    m->depth_max = depth_max;
    return m->p < m->end && *m->p == '{' && m->p++;
}

static enum json_members_found ended(struct json_members *m)
{
    m->p = json_scan_blank(m->p + 1, m->end);
    return m->p == m->end ? JSON_MEMBERS_END : JSON_MEMBERS_BAD;
}

static bool take(struct json_members *m, char c)
{
    m->p = json_scan_blank(m->p, m->end);
    if (m->p == m->end || *m->p != c)
        return false;
    m->p = json_scan_blank(m->p + 1, m->end);
    return true;
}

enum json_members_found json_members_next(struct json_members *m, struct json_member *ret)
{
    const char *bad, *begin;
    bool plain, deep;

    m->p = json_scan_blank(m->p, m->end);
    if (m->p < m->end && *m->p == '}')
        return ended(m);
    if ((!m->first && !take(m, ',')) || m->p == m->end || *m->p != '"')
        return JSON_MEMBERS_BAD;
    m->first = false;
    begin = m->p + 1;
    m->p = json_scan_text(begin, m->end, &plain, &bad);
    if (!m->p)
        return JSON_MEMBERS_BAD;
    ret->key = (struct str){begin, (size_t)(m->p - begin)};
    m->p++;
    if (!take(m, ':'))
        return JSON_MEMBERS_BAD;
    begin = m->p;
    m->p = json_scan_value(begin, m->end, m->depth_max, &bad, &deep);
    if (!m->p)
        return deep ? JSON_MEMBERS_DEEP : JSON_MEMBERS_BAD;
    ret->value = (struct str){begin, (size_t)(m->p - begin)};
    return JSON_MEMBERS_ONE;
}
