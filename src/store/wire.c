/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wire.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"

/* How long the server's own limit may be overdue before the connection is given up. */
#define OVERDUE_MS 5000

/* How often whoever waits looks whether the program stops. */
#define STOP_LOOK_MS 100

/* Somebody else has the session that our statements were prepared in. */
#define POOLED "a pooler of transactions is between; give the store's URL ?pooler=transaction"

/* What an SQLSTATE, or a class of them, means to a caller. The first row that fits is taken. */
static const struct meaning {
    const char *state;
    int fault;
    const char *sentence;
} meanings[] = {
    {"23505", STORE_E_DUPLICATE, "a unique key exists already"                                       },
    {"40001", -EAGAIN,           "it came into conflict with another transaction"                    },
    {"40P01", -EAGAIN,           "it came into a deadlock with another transaction"                  },
    {"55P03", -EAGAIN,           "another transaction holds the lock for longer than lock_ms"        },
    {"57014", -EAGAIN,           "the statement took longer than statement_ms"                       },
    {"25006", -EROFS,            "the server takes no writes; is it a standby?"                      },
    {"53100", -ENOSPC,           "the server's disk is full; free some space and try again"          },
    {"53200", -ENOMEM,           "the server has not enough memory"                                  },
    {"42501", -EACCES,           "the user may not do that; give it the rights, or name another user"},
    {"26000", -EINVAL,           POOLED                                                              },
    {"42P05", -EINVAL,           POOLED                                                              },
    {"28",    -EACCES,           "the server refuses the user; check name, password and pg_hba.conf" },
    {"3D000", -ENOENT,           "there is no such database; create it, or name another one"         },
    {"XX001", -EUCLEAN,          "the data are damaged; restore them from a backup"                  },
    {"XX002", -EUCLEAN,          "an index is damaged; REINDEX it"                                   },
    {"58P01", -EUCLEAN,          "a file of the server is missing; restore it from a backup"         },
    {"58030", -EIO,              "the server's disk failed"                                          },
};

static const struct meaning *meaning_of(const char *state)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if (strncmp(meanings[i].state, state, strlen(meanings[i].state)) == 0)
            return &meanings[i];
    return NULL;
}

/* libpq ends its messages with a newline, and has several lines where it tried several servers. */
static struct str one_line(struct arena *a, const char *message)
{
    char *text = str_cstr(a, str_trim(str_of(message)));

    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    return str_of(text);
}

void wire_close(struct wire *w)
{
    PQfinish(w->c);
    w->c = NULL;
    w->sent_n = 0;
    w->store->ready = false;
}

int wire_lost(struct wire *w, const char *how)
{
    struct arena a = {0};
    const char *message = how ? how : PQerrorMessage(w->c);

    store_say(w->store, -ECONNRESET, "the connection was lost: " STR_FMT,
              STR_ARG(one_line(&a, message)));
    arena_deinit(&a);
    wire_close(w);
    return -ECONNRESET;
}

/* --- waiting --- */

/* Wait for the socket. 0: over time, or the program stopped `grace_ms` ago. */
static int wait_socket(struct wire *w, short events, int64_t deadline, int64_t grace_ms)
{
    struct pollfd p = {.fd = PQsocket(w->c), .events = events};
    int64_t most = w->store->options.watch ? STOP_LOOK_MS : 3600000;
    int r;

    do {
        int64_t left = deadline - clock_monotonic();
        int64_t ms = left <= 0 ? 0 : left / CLOCK_MS + 1;

        r = poll(&p, 1, (int)(ms > most ? most : ms));
    } while ((r < 0 && errno == EINTR) ||
             (r == 0 && clock_monotonic() < deadline && !store_stopped(w->store, grace_ms)));
    return r;
}

/* Send what is unsent and read until the next result is there. */
static int wait_result(struct wire *w, int64_t deadline)
{
    for (;;) {
        int unsent = PQflush(w->c);

        if (unsent < 0)
            return wire_lost(w, NULL);
        if (!unsent && !PQisBusy(w->c))
            return 0;
        if (wait_socket(w, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline, STORE_STOP_MS) <= 0)
            return wire_lost(w, "the server did not answer in time");
        if (!PQconsumeInput(w->c))
            return wire_lost(w, NULL);
    }
}

/* --- results --- */

/* The fault of a result, or 0. */
static int result_fault(struct wire *w, const PGresult *result, const char *name)
{
    const char *before = name ? "statement " : "", *colon = name ? ": " : "";
    const char *state, *message, *severity;
    const struct meaning *m;

    switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_PIPELINE_SYNC:
    case PGRES_EMPTY_QUERY:
        return 0;
    default:
        break;
    }
    state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (!state) /* libpq made it up: there is nobody at the other end */
        return wire_lost(w, PQresultErrorMessage(result));
    if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
        return wire_lost(w, message);
    /* A pooler leaves the severity out, and has no connection to the server. */
    if (strncmp(state, "08", 2) == 0)
        return wire_lost(w, message);
    m = meaning_of(state);
    if (!m)
        return store_say(w->store, -EBADMSG, "%s%s%s%s (SQLSTATE %s)", before, name ? name : "",
                         colon, message, state);
    return store_say(w->store, m->fault, "%s%s%s%s (SQLSTATE %s: %s)", before, name ? name : "",
                     colon, m->sentence, state, message);
}

