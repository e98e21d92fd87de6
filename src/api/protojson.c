/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the text, straight into the messages: the descriptor says what may stand where, so
 * that no tree is made. Sentences and places are made only where something is wrong.
 */
#include "api/protojson.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "api/codec.h"
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/sentence.h"

#define SENTENCE_BYTES_MAX 2000u
#define NUMBER_BYTES_MAX                                                                           \
    400u             /* a double's shortest spelling has 24; 1 and 300 zeros are a number too */
#define ITEMS_MIN 8u /* a list has room for so many at first */

struct reader {
    struct arena *a;
    const char *begin, *p, *end;
    struct doc_error *error;
    size_t messages_n, items_n;
};

/* Where in the message: "tasks[3].delay". */
struct place {
    const struct place *above;
    struct str name;
    size_t index; /* of an item, where it has no name */
};

static void write_place(struct buf *b, const struct place *at)
{
    if (!at)
        return;
    write_place(b, at->above);
    if (at->name.p)
        buf_printf(b, "%s" STR_FMT, b->n ? "." : "", STR_ARG(at->name));
    else
        buf_printf(b, "[%zu]", at->index);
}

/* Line and column of a byte, the column in characters. */
static void set_error(struct reader *r, const char *where, struct str text)
{
    *r->error = (struct doc_error){1, 1, text};
    for (const char *p = r->begin; p < where; p++) {
        if (*p == '\n') {
            r->error->line++;
            r->error->column = 1;
        } else if (((unsigned char)*p & 0xc0) != 0x80) {
            r->error->column++;
        }
    }
}

__attribute__((cold, format(printf, 4, 5))) static bool
bad(struct reader *r, const char *where, const struct place *at, const char *format, ...)
{
    struct buf b;
    va_list args;

    buf_init(&b, SENTENCE_BYTES_MAX);
    write_place(&b, at);
    if (at)
        buf_add(&b, STR(": "));
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    set_error(r, where, str_copy(r->a, buf_str(&b)));
    buf_deinit(&b);
    return false;
}

/* What stands here, for "X was found where …". */
static struct str found(struct reader *r, const char *p)
{
    if (p == r->end)
        return STR("the end of the text");
    switch (*p) {
    case '{':
        return STR("an object");
    case '[':
        return STR("a list");
    case '"':
        return STR("text");
    case 't':
        return STR("true");
    case 'f':
        return STR("false");
    case 'n':
        return STR("null");
    case '-':
    case '0' ... '9':
        return STR("a number");
    default:
        return sentence_quote(r->a, str_sub((struct str){p, (size_t)(r->end - p)}, 0, 1));
    }
}

__attribute__((cold)) static bool wrong_type(struct reader *r, const struct place *at,
                                             const char *wanted)
{
    struct str s = found(r, r->p);

    return bad(r, r->p, at, STR_FMT " was found where %s is allowed", STR_ARG(s), wanted);
}

__attribute__((cold)) static bool expected(struct reader *r, const struct place *at,
                                           const char *what)
{
    struct str s = found(r, r->p);

    return bad(r, r->p, at, "%s was expected; found " STR_FMT, what, STR_ARG(s));
}

/* The text is no JSON at `where`. */
__attribute__((cold)) static bool malformed(struct reader *r, const struct place *at,
                                            const char *where)
{
    struct str s;

    if (where == r->end)
        return bad(r, where, at, "the text ends in the middle of a value");
    if ((unsigned char)*where & 0x80)
        return bad(r, where, at, "this is not UTF-8");
    s = sentence_quote(r->a, (struct str){where, 1});
    return bad(r, where, at, STR_FMT " cannot stand here", STR_ARG(s));
}

static void skip_blank(struct reader *r)
{
    r->p = json_scan_blank(r->p, r->end);
}

static bool peek(const struct reader *r, char c)
{
    return r->p < r->end && *r->p == c;
}

