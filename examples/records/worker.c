/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on the records of a queue until it is empty, then tell how it went.
 *
 *     cc -o worker worker.c $(pkg-config --cflags --libs weft jansson)
 *     worker [QUEUE]       default: records; the server is WEFT_SERVER, or the one of this machine
 */
#include <err.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft.h>

/* The letters of Latin script without their marks, in capitals: U+00C0 to U+024F, and from U+1E00.
 */
static const char latin[] =
    "AAAAAA_CEEEEIIII_NOOOOO__UUUUY__AAAAAA_CEEEEIIII_NOOOOO__UUUUY_YAAAAAACCCCCCCCDD"
    "__EEEEEEEEEEGGGGGGGGHH__IIIIIIIII___JJKK_LLLLLL____NNNNNN___OOOOOO__RRRRRRSSSSSS"
    "SSTTTT__UUUUUUUUUUUUWWYYYZZZZZZS________________________________OO_____________U"
    "U____________________________AAIIOOUUUUUUUUUU_AAAA____GGKKOOOO__J___GG__NNAA____"
    "AAAAEEEEIIIIOOOORRRRUUUUSSTT__HH______AAEEOOOOOOOOYY____________________________";
static const char latin_more[] =
    "AABBBBBBCCDDDDDDDDDDEEEEEEEEEEFFGGHHHHHHHHHHIIIIKKKKKKLLLLLLLLMMMMMMNNNNNNNNOOOO"
    "OOOOPPPPRRRRRRRRSSSSSSSSSSTTTTTTTTUUUUUUUUUUVVVVWWWWWWWWWWXXXXYYZZZZZZHTWY_S____"
    "AAAAAAAAAAAAAAAAAAAAAAAAEEEEEEEEEEEEEEEEIIIIOOOOOOOOOOOOOOOOOOOOOOOOUUUUUUUUUUUU"
    "UUYYYYYYYY______";

/* One character without its marks; '_' where it does not fold into ASCII, '\0' for a mark alone. */
static char fold(unsigned c)
{
    if (c < 0x80)
        return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    if (c >= 0xc0 && c < 0x250)
        return latin[c - 0xc0];
    if (c >= 0x1e00 && c < 0x1f00)
        return latin_more[c - 0x1e00];
    return c >= 0x300 && c < 0x370 ? '\0' : '_';
}

/* What a parcel's label shows, in ASCII. A name that does not fold into it is somebody's work. */
static int label(void *context, struct weft_lease *lease)
{
    size_t n, written = 0;
    const char *payload = weft_lease_payload(lease, &n);
    json_t *record = json_loadb(payload, n, 0, NULL);
    const char *name = json_string_value(json_object_get(record, "name"));
    const char *code = json_string_value(json_object_get(record, "code"));
    char *out = calloc(1, n + 1);

    (void)context;
    for (const char *p = name ? name : "\xff"; *p;) {
        unsigned char first = (unsigned char)*p++;
        unsigned c = first < 0x80 ? first : first & (first < 0xe0 ? 0x1f : 0x0f);
        while (first >= 0x80 && ((unsigned char)*p & 0xc0) == 0x80)
            c = c << 6 | ((unsigned char)*p++ & 0x3f);
        if ((out[written] = fold(c)))
            written++;
    }
    if (!code || strchr(out, '_')) {
        weft_lease_fail(lease, "ValueError", "the name does not fold into ASCII", NULL);
    } else {
        json_t *told = json_pack("{s:o}", "label", json_sprintf("%s, %.2s", out, code));
        char *text = json_dumps(told, JSON_COMPACT);

        weft_lease_complete(lease, text, strlen(text), NULL);
        free(text);
        json_decref(told);
    }
    json_decref(record);
    free(out);
    return 0;
}

int main(int argc, char **argv)
{
    const char *queue = argc > 1 ? argv[1] : "records";
    struct weft_summary s;
    struct weft_worker *worker;
    struct weft_error error;
    struct weft *client;
    size_t claimed = 0, succeeded = 0;

    if (weft_open(NULL, NULL, &client, &error) ||
        weft_worker_start(client, &(struct weft_worker_options){.slots = 200}, &worker, &error))
        errx(1, "%s", error.text);
    do {
        if (weft_worker_flow(worker, queue, 100, label, NULL, 30000, &s, &error))
            errx(1, "%s", error.text);
        claimed += s.claimed;
        succeeded += s.succeeded;
    } while (s.claimed);
    printf("%s (C): %zu records, %.2f %% succeeded\n", weft_worker_name(worker), claimed,
           claimed ? 100.0 * (double)succeeded / (double)claimed : 0.0);
    weft_worker_close(worker, 30000);
    weft_close(client);
    return 0;
}
