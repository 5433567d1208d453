/* SPDX-License-Identifier: MIT */
/* Asking an exporter for what it has, as Prometheus does. */
#pragma once

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

/* Bytes of one GET /metrics from a port of this machine; 0 where nobody answers. */
static inline size_t scrape(int port)
{
	static const char request[] = "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[65536];
	size_t total = 0;
	ssize_t n;

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
		write(fd, request, sizeof(request) - 1) < 0)
		return 0;
	while ((n = read(fd, text, sizeof(text))) > 0)
		total += (size_t)n;
	return total;
}