/* The 16 bits behind \u, which are known to be there. */
static unsigned hex4(const char *p)
{
    unsigned v = 0;

    for (int i = 0; i < 4; i++)
        v = v * 16 + (unsigned)(p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return v;
}

static char *put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* A text that has been scanned, with its escapes resolved. None is shorter than what it says. */
static struct str unescape(struct arena *a, const char *p, const char *end)
{
    static const char names[] = "bfnrt";
    static const char bytes[] = "\b\f\n\r\t";
    char *begin = arena_alloc(a, (size_t)(end - p) + 1);
    char *out = begin;

    while (p < end) {
        const char *hit;
        unsigned c;

        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        hit = strchr(names, p[1]);
        if (p[1] != 'u') {
            *out++ = hit ? bytes[hit - names] : p[1];
            p += 2;
            continue;
        }
        c = hex4(p + 2);
        p += 6;
        if (c >= 0xd800 && c <= 0xdbff) {
            c = 0x10000 + ((c - 0xd800) << 10) + (hex4(p + 2) - 0xdc00);
            p += 6;
        }
        out = put_utf8(out, c);
    }
    return (struct str){begin, (size_t)(out - begin)};
}

/* A text in quotes, which stands here. It is borrowed from what is read where nothing is escaped.
 */
static bool take_text(struct reader *r, const struct place *at, struct str *ret)
{
    const char *begin = r->p + 1;
    const char *where = NULL;
    bool plain;
    const char *end = json_scan_text(begin, r->end, &plain, &where);

    if (!end && where == r->end)
        return bad(r, r->p, at, "the text that begins here has no closing quote");
    if (!end)
        return malformed(r, at, where);
    *ret = plain ? (struct str){begin, (size_t)(end - begin)} : unescape(r->a, begin, end);
    r->p = end + 1;
    if (!plain && str_find(*ret, '\0', NULL))
        return bad(r, begin - 1, at, "it holds a NUL character");
    return true;
}

static bool take_word(struct reader *r, const struct place *at, struct str word)
{
    struct str rest = {r->p, (size_t)(r->end - r->p)};

    if (!str_starts(rest, word))
        return bad(r, r->p, at, "%s was expected", word.p);
    r->p += word.n;
    return true;
}

static bool decode_text(struct reader *r, const struct place *at, char **to)
{
    struct str s = {0};

    if (!peek(r, '"'))
        return wrong_type(r, at, "text");
    if (!take_text(r, at, &s))
        return false;
    *to = str_cstr(r->a, s);
    return true;
}

/* JSON within JSON is kept as it stands. */
static bool decode_json(struct reader *r, const struct place *at, ProtobufCBinaryData *to)
{
    const char *where = NULL;
    bool deep;
    const char *end = json_scan_value(r->p, r->end, PROTOJSON_DEPTH_MAX, &where, &deep);
    struct str s;

    if (deep)
        return bad(r, where, at, "it is nested more than %u deep", PROTOJSON_DEPTH_MAX);
    if (!end)
        return malformed(r, at, where);
    s = str_copy(r->a, (struct str){r->p, (size_t)(end - r->p)});
    *to = (ProtobufCBinaryData){s.n, (uint8_t *)(uintptr_t)s.p};
    r->p = end;
    return true;
}

/* A number's spelling. */
static bool take_number(struct reader *r, const struct place *at, const char *wanted,
                        struct str *ret)
{
    const char *where = NULL;
    const char *end;

    if (!peek(r, '-') && !(r->p < r->end && *r->p >= '0' && *r->p <= '9'))
        return wrong_type(r, at, wanted);
    end = json_scan_number(r->p, r->end, &where);
    if (!end)
        return malformed(r, at, where);
    *ret = (struct str){r->p, (size_t)(end - r->p)};
    r->p = end;
    return true;
}

/* Whole numbers may be texts too, as protobuf's own JSON has them. */
static bool decode_int(struct reader *r, const struct place *at, int64_t min, int64_t max,
                       int64_t *ret)
{
    const char *begin = r->p;
    struct str s = {0};

    if (peek(r, '"') ? !take_text(r, at, &s) : !take_number(r, at, "a whole number", &s))
        return false;
    if (str_int64(s, ret) && *ret >= min && *ret <= max)
        return true;
    s = sentence_quote(r->a, s);
    return bad(r, begin, at, STR_FMT " is no whole number within %" PRId64 " … %" PRId64,
               STR_ARG(str_sub(s, *begin != '"', s.n - 2 * (*begin != '"'))), min, max);
}

/* strtod() wants a NUL behind the number. */
static bool parse_real(struct str s, double *ret)
{
    char text[NUMBER_BYTES_MAX + 1];
    int64_t whole = 0;

    if (s.n < 1 || s.n > NUMBER_BYTES_MAX)
        return false;
    if (s.n < 16 && s.p[0] != '-' && str_int64(s, &whole)) {
        *ret = (double)whole;
        return true;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *ret = strtod(text, NULL);
    return isfinite(*ret);
}

static bool decode_real(struct reader *r, const struct place *at, double *ret)
{
    const char *begin = r->p;
    struct str s = {0};

    if (!take_number(r, at, "a number", &s))
        return false;
    return parse_real(s, ret) || bad(r, begin, at, "the number is too large");
}

static bool decode_bool(struct reader *r, const struct place *at, protobuf_c_boolean *ret)
{
    if (!peek(r, 't') && !peek(r, 'f'))
        return wrong_type(r, at, "true or false");
    *ret = peek(r, 't');
    return take_word(r, at, *ret ? STR("true") : STR("false"));
}

/* The text of a Timestamp or Duration; NULL where it is none. */
static ProtobufCMessage *parse_time(struct arena *a, const ProtobufCMessageDescriptor *d,
                                    struct str s)
{
    Weft__V1__Timestamp *t;
    int64_t us = 0;

    if (d == &weft__v1__duration__descriptor)
        return clock_duration(s, &us) && us / CLOCK_S <= CODEC_DURATION_S_MAX
                   ? &codec_duration(a, us)->base
                   : NULL;
    if (!clock_parse(s, &us) || us / CLOCK_S < CODEC_TIME_S_MIN)
        return NULL;
    /* 1970 itself is a time too. */
    t = codec_time(a, us ? us : 1);
    if (!us)
        t->nanos = 0;
    return &t->base;
}

static bool is_time(const ProtobufCMessageDescriptor *d)
{
    return d == &weft__v1__duration__descriptor || d == &weft__v1__timestamp__descriptor;
}

static const char *time_text(const ProtobufCMessageDescriptor *d)
{
    return d == &weft__v1__duration__descriptor ? "a duration such as \"1.5s\""
                                                : "a time such as \"2026-01-31T12:00:00Z\"";
}

static bool decode_time(struct reader *r, const struct place *at,
                        const ProtobufCMessageDescriptor *d, ProtobufCMessage **to)
{
    const char *begin = r->p;
    struct str s = {0};

    if (!peek(r, '"'))
        return wrong_type(r, at, time_text(d));
    if (!take_text(r, at, &s))
        return false;
    *to = parse_time(r->a, d, s);
    if (*to)
        return true;
    s = sentence_quote(r->a, s);
    return bad(r, begin, at, STR_FMT " is not %s", STR_ARG(s), time_text(d));
}

static bool decode_message(struct reader *r, const struct place *at,
                           const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret);

/* One value of the field's type; `to` is a member, or an item of a list. */
static bool decode_value(struct reader *r, const struct place *at,
                         const ProtobufCFieldDescriptor *f, void *to)
{
    int64_t v;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return decode_text(r, at, to);
    case PROTOBUF_C_TYPE_BYTES:
        return decode_json(r, at, to);
    case PROTOBUF_C_TYPE_BOOL:
        return decode_bool(r, at, to);
    case PROTOBUF_C_TYPE_DOUBLE:
        return decode_real(r, at, to);
    case PROTOBUF_C_TYPE_INT64:
        return decode_int(r, at, INT64_MIN, INT64_MAX, to);
    case PROTOBUF_C_TYPE_INT32:
        if (!decode_int(r, at, INT32_MIN, INT32_MAX, &v))
            return false;
        *(int32_t *)to = (int32_t)v;
        return true;
    default:
        assert(f->type == PROTOBUF_C_TYPE_MESSAGE); /* the API has no other types */
        if (is_time(f->descriptor))
            return decode_time(r, at, f->descriptor, to);
        return decode_message(r, at, f->descriptor, to);
    }
}

struct list {
    char *items;
    size_t n, cap, size;
};

static void *list_add(struct arena *a, struct list *l)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : ITEMS_MIN;

        l->items = arena_grow(a, l->items, l->cap * l->size, cap * l->size);
        l->cap = cap;
    }
    return l->items + l->size * l->n++;
}

