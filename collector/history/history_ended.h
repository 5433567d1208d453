/* SPDX-License-Identifier: MIT */
/* What remains of ended processes, on its way into the database: rows of the transaction of a tick. */
#pragma once

#include "collector/history/history_writer.h"

/* Stores what the writer holds of it, in the transaction under way; answers as the store does. */
int writer_put_remains(struct writer *writer);

/* The same in one of its own, where no further tick comes. */
int writer_flush_remains(struct writer *writer);

/* Lets go what is too old or too much, a bounded part of it, in a transaction of its own. */
int writer_expire_remains(struct writer *writer, bool *ret_more);
