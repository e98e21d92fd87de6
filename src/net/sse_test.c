/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sse.h"

#include "api/codec.h"
#include "base/test.h"

static void messages_are_events(void **state)
{
    struct arena a = {0};
    Weft__V1__Event *e = CODEC_NEW(&a, Weft__V1__Event, weft__v1__event);
    Weft__V1__LogPart *l = CODEC_NEW(&a, Weft__V1__LogPart, weft__v1__log_part);
    struct buf scratch, out;

    (void)state;
    buf_init(&scratch, 1000);
    buf_init(&out, 1000);
    e->seq = codec_text(&a, STR("17"));
    e->kind = codec_text(&a, STR("task_RUNNING"));
    sse_message(&e->base, &scratch, &out);
    CHECK_TEXT(buf_str(&out), "id: 17\nevent: task_RUNNING\n"
                              "data: {\"seq\":\"17\",\"kind\":\"task_RUNNING\"}\n\n");

    /* A line end in a name would begin another field. */
    buf_clear(&out);
    e->kind = codec_text(&a, STR("x\ndata: y"));
    sse_message(&e->base, &scratch, &out);
    CHECK_TEXT(buf_str(&out), "id: 17\ndata: {\"seq\":\"17\",\"kind\":\"x\\ndata: y\"}\n\n");

    /* A message that has neither. */
    buf_clear(&out);
    l->text = codec_text(&a, STR("a"));
    sse_message(&l->base, &scratch, &out);
    CHECK_TEXT(buf_str(&out), "data: {\"text\":\"a\"}\n\n");
    buf_deinit(&scratch);
    buf_deinit(&out);
    arena_deinit(&a);
}

static void lines_of_data(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    sse_event((struct str){0}, STR("end"), STR("{\n\"a\":\r1}"), &out);
    CHECK_TEXT(buf_str(&out), "event: end\ndata: {\ndata: \"a\":\ndata: 1}\n\n");
    buf_clear(&out);
    sse_event((struct str){0}, (struct str){0}, (struct str){0}, &out);
    CHECK_TEXT(buf_str(&out), "data: \n\n");
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_events),
        cmocka_unit_test(lines_of_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
