/* SPDX-License-Identifier: Apache-2.0 */
/* YAML documents: any bytes give a sound tree or a refusal that names the place. */
#include <stdint.h>

#include "doc_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct doc_error error = {0};
    struct doc *doc = NULL;
    int r = doc_yaml(&arena, (struct str){(const char *)data, size}, &doc, &error);

    doc_tree_check(r, doc, &error);
    arena_deinit(&arena);
    return 0;
}