static void list_store(const struct list *l, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    *(size_t *)((char *)m + f->quantifier_offset) = l->n;
    *(void **)((char *)m + f->offset) = l->items;
}

/* Behind a value: whether another one follows, or `close` has ended the list or object. */
static bool take_separator(struct reader *r, const struct place *at, char close, bool *ret_more)
{
    skip_blank(r);
    *ret_more = peek(r, ',');
    if (!*ret_more && !peek(r, close))
        return expected(r, at, close == ']' ? "',' or ']'" : "',' or '}'");
    r->p++;
    if (*ret_more)
        skip_blank(r);
    return true;
}

/* The opening bracket, which is there. *ret_more is false where the closing one follows. */
static void take_open(struct reader *r, char close, bool *ret_more)
{
    r->p++;
    skip_blank(r);
    *ret_more = !peek(r, close);
    if (!*ret_more)
        r->p++;
}

static bool decode_list(struct reader *r, const struct place *at, const ProtobufCFieldDescriptor *f,
                        ProtobufCMessage *m)
{
    struct list l = {.size = codec_item_size(f->type)};
    struct place here = {.above = at};
    bool more;

    if (!peek(r, '['))
        return wrong_type(r, at, "a list");
    take_open(r, ']', &more);
    while (more) {
        if (++r->items_n > CODEC_FIELDS_MAX)
            return bad(r, r->p, &here, "there are too many items");
        if (!decode_value(r, &here, f, list_add(r->a, &l)) || !take_separator(r, at, ']', &more))
            return false;
        here.index++;
    }
    list_store(&l, m, f);
    return true;
}

