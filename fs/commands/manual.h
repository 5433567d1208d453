/* SPDX-License-Identifier: MIT */
/* The manual pages in man(7), made from the tables that the program itself is made of. */
#pragma once

#include "fs/tree.h"
#include "schema/base/buf.h"

/* memfs(1): the commands and the options of mount. */
void manual_put_program(struct buf *out);

/* memfs(5): every path of the mount. */
void manual_put_tree(const struct tree *tree, struct buf *out);
