/* SPDX-License-Identifier: MIT */
/* What a service tells the service manager that started it: sd_notify(3), without its library. */
#pragma once

/* A datagram socket connected to $NOTIFY_SOCKET; -1 where there is none, or nobody listens. */
int notify_open(void);
