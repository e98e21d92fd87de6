/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help: the tables of commands and options as texts: help and the manual page.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "base/buf.h"
#include "cli/command.h"

void help_overview(FILE *out);
void help_man(struct buf *out);

/* "-o, --output FORMAT" */
void help_option(struct buf *out, const struct option *o);

#endif
