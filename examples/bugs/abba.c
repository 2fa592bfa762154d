// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two locks, two orders.
 *
 * Whoever adds to the cache counts it in the statistics: cache.lock, then
 * stats.lock.  The report holds the statistics still and asks the cache for its
 * size: stats.lock, then cache.lock.  If one task is between its two locks when
 * the other one is between its own, neither goes on.
 */
#include <linux/mutex.h>

#include "bugs.h"

#define ROUNDS	4

static struct {
	struct mutex	lock;
	unsigned int	entries;
} cache = { .lock = __MUTEX_INITIALIZER(cache.lock) };

static struct {
	struct mutex	lock;
	unsigned int	added;
	unsigned int	seen;
} stats = { .lock = __MUTEX_INITIALIZER(stats.lock) };

static noinline void stats_added(void)
{
	mutex_lock(&stats.lock);
	stats.added++;
	mutex_unlock(&stats.lock);
}

static noinline void cache_add(void)
{
	mutex_lock(&cache.lock);
	cache.entries++;
	stats_added();
	mutex_unlock(&cache.lock);
}

static noinline unsigned int cache_size(void)
{
	unsigned int entries;

	mutex_lock(&cache.lock);
	entries = cache.entries;
	mutex_unlock(&cache.lock);
	return entries;
}

static noinline void stats_report(void)
{
	mutex_lock(&stats.lock);
	stats.seen = cache_size();
	mutex_unlock(&stats.lock);
}

/* Without the bug: asks first, as the order of the two locks demands. */
static noinline void stats_report_ok(void)
{
	unsigned int entries = cache_size();

	mutex_lock(&stats.lock);
	stats.seen = entries;
	mutex_unlock(&stats.lock);
}

static int adder(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		cache_add();
	return 0;
}

static int reporter(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		stats_report();
	return 0;
}

static int reporter_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		stats_report_ok();
	return 0;
}

void bug_abba(void)
{
	bug_run_threads(adder, reporter);
}

void bug_abba_ok(void)
{
	bug_run_threads(adder, reporter_ok);
}
