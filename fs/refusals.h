/* SPDX-License-Identifier: MIT */
/* The last refused writes with their reasons, for `errors` and `why`. Kept over a serve's death; thread-safe.
 */
#pragma once

#include <stdint.h>

#include "fs/node.h"
#include "schema/base/err.h"

struct keep;
struct refusals;

int refusals_new(struct keep *keep, struct refusals **ret);
void refusals_free(struct refusals *refusals);

/* path and written are bytes as they came; they are escaped, and cut to fit. */
void refusals_add(struct refusals *refusals, const struct caller *caller, const char *path,
	const char *written, size_t written_len, const struct err *err);

/* Table of the last 100 refusals: root sees all, others their own. time uid pid path errno reason */
void refusals_render(struct refusals *refusals, const struct caller *reader, struct buf *out);

/* The last refusal within the reader's login session, flat-keyed; nothing where there was none. */
void refusals_render_why(struct refusals *refusals, const struct caller *reader, struct buf *out);
