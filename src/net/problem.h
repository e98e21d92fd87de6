/* SPDX-License-Identifier: Apache-2.0 */
/*
 * problem: a refusal as application/problem+json (RFC 9457).
 *
 *     {"type":"about:blank","title":"Not Found","status":404,"code":"queue_not_found",
 *      "detail":"there is no queue \"mail\"","details":[{"line":1,"column":7,"text":"..."}]}
 */
#ifndef NET_PROBLEM_H
#define NET_PROBLEM_H

#include "base/buf.h"
#include "base/doc.h"
#include "core/code.h"

#define PROBLEM_TYPE "application/problem+json"

struct problem {
    int status;
    enum code code;
    struct str detail;
    const struct doc_error *details;
    size_t details_n;
};

void problem_json(const struct problem *p, struct buf *out);

/* The words of an HTTP status, "Not Found". */
const char *problem_title(int status);

#endif
