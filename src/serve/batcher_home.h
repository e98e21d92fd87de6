/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher_home: the way back from the store threads to a uv loop. Private to the batcher.
 */
#ifndef SERVE_BATCHER_HOME_H
#define SERVE_BATCHER_HOME_H

#include "serve/batcher.h"

/* Call `done` of each, on its home's loop or here. Their memory may be gone afterwards. The list is
 * empty then. */
void batcher_home_deliver(struct list *requests);

#endif
