/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc_files: our .proto files as descriptors, made by scripts/embed-descriptors.
 */
#ifndef NET_GRPC_FILES_H
#define NET_GRPC_FILES_H

#include <stddef.h>
#include <stdint.h>

struct grpc_files_file {
    const char *name;
    const unsigned char *bytes; /* a FileDescriptorProto */
    size_t n;
    const size_t *imports; /* places in grpc_files */
    size_t imports_n;
};

/* A service, method, message or enum by its full name; sorted by it. */
struct grpc_files_symbol {
    const char *name;
    size_t file;
};

struct grpc_files_extension {
    const char *extendee;
    int32_t number;
    size_t file;
};

extern const struct grpc_files_file grpc_files[];
extern const size_t grpc_files_n;
extern const struct grpc_files_symbol grpc_files_symbols[];
extern const size_t grpc_files_symbols_n;
extern const struct grpc_files_extension grpc_files_extensions[];
extern const size_t grpc_files_extensions_n;
extern const char *const grpc_files_services[];
extern const size_t grpc_files_services_n;

#endif
