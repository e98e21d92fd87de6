/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runner in C: its stages count the lines of a file.
 *
 *     cc -o count count.c $(pkg-config --cflags --libs weft jansson)
 *     count                the server is WEFT_SERVER, or the one of this machine
 */
#include <err.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <weft.h>
#include <weft_runner.h>

/* Each check that the stage was assigned gets the number, and the stage itself has it as its
 * result. */
static int answer(struct weft_stage *stage, size_t lines)
{
    char said[64];
    size_t n = (size_t)snprintf(said, sizeof(said), "{\"lines\":%zu}", lines), checks_n;
    const struct weft_check *checks = weft_stage_checks(stage, &checks_n);

    for (size_t i = 0; i < checks_n; i++)
        weft_stage_check(stage,
                         &(struct weft_check_result){
                             .check = checks[i].name, .data = said, .data_n = n, .open = 1},
                         NULL);
    return weft_stage_result(stage, said, n, NULL);
}

/* {"file":"/usr/share/dict/words"} */
static int count(void *context, struct weft_stage *stage)
{
    json_t *args = json_loads(weft_stage_args(stage, NULL), 0, NULL);
    const char *name = json_string_value(json_object_get(args, "file"));
    FILE *file = fopen(name ? name : "", "r");
    size_t lines = 0;
    int c, r;

    (void)context;
    while (file && (c = getc(file)) != EOF)
        if (c == '\n' && ++lines % 1000000 == 0 && weft_stage_cancelled(stage))
            break;
    if (!file)
        r = weft_stage_fail_final(stage, "file", "%s: %s", name ? name : "?", strerror(errno));
    else if (weft_stage_cancelled(stage))
        r = -1;
    else
        r = answer(stage, lines);
    if (file)
        fclose(file);
    json_decref(args);
    return r;
}

int main(void)
{
    static const struct weft_stage_type types[] = {
        {.type = "count", .work = count}
    };
    struct weft_error error;
    struct weft *w;

    if (weft_open(NULL, NULL, &w, &error) || weft_runner_serve(w, NULL, types, 1, &error))
        errx(1, "%s", error.text);
    weft_close(w);
    return 0;
}
