/* SPDX-License-Identifier: MIT */
/* /etc/passwd (passwd(5)): `name:password:uid:gid:...` a line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/kv.h"

struct passwd {
	struct span name; /* not empty */
	uint32_t uid;
};

/* The next line of *rest that names a user: what is commented out, or cut, or of NIS (`+`), does not. False
 * at the end. Pure; survives any bytes. */
bool passwd_next(struct span *rest, struct passwd *ret);
