/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse: the line that was typed, against the tables of commands and options.
 */
#ifndef CLI_PARSE_H
#define CLI_PARSE_H

#include "cli/command.h"

struct parse {
    struct cli *c;
    char **argv;
    int argc;
    int at;
    const char **words; /* what is no option, the command's path first */
    size_t words_n;
    uint64_t given; /* bits of the options that were there */
};

/* Read the options into c->options and the rest into words. 0, or the exit status after saying what
 * is wrong. */
int parse_line(struct parse *l, struct cli *c, int argc, char **argv);

/* Find the command; c->command and c->args are set. 0, or the exit status after saying what is
 * wrong. */
int parse_command(struct parse *l);

#endif
