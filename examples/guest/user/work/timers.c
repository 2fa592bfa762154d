// SPDX-License-Identifier: GPL-2.0 OR MIT
/* timers COUNT: sleeps, timer descriptors and SIGALRM, each checked against the clock */
#include "work.h"

#define MSEC	1000000LL

static volatile int alarms;

static void on_alarm(int sig)
{
	alarms++;
}

static void sleeps(long count)
{
	unsigned int seed = 1;

	for (long i = 0; i < count; i++) {
		int64_t ns = next_random(&seed) % (5 * MSEC), start = now_ns(CLOCK_MONOTONIC);

		if (!check(sleep_ns(ns) == 0))
			break;
		check(now_ns(CLOCK_MONOTONIC) - start >= ns);
	}
}

static void descriptors(long count)
{
	int64_t start = now_ns(CLOCK_MONOTONIC), period = 2 * MSEC;
	int fd = timerfd_create(CLOCK_MONOTONIC);
	uint64_t seen = 0, n;

	if (!check(fd >= 0) || !check(timerfd_set(fd, period, period) == 0))
		return;
	while (seen < (uint64_t)count) {
		if (!check(read(fd, &n, sizeof(n)) == sizeof(n)) || !check(n > 0))
			break;
		seen += n;
		check(now_ns(CLOCK_MONOTONIC) - start >= (int64_t)seen * period);
	}
	close(fd);
}

static void signals(long count)
{
	int64_t start = now_ns(CLOCK_MONOTONIC), period = 3 * MSEC;
	uint64_t old;

	alarms = 0;
	if (!check(handle_signal(SIGALRM, on_alarm, 0) == 0) ||
	    !check(signal_mask(SIG_BLOCK, SIGBIT(SIGALRM), &old) == 0) ||
	    !check(set_interval_timer(period, period) == 0))
		return;
	while (alarms < count) {
		int before = alarms;

		check(signal_suspend(old) < 0 && errno == EINTR);
		if (!check(alarms > before))
			break;
	}
	set_interval_timer(0, 0);
	check(now_ns(CLOCK_MONOTONIC) - start >= count * period);
	signal_mask(SIG_SETMASK, old, NULL);
}

int timers_main(int argc, char **argv)
{
	long count = work_count(argc, argv, 50);
	int64_t start = now_ns(CLOCK_MONOTONIC);

	sleeps(count);
	descriptors(count);
	signals(count);
	return work_summary("3 x %ld timers in %lld ms", count,
			    (now_ns(CLOCK_MONOTONIC) - start) / MSEC);
}