static bool take_key(struct reader *r, const struct place *at, struct str *ret)
{
    if (!peek(r, '"'))
        return expected(r, at, "a key in double quotes");
    if (!take_text(r, at, ret))
        return false;
    skip_blank(r);
    if (!peek(r, ':'))
        return expected(r, at, "':' after the key");
    r->p++;
    skip_blank(r);
    return true;
}

static void set_present(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    if (f->quantifier_offset)
        *(protobuf_c_boolean *)((char *)m + f->quantifier_offset) = true;
}

static ProtobufCMessage *message_new(struct arena *a, const ProtobufCMessageDescriptor *d)
{
    return codec_new(a, d->sizeof_message, d);
}

static bool decode_map(struct reader *r, const struct place *at, const ProtobufCFieldDescriptor *f,
                       ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;
    const char *begin = r->p;
    struct list l = {.size = sizeof(ProtobufCMessage *)};
    const char *again;
    bool more;

    if (!peek(r, '{'))
        return wrong_type(r, at, "an object");
    take_open(r, '}', &more);
    while (more) {
        ProtobufCMessage *entry = message_new(r->a, d);
        struct place here = {.above = at};

        *(ProtobufCMessage **)list_add(r->a, &l) = entry;
        if (++r->messages_n > CODEC_MESSAGES_MAX)
            return bad(r, r->p, at, "there are too many entries");
        if (!take_key(r, at, &here.name))
            return false;
        *(char **)((char *)entry + d->fields[0].offset) = str_cstr(r->a, here.name);
        set_present(entry, &d->fields[1]);
        if (!decode_value(r, &here, &d->fields[1], (char *)entry + d->fields[1].offset) ||
            !take_separator(r, at, '}', &more))
            return false;
    }
    again = codec_map_again(r->a, (ProtobufCMessage *const *)l.items, l.n);
    if (again)
        return bad(r, begin, at, "the key " STR_FMT " stands there twice",
                   STR_ARG(sentence_quote(r->a, str_of(again))));
    list_store(&l, m, f);
    return true;
}

