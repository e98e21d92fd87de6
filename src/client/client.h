/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: how a program speaks to weft, wherever weft is.
 *
 * A call has a method name and a JSON object, and gives a JSON object or a problem (docs/api.md
 * lists the methods and their shapes). What carries the calls is a transport: the server within
 * this process, or later one across the network; whoever calls cannot tell.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "core/code.h"

/* Why a call was refused; `text` is one sentence for a person. */
#define CLIENT_TEXT_BYTES 2048
struct client_problem {
    enum code code;
    char text[CLIENT_TEXT_BYTES];
    json_t
        *details; /* a list of {line, column, text}, or NULL; owned by the holder of the problem */
};
void client_problem_clear(struct client_problem *p);

enum { CLIENT_E_REFUSED = 1 };

/* What an attempt writes, followed beside the events of its run. It is the listener's, and stays
 * where it is. */
struct client_log {
    const char *name; /* of the task */
    int64_t attempt;
    const char *stream; /* "stdout" or "stderr" */
    int64_t offset;     /* of the first byte that was not told */
    bool ended;         /* all is told, and nothing will be written any more */
};

/* What happens to a run that is followed. Every function is called on the thread that follows and
 * makes no calls itself; `event` gets the objects of events.list, each once and in order. */
struct client_listener {
    void *context;
    void (*event)(void *context, const json_t *event);
    void (*line)(void *context, int64_t task, const char *text); /* newest line of output */
    void (*progress)(void *context, int64_t task, int percent,
                     const char *text); /* of a running task */
    void (*tick)(void *context);        /* ten times a second */
    void (*notice)(
        void *context,
        const char *text); /* "interrupted: cancelling the run; press Ctrl-C again to kill" */
    /* While watching. The n-th log that is wanted, or NULL behind the last; each event may bring
     * more of them. NULL: none. What is written is told as it comes, and the following ends with
     * the last of them. */
    struct client_log *(*log)(void *context, size_t n);
    void (*text)(void *context, const struct client_log *log, struct str text);
    bool (*enough)(void *context); /* nothing more is of interest; may be NULL */
};

/* WATCH: only look. CARRY: also execute its tasks here, until it ends; Ctrl-C (SIGINT, SIGTERM,
 * SIGHUP) cancels the run and waits, a second one kills. While watching, Ctrl-C ends the watching.
 */
enum client_follow { CLIENT_WATCH, CLIENT_CARRY };

struct client_transport {
    void *context;
    int (*call)(void *context, const char *method, const json_t *request, json_t **ret_reply,
                struct client_problem *ret_problem);
    int (*follow)(void *context, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem);
    void (*close)(void *context);
};

struct client {
    struct client_transport transport;
};

/* What a transport needs to know; NULL and 0 mean the defaults. */
struct client_settings {
    const char *server; /* "http://127.0.0.1:7411": across the network, and what follows but `carry`
                           is not looked at; NULL: within this process */
    /* For https, PEM files; NULL: the system's authorities, and no certificate of the client. */
    const char *server_ca, *client_cert, *client_key;
    const char *store; /* "sqlite:PATH" or "postgres://…"; default sqlite:DATA/weft.db */
    const char *data;  /* the folder of the store and the logs; default ./.weft */
    unsigned slots;    /* tasks at once when carrying; default: the number of processors */
    bool carry;        /* this process will carry a run: the guardian is started */
    bool create;       /* the store is made where there is none; else it is a problem */
};

/* Given by main to the command line: opens a transport. Returns 0 or CLIENT_E_REFUSED with a
 * problem. */
typedef int client_connect(const struct client_settings *settings, struct client *ret,
                           struct client_problem *ret_problem);

/* `request` is stolen (json_pack in place); NULL is {}. Returns 0 and a reply that the caller owns,
 * or CLIENT_E_REFUSED and a problem. */
int client_call(struct client *c, const char *method, json_t *request, json_t **ret_reply,
                struct client_problem *ret_problem);

/* Follow a run to its end. The listener hears every event of the run behind `after`: 0 for all, the
 * `seq` of runs.get for what is newer than that reply. */
int client_follow(struct client *c, int64_t run, enum client_follow how, int64_t after,
                  const struct client_listener *listener, struct client_problem *ret_problem);
void client_close(struct client *c);

#endif
