/* SPDX-License-Identifier: Apache-2.0 */
/* What a job says, in pieces: what is shown of it is UTF-8 on one line, whatever it was. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory.h"
#include "work/tail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_deinit) struct buf line;
    CLEANUP(buf_deinit) struct buf err;
    struct tail t = {0};

    buf_init(&line, 3 * TAIL_LINE_BYTES);
    buf_init(&err, 3 * EXECUTOR_TAIL_BYTES);
    /* The first byte of a piece says how long it is, and which stream's. */
    while (size) {
        size_t n = data[0] / 2;

        n = n < size ? n : size - 1;
        if (n)
            tail_add(&t, data[0] % 2 ? TAIL_ERR : TAIL_OUT,
                     (struct str){(const char *)data + 1, n});
        data += n + 1;
        size -= n + 1;
    }
    tail_end(&t);
    tail_newest(&t, &line);
    tail_err(&t, &err);
    assert(!line.full && !err.full);
    assert(str_utf8(buf_str(&line), NULL) && str_utf8(buf_str(&err), NULL));
    assert(!str_find(buf_str(&err), '\0', NULL));
    for (size_t i = 0; i < line.n; i++)
        assert((unsigned char)line.p[i] >= ' ' && line.p[i] != 0x7f);
    return 0;
}
