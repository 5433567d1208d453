/* SPDX-License-Identifier: MIT */
#include "collector/news.h"

#include <string.h>

#include "schema/base/clock.h"

static void push(struct board *board, struct board_news *news, const char *text)
{
	struct buf out = { .data = news->text, .cap = sizeof(news->text) - 1, .fixed = true };

	news->time_ns = clock_realtime_ns();
	buf_put_escaped(&out, text, strlen(text));
	board_push_news(board, news);
}

void news_push(struct board *board, enum board_news_kind kind, uint32_t pid, const char *text)
{
	struct board_news news = { .kind = kind, .pid = pid };
	push(board, &news, text);
}

void news_push_group(struct board *board, enum board_news_kind kind, const char *comm, const char *text)
{
	struct board_news news = { .kind = kind };
	struct buf subject = { .data = news.subject, .cap = sizeof(news.subject) - 1, .fixed = true };

	buf_puts(&subject, "by-name/");
	buf_put_escaped(&subject, comm, strnlen(comm, BOARD_COMM));
	push(board, &news, text);
}
