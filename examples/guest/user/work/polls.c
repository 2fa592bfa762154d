// SPDX-License-Identifier: GPL-2.0 OR MIT
/* polls COUNT: tokens through eight pipes, found by poll() and then by epoll */
#include "work.h"

#define PIPES	8

static int ends[PIPES][2];
static long tokens;

static int feed(void *arg)
{
	unsigned int seed = 7;

	for (long i = 0; i < tokens; i++) {
		int k = next_random(&seed) % PIPES;
		char token = i;

		if (write(ends[k][1], &token, 1) != 1)
			return 1;
		if (i % 5 == 0)
			sleep_ns(50000);
	}
	return 0;
}

static long take(int k)
{
	char buf[64];
	ssize_t n = read(ends[k][0], buf, sizeof(buf));

	check(n > 0);
	return n > 0 ? n : 0;
}

static long with_poll(void)
{
	struct pollfd fds[PIPES];
	long got = 0;

	while (got < tokens) {
		int ready = 0, n;

		for (int k = 0; k < PIPES; k++)
			fds[k] = (struct pollfd){ ends[k][0], POLLIN, 0 };
		n = poll_ns(fds, PIPES, 5 * NSEC_PER_SEC);
		if (!check(n > 0))
			break;
		for (int k = 0; k < PIPES; k++) {
			if (fds[k].revents & POLLIN) {
				got += take(k);
				ready++;
			}
		}
		check(ready == n);
	}
	return got;
}

static long with_epoll(void)
{
	struct epoll_event ev[PIPES];
	int ep = epoll_create();
	long got = 0;

	check(ep >= 0);
	for (int k = 0; k < PIPES; k++) {
		ev[0] = (struct epoll_event){ .events = POLLIN, .data = k };
		check(epoll_ctl(ep, EPOLL_CTL_ADD, ends[k][0], ev) == 0);
	}
	while (got < tokens) {
		int n = epoll_wait_ms(ep, ev, PIPES, 5000);

		if (!check(n > 0))
			break;
		for (int i = 0; i < n; i++)
			got += take(ev[i].data);
	}
	close(ep);
	return got;
}

int polls_main(int argc, char **argv)
{
	struct peer peer;
	long got = 0;

	tokens = work_count(argc, argv, 200);
	for (int k = 0; k < PIPES; k++)
		if (!check(pipe(ends[k]) == 0))
			return work_summary("not started");
	for (int round = 0; round < 2; round++) {
		if (!check(peer_start(&peer, feed, NULL) == 0))
			break;
		got += round ? with_epoll() : with_poll();
		check(peer_wait(&peer) == 0);
	}
	check(got == 2 * tokens);
	return work_summary("%ld of %ld tokens", got, 2 * tokens);
}