int wire_take(struct wire *w, const char *name, int64_t deadline, PGresult **ret)
{
    PGresult *result, *more;
    int r = wait_result(w, deadline);

    *ret = NULL;
    if (r)
        return fault(r);
    result = PQgetResult(w->c);
    if (!result)
        return fault(wire_lost(w, "the server's answers are out of step"));
    r = wait_result(w, deadline);
    /* The results of one statement end with none. */
    while (!r && (more = PQgetResult(w->c))) {
        PQclear(more);
        r = wait_result(w, deadline);
    }
    if (!r && PQresultStatus(result) == PGRES_PIPELINE_ABORTED)
        r = -EBADMSG; /* the one before it has set the sentence */
    else if (!r)
        r = result_fault(w, result, name);
    if (r) {
        PQclear(result);
        return r > 0 ? r : fault(r);
    }
    *ret = result;
    return 0;
}

int wire_take_sync(struct wire *w, int64_t deadline)
{
    PGresult *result;
    ExecStatusType status;
    int r = wait_result(w, deadline);

    if (r)
        return fault(r);
    result = PQgetResult(w->c);
    status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_PIPELINE_SYNC
               ? 0
               : fault(wire_lost(w, "the server's answers are out of step"));
}

int wire_script(struct wire *w, const char *text, int64_t deadline, PGresult **ret)
{
    PGresult *last = NULL, *result;
    int r = 0, worst = 0;

    if (!PQsendQuery(w->c, text))
        return fault(wire_lost(w, NULL));
    for (;;) {
        r = wait_result(w, deadline);
        result = r ? NULL : PQgetResult(w->c);
        if (!result)
            break;
        PQclear(last);
        last = result;
        r = result_fault(w, result, NULL);
        worst = worst ? worst : r;
        if (!w->c)
            break;
    }
    worst = worst ? worst : r;
    if (!worst && ret)
        *ret = last;
    else
        PQclear(last);
    return worst > 0 ? worst : worst ? fault(worst) : 0;
}

int wire_pipeline(struct wire *w)
{
    return PQenterPipelineMode(w->c) ? 0 : fault(wire_lost(w, NULL));
}

int wire_sync(struct wire *w)
{
    return PQpipelineSync(w->c) ? 0 : fault(wire_lost(w, NULL));
}

int64_t wire_deadline(const struct wire *w, size_t statements)
{
    const struct store_options *o = &w->store->options;
    int64_t ms = o->statement_ms * (int64_t)statements;

    if (o->transaction_ms && ms > o->transaction_ms)
        ms = o->transaction_ms;
    return clock_monotonic() + (ms + OVERDUE_MS) * CLOCK_MS;
}

int wire_send(struct wire *w, const struct call *call)
{
    int ok;

    assert(w->sent_n < WIRE_SENT_MAX);
    if (call->text)
        ok = PQsendQueryParams(w->c, call->text, call->n, call->types, call->values, call->lengths,
                               call->formats, 0);
    else
        ok = PQsendQueryPrepared(w->c, call->name, call->n, call->values, call->lengths,
                                 call->formats, 0);
    if (!ok)
        return fault(wire_lost(w, NULL));
    w->sent[w->sent_n++] = call->name;
    return 0;
}

int wire_answers_many(struct wire *w, PGresult **ret, size_t wanted)
{
    int64_t deadline = wire_deadline(w, w->sent_n);
    size_t n = w->sent_n, kept = 0;
    int worst = 0, r = wire_sync(w);

    assert(wanted <= n);
    if (r)
        return fault(r);
    for (size_t i = 0; i < n && w->c; i++) {
        PGresult *result;

        r = wire_take(w, w->sent[i], deadline, &result);
        if (r > 0 && i + 1 < n)
            r = -EBADMSG; /* whoever wrote that did not wait to hear of it */
        worst = worst ? worst : r;
        if (!r && i + wanted >= n)
            ret[kept++] = result;
        else
            PQclear(result);
    }
    w->sent_n = 0;
    r = w->c ? wire_take_sync(w, deadline) : 0;
    if (r || !w->c)
        worst = -ECONNRESET; /* worse than what was the matter before */
    while (worst && kept > 0)
        PQclear(ret[--kept]);
    return worst > 0 ? worst : worst ? fault(worst) : 0;
}

int wire_answers(struct wire *w, PGresult **ret)
{
    return wire_answers_many(w, ret, ret ? 1 : 0);
}

/* --- connecting --- */

static void quiet(void *nothing, const char *message)
{
    (void)nothing;
    (void)message;
}

