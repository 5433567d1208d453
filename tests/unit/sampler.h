/* SPDX-License-Identifier: MIT */
/* A sampler with its board, and what tests of it ask of both. Include cmocka.h before. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/sample/sampler.h"

enum { PAGE = 4096 };

struct rig {
	char dir[64];
	struct proc_root root;
	int fd;
	struct board *board;
	struct sampler sampler;
	struct board_health none;
	uint64_t event; /* the next to be read */
	uint64_t news;
};

static inline void remove_tree(const char *path)
{
	char command[300];
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline void open_board(struct rig *rig)
{
	rig->fd = board_create();
	assert_true(rig->fd >= 0);
	assert_int_equal(board_map(rig->fd, true, &rig->board), 0);
	rig->event = rig->news = 1;
}

static inline int set_up_real(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(proc_root_init(&rig->root, "/"), 0);
	open_board(rig);
	*state = rig;
	return 0;
}

static inline int tear_down(void **state)
{
	struct rig *rig = *state;
	sampler_deinit(&rig->sampler);
	board_unmap(rig->board);
	close(rig->fd);
	proc_root_deinit(&rig->root);
	if (rig->dir[0])
		remove_tree(rig->dir);
	free(rig);
	return 0;
}

static inline void start(struct rig *rig)
{
	assert_int_equal(sampler_init(&rig->sampler, &rig->root, rig->board, 1000, &rig->none), 0);
	sampler_tick(&rig->sampler);
}

static inline struct board_process shown(const struct rig *rig, uint32_t pid)
{
	struct board_process process = { 0 };
	assert_int_equal(board_read_process(rig->board, pid, &process), BOARD_FOUND);
	return process;
}

static inline bool is_shown(const struct rig *rig, uint32_t pid)
{
	struct board_process process;
	return board_read_process(rig->board, pid, &process) == BOARD_FOUND;
}

static inline void expect_event(
	struct rig *rig, enum board_event_kind kind, uint32_t pid, uint64_t start_ticks)
{
	struct board_event event;
	assert_int_equal(board_read_event(rig->board, rig->event, &event), BOARD_FOUND);
	assert_int_equal(event.kind, kind);
	assert_int_equal(event.pid, pid);
	assert_int_equal(event.start_ticks, start_ticks);
	rig->event++;
}

static inline void expect_no_event(const struct rig *rig)
{
	assert_int_equal(board_event_head(rig->board), rig->event);
}

static inline void expect_news(struct rig *rig, enum board_news_kind kind, uint32_t pid, const char *text)
{
	struct board_news news;
	assert_int_equal(board_read_news(rig->board, rig->news, &news), BOARD_FOUND);
	assert_int_equal(news.kind, kind);
	assert_int_equal(news.pid, pid);
	assert_string_equal(news.text, text);
	rig->news++;
}

static inline uint64_t value(const struct board_process *process, enum process_metric id)
{
	assert_true(metric_has(process->values.present, id));
	return process->values.value[id];
}
