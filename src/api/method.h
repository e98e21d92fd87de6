/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method: one call of the API as data: its names, its messages, how it looks over HTTP, who may.
 *
 * One row drives gRPC, HTTP/JSON, the in-process transport, permissions, metrics and the OpenAPI
 * document (DESIGN §3). What a method does stands in serve/methods.c, whose rows begin with this.
 */
#ifndef API_METHOD_H
#define API_METHOD_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

enum method_verb { METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_DELETE };

/* VIEW looks, WORK holds leases, OPERATE changes what runs, ADMIN all else. */
enum method_permission { METHOD_VIEW, METHOD_WORK, METHOD_OPERATE, METHOD_ADMIN };

enum method_kind { METHOD_READ, METHOD_WRITE };
enum method_reply { METHOD_UNARY, METHOD_STREAM };

struct method {
    const char *name; /* "queues.enqueue", in the command line, logs and metrics */
    const char *rpc;  /* "weft.v1.Queues/Enqueue" */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *reply; /* of each message of a stream */
    enum method_reply replies;
    enum method_kind kind; /* a METHOD_WRITE takes an Idempotency-Key */
    enum method_permission permission;
    enum method_verb verb;
    /*
     * "/v1/queues/{queue}:enqueue": a part in braces is a field of the request, percent-decoded and
     * without '/'. Of a GET or DELETE the query's keys are the other fields ("a.b" for one within a
     * message); of a POST or PUT the body is the request as JSON, and empty is {}.
     */
    const char *path;
    const char *other_path; /* a second one, or NULL */
    const char *help;       /* one line for /openapi.json */
};

#endif
