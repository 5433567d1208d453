/* SPDX-License-Identifier: MIT */
/* A server that answers a hundred requests a second: it keeps what it was asked last, and loses its answers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CACHED = 256, REQUESTS_A_TICK = 10 };
static char *cache[CACHED];

__attribute__((noinline)) static void remember(unsigned request)
{
	char **place = &cache[request % CACHED];

	free(*place);
	*place = malloc(1000);
	if (*place)
		snprintf(*place, 1000, "request %u", request);
}

__attribute__((noinline)) static size_t forget_answer(unsigned request)
{
	char *answer = malloc(200);

	if (!answer)
		return 0;
	snprintf(answer, 200, "answer to %u", request);
	return strlen(answer);
}

int main(void)
{
	size_t sent = 0;
	unsigned request = 0;

	while (request < CACHED)
		remember(request++);
	for (;;) {
		for (int i = 0; i < REQUESTS_A_TICK; i++, request++) {
			remember(request);
			sent += forget_answer(request);
		}
		usleep(100000);
	}
	return sent != 0;
}
