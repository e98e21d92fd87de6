/* SPDX-License-Identifier: Apache-2.0 */
#include "core/template.h"

#include "base/buf.h"
#include "base/sentence.h"

enum piece_kind {
    PIECE_PLAIN,
    PIECE_BRACE,  /* `$${` */
    PIECE_DOLLAR, /* `${$}` */
    PIECE_REF,
};

struct piece {
    enum piece_kind kind;
    struct str text; /* as written */
    struct template_ref ref;
};

/* A field path: names with single dots between them. */
static bool is_path(struct str s)
{
    bool dot = true;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' && dot)
            return false;
        dot = s.p[i] == '.';
    }
    return !dot;
}

/* "NAME.output" or "NAME.output.FIELD…", cut at the last `.output`. */
static bool parse_output(struct str s, struct template_ref *ret)
{
    static const struct str word = {".output", 7};

    for (size_t at = s.n; at-- > 1;) {
        struct str rest = str_sub(s, at, s.n);

        if (!str_starts(rest, word) || (rest.n > word.n && rest.p[word.n] != '.'))
            continue;
        ret->kind = TEMPLATE_TASK_OUTPUT;
        ret->name = str_sub(s, 0, at);
        ret->path = str_sub(rest, word.n + 1, rest.n);
        return rest.n == word.n || is_path(ret->path);
    }
    return false;
}

/* What stands between `${` and `}`. */
static bool parse_ref(struct str s, struct template_ref *ret)
{
    static const struct str params = {"params.", 7};
    static const struct str tasks = {"tasks.", 6};

    *ret = (struct template_ref){0};
    if (str_eq(s, STR("run.id"))) {
        ret->kind = TEMPLATE_RUN_ID;
        return true;
    }
    if (str_eq(s, STR("task.attempt"))) {
        ret->kind = TEMPLATE_TASK_ATTEMPT;
        return true;
    }
    if (str_starts(s, params)) {
        ret->kind = TEMPLATE_PARAM;
        ret->name = str_sub(s, params.n, s.n);
        return ret->name.n > 0;
    }
    return str_starts(s, tasks) && parse_output(str_sub(s, tasks.n, s.n), ret);
}

static void say_bad(struct arena *a, struct str written, bool closed, struct str *ret_error)
{
    struct str quoted = sentence_quote(a, written);

    if (closed)
        *ret_error = str_printf(
            a,
            STR_FMT " is no reference; there are ${params.NAME}, ${tasks.NAME.output}, "
                    "${tasks.NAME.output.FIELD}, ${run.id} and ${task.attempt}, and a plain \"${\" "
                    "is written \"$${\"",
            STR_ARG(quoted));
    else
        *ret_error = str_printf(
            a, "the reference " STR_FMT " has no closing \"}\"; a plain \"${\" is written \"$${\"",
            STR_ARG(quoted));
}

/* The bytes up to the next `${` or `$${`. */
static size_t plain_length(struct str s)
{
    for (size_t at = 0; at < s.n; at++) {
        size_t dollar;

        if (!str_find(str_sub(s, at, s.n), '$', &dollar))
            return s.n;
        at += dollar;
        if (str_starts(str_sub(s, at, 3), STR("${")) || str_starts(str_sub(s, at, 3), STR("$${")))
            return at;
    }
    return s.n;
}

/* Take the next piece off *text, which is not empty. TEMPLATE_E_BAD with a sentence. */
static int take_piece(struct arena *a, struct str *text, struct piece *ret, struct str *ret_error)
{
    struct str s = *text;
    size_t n = plain_length(s);

    ret->kind = PIECE_PLAIN;
    if (!n && s.p[1] == '$') {
        ret->kind = PIECE_BRACE;
        n = 3;
    } else if (!n) {
        bool closed = str_find(s, '}', &n);
        struct str inside = str_sub(s, 2, closed ? n - 2 : 0);

        n = closed ? n + 1 : s.n;
        ret->kind = str_eq(inside, STR("$")) ? PIECE_DOLLAR : PIECE_REF;
        if (ret->kind == PIECE_REF && !(closed && parse_ref(inside, &ret->ref))) {
            say_bad(a, str_sub(s, 0, n), closed, ret_error);
            return TEMPLATE_E_BAD;
        }
    }
    ret->text = str_sub(s, 0, n);
    *text = str_sub(s, n, s.n);
    return 0;
}

