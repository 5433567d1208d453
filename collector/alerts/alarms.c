/* SPDX-License-Identifier: MIT */
#include "collector/alerts/alarms.h"

#include <stdlib.h>

#include "collector/news.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

void alarms_deinit(struct alarms *alarms)
{
	alerts_deinit(&alarms->alerts);
}

static void tell(void *ctx, const struct alert_rule *rule, uint32_t pid, const char *text)
{
	struct board *board = ctx;

	if (rule->subject == ALERT_BY_NAME)
		news_push_group(board, NEWS_ALERT, rule->comm, text);
	else
		news_push(board, NEWS_ALERT, pid, text);
}

void alarms_restore(struct alarms *alarms, const struct sampler *sampler, const struct board *board)
{
	CLEANUP_FREE struct board_firing *firing = malloc(sizeof(*firing));

	if (!firing || board_read_firing(board, firing) != BOARD_FOUND)
		return;
	alerts_restore(&alarms->alerts, firing);
	growth_watch_restore(&sampler->table, firing);
}

void alarms_set(struct alarms *alarms, const struct note_text *note, struct board *board)
{
	alerts_set(&alarms->alerts, note, tell, board);
}

static void save(struct alarms *alarms, const struct sampler *sampler, struct board *board)
{
	CLEANUP_FREE struct board_firing *firing = malloc(sizeof(*firing));

	if (!firing) /* at the next tick */
		return;
	firing->n = 0;
	growth_watch_save(&alarms->growth, &sampler->table, firing);
	alerts_save(&alarms->alerts, firing);
	board_write_firing(board, firing);
}

void alarms_tick(struct alarms *alarms, const struct sampler *sampler, const struct settings *settings,
	struct board *board)
{
	struct alerts *alerts = &alarms->alerts;
	int64_t now_ns = clock_monotonic_ns();

	alerts_tick(alerts, &sampler->system, &sampler->table, now_ns, tell, board);
	growth_watch_tick(&alarms->growth, &sampler->table, settings, now_ns, board);
	if (alerts->changed || alarms->growth.changed)
		save(alarms, sampler, board);
	if (alerts->untracked && !alarms->too_many)
		news_push(board, NEWS_DROPPED, 0,
			"more alerts hold at once than are followed; some are not told");
	alarms->too_many = alerts->untracked > 0;
}
