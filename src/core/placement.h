/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement: which runner gets a stage that is ready, and why not each of the others.
 *
 * A pure function of what the stage demands and of what the runners offer. Of those that can take
 * it, the least loaded by leases is chosen, then by the share of its slots, then the one that was
 * given nothing for the longest time, then the smaller id: the same runners in another order give
 * the same answer. One that refused the stage is asked again only where there is no other.
 */
#ifndef CORE_PLACEMENT_H
#define CORE_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

#define PLACEMENT_LABELS_MAX 16u /* that a demand names */

enum placement_mode { PLACEMENT_SYNC = 1, PLACEMENT_ASYNC = 2 }; /* of a runner: their sum */
#define PLACEMENT_MODES_ALL (PLACEMENT_SYNC | PLACEMENT_ASYNC)

struct placement_label {
    struct str name, value;
};

struct placement_labels {
    const struct placement_label *list;
    size_t n;
};

/* What a runner must offer. Its text is JSON with sorted keys, and equal demands have equal texts:
 * {"labels":{"os":"linux"},"mode":"sync","type":"build"}. */
struct placement_demand {
    struct str type;
    enum placement_mode mode;
    struct placement_labels labels;
};

/* In the order in which they are looked at: the first that is true of a runner is the verdict. */
#define PLACEMENT_VERDICTS(X)                                                                      \
    X(CHOSEN, "chosen", "it gets the stage")                                                       \
    X(OTHER_TYPE, "other_type", "it is of another type")                                           \
    X(MODE_UNSUPPORTED, "mode_unsupported", "it does not take stages of this mode")                \
    X(LABEL_MISSING, "label_missing", "it lacks a label that the stage demands")                   \
    X(DRAINING, "draining", "it is draining and takes no more")                                    \
    X(SUSPECT, "suspect", "its heartbeat is late")                                                 \
    X(BREAKER_OPEN, "breaker_open", "calls to it failed, and it is left alone for a while")        \
    X(FULL, "full", "all of its slots are taken")                                                  \
    X(REFUSED_LAST, "refused_last", "it refused the stage, and another may take it")               \
    X(BUSIER, "busier", "another one is less loaded, or waited longer for a stage")
#define PLACEMENT_ENUM(name, text, sentence) PLACEMENT_##name,
enum placement_verdict { PLACEMENT_VERDICTS(PLACEMENT_ENUM) PLACEMENT_VERDICT_N };

enum placement_health { PLACEMENT_FIT, PLACEMENT_LEAVING, PLACEMENT_LATE };

struct placement_runner {
    int64_t id; /* of the incarnation */
    struct str type;
    unsigned modes;
    struct placement_labels labels;
    enum placement_health health;
    bool breaker_open;
    bool refused;    /* this stage, and since then nobody took it */
    int64_t slots;   /* 0: no limit */
    int64_t load;    /* live leases */
    int64_t granted; /* grows with each grant that it got; 0: none yet */
};

#define PLACEMENT_NOBODY SIZE_MAX

/* The place of the chosen one, or PLACEMENT_NOBODY. verdicts[i] is the one on runners[i]; where
 * nobody is chosen, REFUSED_LAST and BUSIER are on none. */
size_t placement_choose(const struct placement_demand *d, const struct placement_runner *runners,
                        size_t n, enum placement_verdict *verdicts);

/* Whether a runner could take such a stage at all: type, mode and labels, whatever its state. */
bool placement_serves(const struct placement_runner *r, const struct placement_demand *d);

struct str placement_verdict_text(enum placement_verdict v);     /* stable, snake_case */
struct str placement_verdict_sentence(enum placement_verdict v); /* for people */
bool placement_verdict_parse(struct str s, enum placement_verdict *ret);

struct str placement_mode_text(enum placement_mode m);
bool placement_mode_parse(struct str s, enum placement_mode *ret);
/* Modes as they are stored: "sync", "async", "sync,async"; sums that are none are refused. */
struct str placement_modes_text(unsigned modes);
bool placement_modes_parse(struct str s, unsigned *ret);

/* The text of a demand; its labels may come in any order, each name once. */
struct str placement_demand_text(struct arena *a, const struct placement_demand *d);
/* False where the text is no demand. */
bool placement_demand_parse(struct arena *a, struct str text, struct placement_demand *ret);

#endif