int template_scan(struct arena *a, struct str text, template_seen *seen, void *context,
                  struct str *ret_error)
{
    while (text.n) {
        struct piece piece;
        int r = take_piece(a, &text, &piece, ret_error);

        if (r)
            return r;
        if (piece.kind == PIECE_REF)
            seen(context, &piece.ref);
    }
    return 0;
}

/*
 * Write plain text as a template. A `$` before `{` is doubled; one at the end, which a brace may
 * come to stand behind, and those directly before it, are written `${$}`.
 */
static void add_quoted(struct buf *b, struct str s)
{
    size_t body = s.n;

    while (body && s.p[body - 1] == '$')
        body--;
    for (size_t i = 0; i < body; i++) {
        if (s.p[i] == '$' && s.p[i + 1] == '{')
            buf_byte(b, '$');
        buf_byte(b, s.p[i]);
    }
    for (size_t i = body; i < s.n; i++)
        buf_add(b, STR("${$}"));
}

struct str template_quote(struct arena *a, struct str text)
{
    struct str quoted;
    struct buf b;

    if (!str_find(text, '$', NULL))
        return text;
    buf_init(&b, 4 * text.n);
    add_quoted(&b, text);
    quoted = str_copy(a, buf_str(&b));
    buf_deinit(&b);
    return quoted;
}

struct filling {
    struct arena *arena;
    enum template_pass pass;
    template_value *value;
    void *context;
    struct buf out;
};

static int fill_ref(struct filling *f, const struct piece *piece, struct str *ret_error)
{
    struct str value = {0};
    bool keep = false;

    if (!f->value(f->context, f->arena, &piece->ref, &value, &keep, ret_error))
        return TEMPLATE_E_UNRESOLVED;
    if (keep) {
        buf_add(&f->out, piece->text);
        return 0;
    }
    if (str_find(value, '\0', NULL)) {
        struct str quoted = sentence_quote(f->arena, piece->text);

        *ret_error =
            str_printf(f->arena, "the value of " STR_FMT " holds a NUL byte", STR_ARG(quoted));
        return TEMPLATE_E_UNRESOLVED;
    }
    if (f->pass == TEMPLATE_FIRST)
        add_quoted(&f->out, value);
    else
        buf_add(&f->out, value);
    return 0;
}

static int fill_piece(struct filling *f, const struct piece *piece, struct str *ret_error)
{
    if (piece->kind == PIECE_REF)
        return fill_ref(f, piece, ret_error);
    if (piece->kind == PIECE_PLAIN || f->pass == TEMPLATE_FIRST)
        buf_add(&f->out, piece->text);
    else
        buf_add(&f->out, piece->kind == PIECE_BRACE ? STR("${") : STR("$"));
    return 0;
}

int template_fill(struct arena *a, struct str text, size_t max, enum template_pass pass,
                  template_value *value, void *context, struct str *ret, struct str *ret_error)
{
    struct filling f = {.arena = a, .pass = pass, .value = value, .context = context};
    struct str rest = text;
    int r = 0;

    buf_init(&f.out, max);
    while (rest.n && !f.out.full && !r) {
        struct piece piece;

        r = take_piece(a, &rest, &piece, ret_error) ? TEMPLATE_E_UNRESOLVED
                                                    : fill_piece(&f, &piece, ret_error);
    }
    if (!r && f.out.full) {
        *ret_error =
            str_printf(a, "the text is larger than %zu bytes with its references replaced", max);
        r = TEMPLATE_E_UNRESOLVED;
    }
    if (!r)
        *ret = str_eq(text, buf_str(&f.out)) ? text : str_copy(a, buf_str(&f.out));
    buf_deinit(&f.out);
    return r;
}