/* A key's value. */
static bool decode_field(struct reader *r, const struct place *at,
                         const ProtobufCFieldDescriptor *f, ProtobufCMessage *m)
{
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return codec_map_entry(f) ? decode_map(r, at, f, m) : decode_list(r, at, f, m);
    set_present(m, f);
    return decode_value(r, at, f, (char *)m + f->offset);
}

/* Keys mostly come in the order of the fields, so that the one behind `next` is tried first. */
static const ProtobufCFieldDescriptor *field_by_name(const ProtobufCMessageDescriptor *d,
                                                     struct str name, unsigned next)
{
    for (unsigned i = 0; i < d->n_fields; i++) {
        unsigned at = next + i < d->n_fields ? next + i : next + i - d->n_fields;
        const char *its = d->fields[at].name;

        if (name.n && its[0] == name.p[0] && strncmp(its, name.p, name.n) == 0 &&
            its[name.n] == '\0')
            return &d->fields[at];
    }
    return NULL;
}

/* "queues[3] takes no "naem"; is name meant?" */
static struct str unknown(struct arena *a, const ProtobufCMessageDescriptor *d, struct str within,
                          struct str name)
{
    struct sentence_nearest nearest;

    sentence_nearest_init(&nearest, name);
    for (unsigned i = 0; i < d->n_fields; i++)
        sentence_nearest_try(&nearest, str_of(d->fields[i].name));
    return str_printf(a, STR_FMT " takes no " STR_FMT "%s" STR_FMT "%s", STR_ARG(within),
                      STR_ARG(sentence_quote(a, name)), nearest.best.p ? "; is " : "",
                      STR_ARG(nearest.best), nearest.best.p ? " meant?" : "");
}

__attribute__((cold)) static bool refuse_unknown(struct reader *r, const struct place *at,
                                                 const char *where,
                                                 const ProtobufCMessageDescriptor *d,
                                                 struct str name)
{
    struct buf b;

    buf_init(&b, SENTENCE_BYTES_MAX);
    write_place(&b, at);
    set_error(r, where, unknown(r->a, d, b.n ? buf_str(&b) : STR("the request"), name));
    buf_deinit(&b);
    return false;
}

/* One key with its value. `seen` has a bit for each field. */
static bool decode_entry(struct reader *r, const struct place *at, ProtobufCMessage *m,
                         unsigned *next, uint64_t *seen)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;
    const char *begin = r->p;
    const ProtobufCFieldDescriptor *f;
    struct place here = {.above = at};

    if (!take_key(r, at, &here.name))
        return false;
    f = field_by_name(d, here.name, *next);
    if (!f)
        return refuse_unknown(r, at, begin, d, here.name);
    *next = (unsigned)(f - d->fields) + 1;
    if (*seen & (uint64_t)1 << (*next - 1))
        return bad(r, begin, &here, "the key stands there twice");
    *seen |= (uint64_t)1 << (*next - 1);
    /* Where any JSON is a value, null is one. */
    if (f->type != PROTOBUF_C_TYPE_BYTES && peek(r, 'n'))
        return take_word(r, &here, STR("null"));
    return decode_field(r, &here, f, m);
}

static bool decode_message(struct reader *r, const struct place *at,
                           const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret)
{
    uint64_t seen = 0;
    unsigned next = 0;
    bool more;

    assert(d->n_fields <= 64);
    if (!peek(r, '{'))
        return wrong_type(r, at, "an object");
    if (++r->messages_n > CODEC_MESSAGES_MAX)
        return bad(r, r->p, at, "there are too many objects");
    *ret = message_new(r->a, d);
    take_open(r, '}', &more);
    while (more)
        if (!decode_entry(r, at, *ret, &next, &seen) || !take_separator(r, at, '}', &more))
            return false;
    return true;
}

