/* SPDX-License-Identifier: Apache-2.0 */
#include "store/proxy_testing.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static bool holds_word(struct proxy *p, const char *bytes, size_t n)
{
    if (p->word)
        return memmem(bytes, n, p->word, strlen(p->word));
    return atomic_fetch_sub(&p->countdown, 1) == 1;
}

static bool pass_on(int from, int to)
{
    char bytes[65536];
    ssize_t n = read(from, bytes, sizeof(bytes));

    return n > 0 && send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

/* A message of the client; false where the connection is over. */
static bool pass_message(struct proxy *p, int client, int server)
{
    char bytes[65536];
    ssize_t n = read(client, bytes, sizeof(bytes));
    struct pollfd answer = {.fd = server, .events = POLLIN};
    int trouble = atomic_load(&p->trouble);

    if (n <= 0)
        return false;
    if (trouble == PASS || !holds_word(p, bytes, (size_t)n))
        return send(server, bytes, (size_t)n, MSG_NOSIGNAL) == n;
    atomic_store(&p->trouble, trouble == DOWN ? DOWN : PASS);
    if (trouble == CUT_AFTER || trouble == DOWN) {
        if (send(server, bytes, (size_t)n, MSG_NOSIGNAL) == n)
            poll(&answer, 1, 2000);
    } else if (trouble == HOLD) {
        p->held = dup(server);
    } else if (trouble == FREEZE) {
        while (!atomic_load(&p->end) &&
               poll(&(struct pollfd){.fd = client, .events = POLLRDHUP}, 1, 20) == 0)
            continue;
    }
    return false;
}

static void relay(struct proxy *p, int client)
{
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = connect(server, (struct sockaddr *)&p->server, sizeof(p->server)) == 0;

    while (up && !atomic_load(&p->end)) {
        struct pollfd fds[2] = {0};

        fds[0].fd = client;
        fds[1].fd = server;
        fds[0].events = fds[1].events = POLLIN;
        if (poll(fds, 2, 20) < 0)
            break;
        if (fds[1].revents)
            up = pass_on(server, client);
        if (up && fds[0].revents)
            up = pass_message(p, client, server);
    }
    close(server);
    close(client);
}

static void *proxy_run(void *arg)
{
    struct proxy *p = arg;

    while (!atomic_load(&p->end)) {
        struct pollfd fd = {.fd = p->listener, .events = POLLIN};

        if (poll(&fd, 1, 20) == 1) {
            int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

            if (atomic_load(&p->trouble) == DOWN && atomic_load(&p->countdown) < 0)
                close(client);
            else
                relay(p, client);
        }
        if (atomic_load(&p->trouble) == DOWN)
            atomic_store(&p->countdown, -1);
    }
    return NULL;
}

struct proxy *proxy_new(struct store_testing *t)
{
    struct proxy *p = ARENA_NEW(&t->a, struct proxy);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(here);
    const char *at = strrchr(t->url, '@'), *slash = strrchr(t->url, '/');
    const char *colon = memrchr(at, ':', (size_t)(slash - at));
    int64_t port = 0;

    assert_true(str_int64((struct str){colon + 1, (size_t)(slash - colon - 1)}, &port));
    p->server = here;
    p->server.sin_port = htons((uint16_t)port);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    p->held = -1;
    assert_int_equal(bind(p->listener, (struct sockaddr *)&here, sizeof(here)), 0);
    assert_int_equal(listen(p->listener, 16), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&here, &n), 0);
    p->url = str_printf(&t->a, STR_FMT "@127.0.0.1:%d%s?sslmode=disable&gssencmode=disable",
                        (int)(at - t->url), t->url, ntohs(here.sin_port), slash)
                 .p;
    assert_int_equal(pthread_create(&p->thread, NULL, proxy_run, p), 0);
    return p;
}

void proxy_end(struct proxy *p)
{
    atomic_store(&p->end, true);
    pthread_join(p->thread, NULL);
    close(p->listener);
    if (p->held >= 0)
        close(p->held);
}