/* libpq quotes the URL in some messages, which are then not shown where it may hold a password. */
static int url_check(struct wire *w)
{
    struct str url = w->store->options.url;
    PQconninfoOption *parts;
    char *message = NULL;
    bool secret = str_find(url, '@', NULL) || strstr(url.p, "password");

    parts = PQconninfoParse(url.p, &message);
    if (parts) {
        PQconninfoFree(parts);
        return 0;
    }
    store_say(w->store, -EINVAL,
              "the URL of the Postgres store is malformed%s%s; write "
              "postgres://USER@HOST:PORT/DATABASE, with "
              "%%40 for an @ in a password",
              secret ? "" : ": ",
              secret    ? ""
              : message ? message
                        : "");
    PQfreemem(message);
    return -EINVAL;
}

/* Our defaults stand before the URL, which may say otherwise; what follows it holds always. */
static PGconn *start(const char *url)
{
    static const char *const names[] = {"keepalives_idle",           "keepalives_interval",
                                        "keepalives_count",          "tcp_user_timeout",
                                        "fallback_application_name", "dbname",
                                        "client_encoding",           NULL};
    const char *const values[] = {"10", "5", "3", "30000", "weft", url, "UTF8", NULL};

    return PQconnectStartParams(names, values, 1);
}

/* The SQLSTATE in a message of libpq: "…FATAL:  28P01: password authentication failed…", its last
 * one; or "". */
static void state_of(const char *message, char out[static 6])
{
    out[0] = '\0';
    for (const char *c = message; (c = strstr(c, ":  ")); c += 3) {
        size_t n = strspn(c + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

        if (n == 5 && c[3 + n] == ':') {
            memcpy(out, c + 3, 5);
            out[5] = '\0';
        }
    }
}

/* Some refusals will be the same the next time; all else may pass. */
static int dial_fault(struct wire *w)
{
    struct arena a = {0};
    struct str message = one_line(&a, PQerrorMessage(w->c));
    char state[6];
    const struct meaning *m;
    size_t at;
    int r = -EHOSTUNREACH;

    state_of(PQerrorMessage(w->c), state);
    m = *state ? meaning_of(state) : NULL;
    /* Where in the server's source it happened helps nobody. */
    for (at = 0; at < message.n && !str_starts(str_sub(message, at, message.n), STR("LOCATION: "));
         at++)
        continue;
    message = str_trim(str_sub(message, 0, at));
    if (m && (m->fault == -EACCES || m->fault == -ENOENT))
        r = store_say(w->store, m->fault, "%s (" STR_FMT ")", m->sentence, STR_ARG(message));
    else if (PQconnectionNeedsPassword(w->c))
        r = store_say(
            w->store, -EACCES,
            "the server wants a password; write it into ~/.pgpass, PGPASSWORD or the URL");
    else
        store_say(w->store, r,
                  "no connection could be made within connect_ms = %" PRId64 " ms: " STR_FMT,
                  w->store->options.connect_ms, STR_ARG(message));
    arena_deinit(&a);
    return r;
}

/* "postgres://host:port/database", with what libpq filled in. */
static void place_set(struct wire *w)
{
    struct store *s = w->store;

    if (s->place.n == 0)
        s->place =
            str_printf(&s->memory, "postgres://%s:%s/%s", PQhost(w->c), PQport(w->c), PQdb(w->c));
}

/* What the server tells about itself at login. */
static int server_check(struct wire *w)
{
    const char *encoding = PQparameterStatus(w->c, "server_encoding");
    const char *standby = PQparameterStatus(w->c, "in_hot_standby");
    int version = PQserverVersion(w->c);

    if (version < 150000)
        return store_say(w->store, -EINVAL, "the server is Postgres %d; weft needs 15 or newer",
                         version / 10000);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return store_say(w->store, -EINVAL,
                         "the database has the encoding %s; create it with ENCODING 'UTF8'",
                         encoding ? encoding : "unknown");
    if (w->store->options.mode == STORE_WRITE && standby && strcmp(standby, "on") == 0)
        return store_say(w->store, -EROFS,
                         "the server is a standby and takes no writes; name the primary");
    return 0;
}

int wire_dial(struct wire *w, int64_t deadline)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    int r;

    wire_close(w);
    r = url_check(w);
    if (r)
        return fault(r);
    w->c = start(w->store->options.url.p);
    if (!w->c)
        return fault(store_say(w->store, -ENOMEM, "there is not enough memory"));
    place_set(w);
    PQsetNoticeProcessor(w->c, quiet, NULL);
    /* The only way to an SQLSTATE of a failed login is its text. */
    PQsetErrorVerbosity(w->c, PQERRORS_VERBOSE);
    while (PQstatus(w->c) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
           next != PGRES_POLLING_FAILED) {
        if (wait_socket(w, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline, 0) <= 0) {
            store_say(w->store, -EHOSTUNREACH,
                      "the server did not answer within connect_ms = %" PRId64 " ms",
                      w->store->options.connect_ms);
            wire_close(w);
            return fault(-EHOSTUNREACH);
        }
        next = PQconnectPoll(w->c);
    }
    r = PQstatus(w->c) == CONNECTION_OK ? server_check(w) : dial_fault(w);
    if (r) {
        wire_close(w);
        return fault(r);
    }
    PQsetErrorVerbosity(w->c, PQERRORS_DEFAULT);
    PQsetnonblocking(w->c, 1);
    return 0;
}
