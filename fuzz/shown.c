/* SPDX-License-Identifier: Apache-2.0 */
/* What others wrote, on its way to a terminal: whatever it was, what comes out is UTF-8 without a
 * control character that the terminal would act on, and no wider than asked for. */
#include <assert.h>
#include <locale.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/text.h"

#define OUT_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `log`: newlines, tabs and sequences that only set colours may be in it. */
static void check(const struct buf *b, bool log)
{
    struct str s = buf_str(b);

    assert(!b->full && str_utf8(s, NULL));
    for (size_t bytes; s.n; s = str_sub(s, bytes, s.n)) {
        uint32_t c = text_char(s, &bytes);

        if (log && c == 0x1B) {
            assert(s.n > 2 && s.p[1] == '[');
            for (bytes = 2; s.p[bytes] != 'm'; bytes++)
                assert((s.p[bytes] >= '0' && s.p[bytes] <= '9') || s.p[bytes] == ';' ||
                       s.p[bytes] == ':');
            bytes++;
        } else {
            assert(!text_unsafe(c) || (log && (c == '\n' || c == '\t')));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *ready; /* widths are those of UTF-8 */
    struct str given = {(const char *)data, size};
    struct buf b, cut;

    if (size > OUT_BYTES / 16)
        return 0;
    if (!ready)
        ready = setlocale(LC_CTYPE, "C.UTF-8");
    buf_init(&b, OUT_BYTES);
    buf_init(&cut, OUT_BYTES);

    text_safe(&b, given);
    check(&b, false);
    buf_clear(&b);
    text_log(&b, given);
    check(&b, true);
    buf_clear(&b);
    text_plain(&b, given);
    check(&b, false);
    for (size_t columns = 0; columns < 20; columns += 3) {
        buf_clear(&cut);
        text_cut(&cut, buf_str(&b), columns, true);
        assert(text_width(buf_str(&cut)) <= columns);
        check(&cut, false);
    }
    buf_clear(&cut);
    text_wrap(&cut, buf_str(&b), 10, 2);

    buf_deinit(&cut);
    buf_deinit(&b);
    return 0;
}