int protojson_decode(struct arena *a, const ProtobufCMessageDescriptor *d, struct str text,
                     ProtobufCMessage **ret, struct doc_error *ret_error)
{
    struct reader r = {a, text.p, text.p, text.p, ret_error, 0, 0};
    ProtobufCMessage *m = NULL;

    if (!text.n) {
        *ret = message_new(a, d);
        return 0;
    }
    r.end += text.n;
    skip_blank(&r);
    if (!decode_message(&r, NULL, d, &m))
        return PROTOJSON_E_BAD;
    skip_blank(&r);
    if (r.p < r.end) {
        bad(&r, r.p, NULL, "the object ended before this, and nothing may follow it");
        return PROTOJSON_E_BAD;
    }
    *ret = m;
    return 0;
}

/* A field from the text of a path or query. */
struct setter {
    struct arena *a;
    struct str name; /* as given */
    struct str *error;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct setter *s, const char *format, ...)
{
    struct buf b;
    va_list args;

    buf_init(&b, SENTENCE_BYTES_MAX);
    buf_printf(&b, STR_FMT ": ", STR_ARG(s->name));
    va_start(args, format);
    buf_vprintf(&b, format, args);
    va_end(args);
    *s->error = str_copy(s->a, buf_str(&b));
    buf_deinit(&b);
    return PROTOJSON_E_BAD;
}

static int set_text(struct setter *s, struct str value, char **to)
{
    if (!str_utf8(value, NULL))
        return refuse(s, "it is not UTF-8");
    if (str_find(value, '\0', NULL))
        return refuse(s, "it holds a NUL character");
    *to = str_cstr(s->a, value);
    return 0;
}

static int set_json(struct setter *s, struct str value, ProtobufCBinaryData *to)
{
    struct str copy;
    size_t offset;

    switch (json_scan_check(value, PROTOJSON_DEPTH_MAX, &offset)) {
    case 0:
        break;
    case JSON_SCAN_E_DEEP:
        return refuse(s, "it is nested more than %u deep", PROTOJSON_DEPTH_MAX);
    default:
        return refuse(s, "it is no JSON, from its byte %zu on", offset);
    }
    copy = str_copy(s->a, value);
    *to = (ProtobufCBinaryData){copy.n, (uint8_t *)(uintptr_t)copy.p};
    return 0;
}

static int set_int(struct setter *s, struct str value, int64_t min, int64_t max, int64_t *to)
{
    if (str_int64(value, to) && *to >= min && *to <= max)
        return 0;
    return refuse(s, STR_FMT " is no whole number within %" PRId64 " … %" PRId64,
                  STR_ARG(sentence_quote(s->a, value)), min, max);
}

static int set_bool(struct setter *s, struct str value, protobuf_c_boolean *to)
{
    *to = str_eq(value, STR("true"));
    if (*to || str_eq(value, STR("false")))
        return 0;
    return refuse(s, STR_FMT " is neither true nor false", STR_ARG(sentence_quote(s->a, value)));
}

static int set_real(struct setter *s, struct str value, double *to)
{
    const char *where;
    const char *end = value.p + value.n;

    if (value.n && json_scan_number(value.p, end, &where) == end && parse_real(value, to))
        return 0;
    return refuse(s, STR_FMT " is no number", STR_ARG(sentence_quote(s->a, value)));
}

static int set_value(struct setter *s, const ProtobufCFieldDescriptor *f, struct str value,
                     void *to)
{
    int64_t v;
    int r;

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return set_text(s, value, to);
    case PROTOBUF_C_TYPE_BYTES:
        return set_json(s, value, to);
    case PROTOBUF_C_TYPE_BOOL:
        return set_bool(s, value, to);
    case PROTOBUF_C_TYPE_DOUBLE:
        return set_real(s, value, to);
    case PROTOBUF_C_TYPE_INT64:
        return set_int(s, value, INT64_MIN, INT64_MAX, to);
    case PROTOBUF_C_TYPE_INT32:
        r = set_int(s, value, INT32_MIN, INT32_MAX, &v);
        if (!r)
            *(int32_t *)to = (int32_t)v;
        return r;
    default:
        if (!is_time(f->descriptor))
            return refuse(s, "it is an object; name one of its fields behind a dot");
        *(ProtobufCMessage **)to = parse_time(s->a, f->descriptor, value);
        return *(void **)to ? 0
                            : refuse(s, STR_FMT " is not %s", STR_ARG(sentence_quote(s->a, value)),
                                     time_text(f->descriptor));
    }
}

