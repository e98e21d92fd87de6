/* SPDX-License-Identifier: Apache-2.0 */
#include "net/grpc_reflection.h"

#include "api/codec.h"
#include "net/grpc.h"
#include "net/grpc_files.h"
#include "reflection.pb-c.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest Request;
typedef Grpc__Reflection__V1__ServerReflectionResponse Response;
typedef Grpc__Reflection__V1__FileDescriptorResponse Files;
typedef Grpc__Reflection__V1__ListServiceResponse Services;
typedef Grpc__Reflection__V1__ServiceResponse Service;
typedef Grpc__Reflection__V1__ExtensionNumberResponse Numbers;
typedef Grpc__Reflection__V1__ErrorResponse Error;

#define CASE(name)         GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name
#define ASKS(name)         GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define NEW(a, type, name) CODEC_NEW((a), type, grpc__reflection__v1__##name)

static void not_found(struct arena *a, Response *r, const char *what)
{
    Error *e = NEW(a, Error, error_response);
    struct str text = str_printf(a, "there is no %s", what);

    e->has_error_code = true;
    e->error_code = GRPC_NOT_FOUND;
    e->error_message = codec_text(a, text);
    r->message_response_case = CASE(ERROR_RESPONSE);
    r->error_response = e;
}

/* Mark a file and all that it imports. */
static void mark(size_t file, bool *marked)
{
    if (marked[file])
        return;
    marked[file] = true;
    for (size_t i = 0; i < grpc_files[file].imports_n; i++)
        mark(grpc_files[file].imports[i], marked);
}

static void add_file(Files *f, size_t file)
{
    f->file_descriptor_proto[f->n_file_descriptor_proto++] = (ProtobufCBinaryData){
        .data = (uint8_t *)(uintptr_t)grpc_files[file].bytes, .len = grpc_files[file].n};
}

/* The file that was asked for comes first. */
static void files(struct arena *a, Response *r, size_t file)
{
    Files *f = NEW(a, Files, file_descriptor_response);
    bool *marked = ARENA_ARRAY(a, bool, grpc_files_n);

    f->file_descriptor_proto = ARENA_ARRAY(a, ProtobufCBinaryData, grpc_files_n);
    mark(file, marked);
    add_file(f, file);
    for (size_t i = 0; i < grpc_files_n; i++)
        if (marked[i] && i != file)
            add_file(f, i);
    r->message_response_case = CASE(FILE_DESCRIPTOR_RESPONSE);
    r->file_descriptor_response = f;
}

static void by_name(struct arena *a, Response *r, const char *name)
{
    for (size_t i = 0; i < grpc_files_n; i++)
        if (strcmp(grpc_files[i].name, name) == 0) {
            files(a, r, i);
            return;
        }
    not_found(a, r, "such file");
}

static void by_symbol(struct arena *a, Response *r, const char *name)
{
    for (size_t i = 0; i < grpc_files_symbols_n; i++)
        if (strcmp(grpc_files_symbols[i].name, name) == 0) {
            files(a, r, grpc_files_symbols[i].file);
            return;
        }
    not_found(a, r, "such symbol");
}

static void by_extension(struct arena *a, Response *r,
                         const Grpc__Reflection__V1__ExtensionRequest *q)
{
    for (size_t i = 0; i < grpc_files_extensions_n; i++) {
        const struct grpc_files_extension *e = &grpc_files_extensions[i];

        if (e->number == q->extension_number && q->containing_type &&
            strcmp(e->extendee, q->containing_type) == 0) {
            files(a, r, e->file);
            return;
        }
    }
    not_found(a, r, "such extension");
}

static void numbers(struct arena *a, Response *r, char *type)
{
    Numbers *n = NEW(a, Numbers, extension_number_response);

    n->base_type_name = type;
    n->extension_number = ARENA_ARRAY(a, int32_t, grpc_files_extensions_n);
    for (size_t i = 0; i < grpc_files_extensions_n; i++)
        if (strcmp(grpc_files_extensions[i].extendee, type) == 0)
            n->extension_number[n->n_extension_number++] = grpc_files_extensions[i].number;
    if (n->n_extension_number == 0) {
        not_found(a, r, "extension of that type");
        return;
    }
    r->message_response_case = CASE(ALL_EXTENSION_NUMBERS_RESPONSE);
    r->all_extension_numbers_response = n;
}

static void services(struct arena *a, Response *r)
{
    Services *list = NEW(a, Services, list_service_response);

    list->service = ARENA_ARRAY(a, Service *, grpc_files_services_n);
    for (size_t i = 0; i < grpc_files_services_n; i++) {
        list->service[i] = NEW(a, Service, service_response);
        list->service[i]->name = (char *)(uintptr_t)grpc_files_services[i];
    }
    list->n_service = grpc_files_services_n;
    r->message_response_case = CASE(LIST_SERVICES_RESPONSE);
    r->list_services_response = list;
}

bool grpc_reflection_answer(struct arena *a, struct str request, ProtobufCMessage **ret,
                            struct str *ret_error)
{
    Response *r = NEW(a, Response, server_reflection_response);
    ProtobufCMessage *message;
    Request *q;

    if (codec_decode(a, &grpc__reflection__v1__server_reflection_request__descriptor, request,
                     &message, ret_error))
        return false;
    q = (Request *)message;
    r->valid_host = q->host;
    r->original_request = q;
    if (q->message_request_case == ASKS(FILE_BY_FILENAME))
        by_name(a, r, q->file_by_filename);
    else if (q->message_request_case == ASKS(FILE_CONTAINING_SYMBOL))
        by_symbol(a, r, q->file_containing_symbol);
    else if (q->message_request_case == ASKS(FILE_CONTAINING_EXTENSION))
        by_extension(a, r, q->file_containing_extension);
    else if (q->message_request_case == ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE))
        numbers(a, r, q->all_extension_numbers_of_type);
    else if (q->message_request_case == ASKS(LIST_SERVICES))
        services(a, r);
    else
        not_found(a, r, "question in the request");
    *ret = &r->base;
    return true;
}
