/* SPDX-License-Identifier: Apache-2.0 */
#include "net/metrics.h"

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

static void text_of(struct buf *out)
{
    struct metrics m = {.connections = 3, .open = 1, .bytes_in = 10};

    m.http[200] = 2;
    m.http[404] = 1;
    m.grpc[0] = 7;
    m.refused[METRICS_RATE] = 5;
    buf_init(out, 1u << 20);
    metrics_text(&m, out);
}

static void what_was_counted(void **state)
{
    struct buf b;

    (void)state;
    text_of(&b);
    assert_non_null(strstr(b.p, "\nweft_net_connections_total 3\n"));
    assert_non_null(strstr(b.p, "\nweft_http_requests_total{status=\"404\"} 1\n"));
    assert_null(strstr(b.p, "status=\"500\""));
    assert_non_null(strstr(b.p, "\nweft_grpc_calls_total{code=\"0\"} 7\n"));
    assert_non_null(strstr(b.p, "\nweft_net_refused_total{limit=\"request_rate\"} 5\n"));
    buf_deinit(&b);
}

/* promtool, where there is one, finds nothing to say. */
static void prometheus_takes_it(void **state)
{
    char *argv[] = {(char[]){"promtool"}, (char[]){"check"}, (char[]){"metrics"}, NULL};
    posix_spawn_file_actions_t files;
    FILE *in = tmpfile(), *said = tmpfile();
    char text[500] = "";
    struct buf b;
    int status;
    pid_t pid;

    (void)state;
    text_of(&b);
    assert_true(in && said);
    assert_int_equal(fwrite(b.p, 1, b.n, in), b.n);
    rewind(in);
    buf_deinit(&b);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, fileno(in), 0);
    posix_spawn_file_actions_adddup2(&files, fileno(said), 1);
    posix_spawn_file_actions_adddup2(&files, fileno(said), 2);
    if (posix_spawnp(&pid, "promtool", &files, NULL, argv, environ))
        pid = -1;
    posix_spawn_file_actions_destroy(&files);
    fclose(in);
    if (pid > 0) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        rewind(said);
        text[fread(text, 1, sizeof(text) - 1, said)] = '\0';
        assert_string_equal(text, "");
        assert_int_equal(status, 0);
    }
    fclose(said);
    if (pid < 0)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_counted),
        cmocka_unit_test(prometheus_takes_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
