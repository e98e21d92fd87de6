/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/source.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/format.h"

static struct str error_sentence(struct arena *a, int r)
{
    switch (r) {
    case FILE_E_LARGE:
        return str_printf(a, "the file is too large: at most %u MiB are read", DOC_BYTES_MAX >> 20);
    case -ENOENT:
    case -ENOTDIR:
        return STR("there is no such file");
    case -EACCES:
    case -EPERM:
        return STR("the file may not be read: permission denied");
    case -EISDIR:
        return STR("this is a folder, not a file");
    default:
        return str_printf(a, "the file cannot be read: %s", strerror(-r));
    }
}

static struct str stem_of(struct str path)
{
    struct str name = path;
    const char *slash = memrchr(path.p, '/', path.n);
    const char *dot;

    if (slash)
        name = str_sub(path, (size_t)(slash - path.p) + 1, path.n);
    dot = memrchr(name.p, '.', name.n);
    return dot && dot > name.p ? str_sub(name, 0, (size_t)(dot - name.p)) : name;
}

static const char *working_dir(struct arena *a)
{
    char dir[PATH_MAX];

    return getcwd(dir, sizeof(dir)) ? str_cstr(a, str_of(dir)) : "/";
}

/* JSON by its ending; what comes through stdin by its first letter. */
static const char *format_of(const char *path, struct str text)
{
    if (str_ends(str_of(path), STR(".json")))
        return "json";
    if (strcmp(path, "-"))
        return "yaml";
    text = str_trim(text);
    return text.n && text.p[0] == '{' ? "json" : "yaml";
}

int source_read(struct arena *a, const char *path, struct source *ret, struct str *ret_error)
{
    bool is_stdin = !strcmp(path, "-");
    char whole[PATH_MAX];
    char *slash;
    int r;

    *ret = (struct source){.name = is_stdin ? "stdin" : path, .path = "stdin"};
    ret->stem = stem_of(str_of(ret->name));
    r = *path ? file_read(a, path, DOC_BYTES_MAX, &ret->text) : -ENOENT;
    if (!r && !is_stdin && !realpath(path, whole))
        r = -errno;
    if (r) {
        *ret_error = error_sentence(a, r);
        return SOURCE_E_BAD;
    }
    ret->format = format_of(path, ret->text);
    if (is_stdin) {
        ret->dir = working_dir(a);
        return 0;
    }
    ret->path = str_cstr(a, str_of(whole));
    slash = strrchr(whole, '/');
    slash[slash == whole ? 1 : 0] = '\0';
    ret->dir = str_cstr(a, str_of(whole));
    return 0;
}

int source_definition(struct arena *a, const struct source *s, struct definition **ret,
                      struct definition_errors *ret_errors)
{
    struct doc_error *e = ARENA_NEW(a, struct doc_error);
    struct doc *doc;
    int r =
        strcmp(s->format, "json") ? doc_yaml(a, s->text, &doc, e) : doc_json(a, s->text, &doc, e);

    if (r) {
        *ret_errors = (struct definition_errors){.list = e, .n = 1, .n_total = 1};
        return DEFINITION_E_BAD;
    }
    return definition_read(a, doc, s->stem, ret, ret_errors);
}

void source_sum(struct arena *a, const struct source *s, size_t errors_n, struct client_problem *p)
{
    struct buf text;

    buf_fixed(&text, p->text, sizeof(p->text));
    buf_printf(&text, "%s is no valid workflow: " STR_FMT, s->name,
               STR_ARG(format_n(a, (int64_t)errors_n, "error")));
}

int source_refuse(struct cli *c, const struct source *s, const struct definition_errors *errors)
{
    struct client_problem p = {.code = CODE_WORKFLOW_INVALID, .details = json_array()};

    for (size_t i = 0; i < errors->n; i++)
        json_array_append_new(p.details,
                              json_pack("{s:I, s:I, s:o}", "line", (json_int_t)errors->list[i].line,
                                        "column", (json_int_t)errors->list[i].column, "text",
                                        format_json(errors->list[i].text)));
    source_sum(&c->arena, s, errors->n_total, &p);
    return cli_problem(c, &p, s->name);
}

/* ---- folders ---- */

/* Whether some line begins with the key `weft`, or, in JSON, it stands there quoted. */
static bool has_key(struct str text, bool json)
{
    struct str key = json ? STR("\"weft\"") : STR("weft");
    const char *p = text.p, *end = text.p + text.n;

    while (p < end && (p = memmem(p, (size_t)(end - p), key.p, key.n))) {
        const char *behind = p + key.n;
        bool begins = json || p == text.p || p[-1] == '\n';

        if (!json && !begins && (p[-1] == '"' || p[-1] == '\'') && behind < end &&
            *behind == p[-1]) {
            begins = p - 1 == text.p || p[-2] == '\n';
            behind++;
        }
        while (behind < end && isspace((unsigned char)*behind))
            behind++;
        if (begins && behind < end && *behind == ':')
            return true;
        p++;
    }
    return false;
}

static bool is_workflow(const char *path)
{
    struct arena a = {NULL, 0, 0};
    struct str name = str_of(path), text;
    bool json = str_ends(name, STR(".json"));
    bool found = false;

    if (!json && !str_ends(name, STR(".yaml")) && !str_ends(name, STR(".yml")))
        return false;
    /* A file that cannot be read is taken too: whoever reads it will say why it cannot be. */
    switch (file_read(&a, path, DOC_BYTES_MAX, &text)) {
    case 0:
        found = has_key(text, json);
        break;
    case FILE_E_LARGE:
        break;
    default:
        found = true;
    }
    arena_deinit(&a);
    return found;
}

static int list_add(struct arena *a, struct source_list *list, const char *path,
                    struct str *ret_error)
{
    if (list->n == SOURCE_FILES_MAX) {
        *ret_error = str_printf(a, "there are more than %u workflow files", SOURCE_FILES_MAX);
        return SOURCE_E_BAD;
    }
    if (list->n == list->max) {
        size_t max = list->max ? 2 * list->max : 16;

        list->paths = arena_grow(a, list->paths, list->max * sizeof(*list->paths),
                                 max * sizeof(*list->paths));
        list->max = max;
    }
    list->paths[list->n++] = path;
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int find_below(struct arena *a, const char *dir, unsigned depth, struct source_list *list,
                      struct str *ret_error)
{
    struct dirent **entries;
    int n = scandir(dir, &entries, visible, by_name);
    int r = 0;

    if (n < 0) {
        *ret_error = str_printf(a, "the folder %s cannot be read: %s", dir, strerror(errno));
        return SOURCE_E_BAD;
    }
    for (int i = 0; i < n; i++) {
        const char *path =
            str_cstr(a, str_printf(a, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/",
                                   entries[i]->d_name));
        struct stat direct, behind;

        free(entries[i]);
        if (r || lstat(path, &direct) || stat(path, &behind))
            continue;
        if (S_ISDIR(direct.st_mode) && depth < SOURCE_DEPTH_MAX)
            r = find_below(a, path, depth + 1, list, ret_error);
        else if (S_ISREG(behind.st_mode) && is_workflow(path))
            r = list_add(a, list, path, ret_error);
    }
    free(entries);
    return r;
}

int source_find(struct arena *a, const char *path, struct source_list *list, struct str *ret_error)
{
    struct stat st;

    if (strcmp(path, "-") && !stat(path, &st) && S_ISDIR(st.st_mode))
        return find_below(a, path, 0, list, ret_error);
    return list_add(a, list, path, ret_error);
}