/* One more item behind those that are there. */
static void *list_append(struct arena *a, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    size_t size = codec_item_size(f->type);
    size_t *n = (size_t *)((char *)m + f->quantifier_offset);
    char **items = (char **)((char *)m + f->offset);

    *items = arena_grow(a, *items, *n * size, (*n + 1) * size);
    return *items + size * (*n)++;
}

/* The value of a map's key: "labels.zone". */
static int set_entry(struct setter *s, ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                     struct str key, struct str value)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;
    ProtobufCMessage *entry = message_new(s->a, d);
    size_t n = *(size_t *)((char *)m + f->quantifier_offset);
    ProtobufCMessage **entries = *(ProtobufCMessage ***)((char *)m + f->offset);
    char **its = (char **)((char *)entry + d->fields[0].offset);
    int r = set_text(s, key, its);

    for (size_t i = 0; !r && i < n; i++)
        if (strcmp(*(char **)((char *)entries[i] + d->fields[0].offset), *its) == 0)
            r = refuse(s, "it is given twice");
    if (!r)
        r = set_value(s, &d->fields[1], value, (char *)entry + d->fields[1].offset);
    if (r)
        return r;
    set_present(entry, &d->fields[1]);
    *(ProtobufCMessage **)list_append(s->a, m, f) = entry;
    return 0;
}

static bool is_set(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    if (f->quantifier_offset)
        return *(const protobuf_c_boolean *)((const char *)m + f->quantifier_offset);
    return *(void *const *)((const char *)m + f->offset) != NULL;
}

/* A path and a body may both name it, and then they agree. */
static int set_again(struct setter *s, const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f,
                     struct str value)
{
    struct str before;

    if (f->type != PROTOBUF_C_TYPE_STRING)
        return refuse(s, "it is given twice");
    before = str_of(*(char *const *)((const char *)m + f->offset));
    if (str_eq(before, value))
        return 0;
    return refuse(s, "it is given twice, as " STR_FMT " and as " STR_FMT,
                  STR_ARG(sentence_quote(s->a, before)), STR_ARG(sentence_quote(s->a, value)));
}

static int set_field(struct setter *s, ProtobufCMessage *m, struct str name, struct str value)
{
    size_t dot = name.n;
    bool within = str_find(name, '.', &dot);
    const ProtobufCFieldDescriptor *f = field_by_name(m->descriptor, str_sub(name, 0, dot), 0);
    struct str rest = str_sub(name, dot + 1, name.n);
    ProtobufCMessage **member;
    int r;

    if (!f || (within && f->type != PROTOBUF_C_TYPE_MESSAGE)) {
        *s->error = unknown(s->a, m->descriptor, STR("the request"), name);
        return PROTOJSON_E_BAD;
    }
    if (within && codec_map_entry(f))
        return set_entry(s, m, f, rest, value);
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return f->type == PROTOBUF_C_TYPE_MESSAGE
                   ? refuse(s, "a list of objects cannot be given here")
                   : set_value(s, f, value, list_append(s->a, m, f));
    member = (ProtobufCMessage **)((char *)m + f->offset);
    if (within && is_time(f->descriptor))
        return refuse(s, "it is %s and has no fields", time_text(f->descriptor));
    if (within) {
        if (!*member)
            *member = message_new(s->a, f->descriptor);
        return set_field(s, *member, rest, value);
    }
    if (is_set(m, f))
        return set_again(s, m, f, value);
    r = set_value(s, f, value, (char *)m + f->offset);
    if (!r)
        set_present(m, f);
    return r;
}

int protojson_set(struct arena *a, ProtobufCMessage *m, struct str name, struct str value,
                  struct str *ret_error)
{
    struct setter s = {a, name, ret_error};

    return set_field(&s, m, name, value);
}
