// SPDX-License-Identifier: GPL-2.0 OR MIT
/* spawnstorm COUNT [AT-ONCE], pingpong COUNT */
#include "work.h"

/* Start COUNT programs, up to AT-ONCE at a time, and check each one's status. */
int spawnstorm_main(int argc, char **argv)
{
	long count = work_count(argc, argv, 50), at_once = work_argument(argc, argv, 2, 4);
	char *const command[] = { "/bin/sh", "-c", "exit 42", NULL };
	long started = 0, ended = 0;
	int status;

	while (ended < count) {
		if (started < count && started - ended < at_once) {
			if (!check(spawnvp(command, NULL) > 0))
				break;
			started++;
		} else {
			if (!check(wait_child(-1, &status, 0, NULL) > 0))
				break;
			check(status == 42 << 8);
			ended++;
		}
	}
	return work_summary("%ld processes, %ld at a time", ended, at_once);
}

struct pipes {
	int to[2], from[2];
	long count;
};

static int pong(void *arg)
{
	struct pipes *p = arg;
	long n;

	for (long i = 0; i < p->count; i++) {
		if (read(p->to[0], &n, sizeof(n)) != sizeof(n))
			return 1;
		n++;
		if (write(p->from[1], &n, sizeof(n)) != sizeof(n))
			return 1;
	}
	return 0;
}

/* COUNT round trips of a number between two processes through two pipes. */
int pingpong_main(int argc, char **argv)
{
	struct pipes p = { .count = work_count(argc, argv, 500) };
	struct peer peer;
	int64_t start;
	long n, i;

	if (!check(pipe(p.to) == 0 && pipe(p.from) == 0) ||
	    !check(peer_start(&peer, pong, &p) == 0))
		return work_summary("not started");
	start = now_ns(CLOCK_MONOTONIC);
	for (i = 0; i < p.count; i++) {
		n = 2 * i;
		if (!check(write(p.to[1], &n, sizeof(n)) == sizeof(n)) ||
		    !check(read(p.from[0], &n, sizeof(n)) == sizeof(n)) ||
		    !check(n == 2 * i + 1))
			break;
	}
	start = now_ns(CLOCK_MONOTONIC) - start;
	close(p.to[1]);
	check(peer_wait(&peer) == 0);
	return work_summary("%ld round trips, %lld ns each", i, start / (i ? i : 1));
}
