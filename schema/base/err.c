/* SPDX-License-Identifier: MIT */
#include "schema/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
	if (err && !err->code) {
		va_list args;
		va_start(args, format);
		err->code = code;
		vsnprintf(err->reason, sizeof(err->reason), format, args);
		va_end(args);
	}
	return -code;
}

const char *err_name(int code)
{
	const char *name = strerrorname_np(code);
	return name ? name : "E?";
}
