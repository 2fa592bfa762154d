// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: poll, select, epoll and descriptors for events. */
#include "selftest.h"

struct later {
	int fd, ms;
};

static int write_later(void *arg)
{
	struct later *l = arg;

	sleep_ns(l->ms * MSEC);
	return write(l->fd, "x", 1) != 1;
}

void test_poll_ready(void)
{
	struct pollfd p[4];
	int fd[2];

	check(pipe(fd) == 0);
	p[0] = (struct pollfd){ fd[0], POLLIN, 0 };
	p[1] = (struct pollfd){ fd[1], POLLOUT, 0 };
	p[2] = (struct pollfd){ 99, POLLIN, 0 };
	p[3] = (struct pollfd){ -1, POLLIN, 99 };
	check(poll_ns(p, 4, 0) == 2);
	check(p[0].revents == 0 && p[1].revents == POLLOUT && p[2].revents == POLLNVAL);
	check(p[3].revents == 0);
	check(write(fd[1], "x", 1) == 1);
	check(poll_ns(p, 1, -1) == 1 && p[0].revents == POLLIN);
	close(fd[1]);
	check(poll_ns(p, 1, -1) == 1 && p[0].revents == (POLLIN | POLLHUP));
	close(fd[0]);
	check(pipe(fd) == 0);
	close(fd[0]);
	p[1].fd = fd[1];
	check(poll_ns(p + 1, 1, -1) == 1 && (p[1].revents & POLLERR));
	/* regular files are always ready */
	p[0].fd = open("/proc/version", O_RDONLY);
	check(poll_ns(p, 1, -1) == 1 && p[0].revents == POLLIN);
}

void test_poll_wait(void)
{
	struct pollfd p;
	struct later l;
	struct peer peer;
	int64_t start;
	int fd[2];

	check(pipe(fd) == 0);
	p = (struct pollfd){ fd[0], POLLIN, 0 };
	start = now_ns(CLOCK_MONOTONIC);
	check(poll_ns(&p, 1, 20 * MSEC) == 0);
	check(now_ns(CLOCK_MONOTONIC) - start >= 20 * MSEC);
	l = (struct later){ fd[1], 10 };
	check(peer_start(&peer, write_later, &l) == 0);
	check(poll_ns(&p, 1, 5 * NSEC_PER_SEC) == 1 && p.revents == POLLIN);
	check(now_ns(CLOCK_MONOTONIC) - start < 2 * NSEC_PER_SEC);
	check(peer_wait(&peer) == 0);
}

void test_select_ready(void)
{
	struct timeval t = { 0, 20000 };
	fd_set in, out;
	int fd[2];

	check(pipe(fd) == 0);
	FD_ZERO(&in);
	FD_SET(fd[0], &in);
	check(select(fd[0] + 1, &in, NULL, NULL, &t) == 0);
	check(!FD_ISSET(fd[0], &in));
	FD_ZERO(&out);
	FD_SET(fd[1], &out);
	check(select(fd[1] + 1, NULL, &out, NULL, NULL) == 1);
	check(FD_ISSET(fd[1], &out));
}

static int ready(int ep)
{
	struct epoll_event ev[4];

	return epoll_wait_ms(ep, ev, 4, 0);
}

void test_epoll_modes(void)
{
	struct epoll_event ev = { .events = POLLIN, .data = 0x123456789abcdefULL }, got;
	int ep = epoll_create(), fd[2], edge[2], once[2];
	struct later l;
	struct peer peer;
	char c;

	check(ep >= 0 && pipe(fd) == 0 && pipe(edge) == 0 && pipe(once) == 0);
	check(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &ev) == 0);
	check(epoll_ctl(ep, EPOLL_CTL_ADD, fd[0], &ev) < 0 && errno == EEXIST);
	check(ready(ep) == 0);
	check(write(fd[1], "x", 1) == 1);
	check(epoll_wait_ms(ep, &got, 1, -1) == 1);
	check(got.events == POLLIN && got.data == 0x123456789abcdefULL);
	check(ready(ep) == 1);			/* level: again */
	check(read(fd[0], &c, 1) == 1);
	check(ready(ep) == 0);

	ev.events = POLLIN | EPOLLET;
	check(epoll_ctl(ep, EPOLL_CTL_ADD, edge[0], &ev) == 0);
	check(write(edge[1], "x", 1) == 1);
	check(ready(ep) == 1);
	check(ready(ep) == 0);			/* edge: not again */
	check(write(edge[1], "x", 1) == 1);
	check(ready(ep) == 1);

	ev.events = POLLIN | EPOLLONESHOT;
	check(epoll_ctl(ep, EPOLL_CTL_ADD, once[0], &ev) == 0);
	check(write(once[1], "x", 1) == 1);
	check(ready(ep) == 1);
	check(write(once[1], "x", 1) == 1);
	check(ready(ep) == 0);
	check(epoll_ctl(ep, EPOLL_CTL_MOD, once[0], &ev) == 0);
	check(ready(ep) == 1);
	check(epoll_ctl(ep, EPOLL_CTL_DEL, once[0], NULL) == 0);

	l = (struct later){ fd[1], 10 };
	check(peer_start(&peer, write_later, &l) == 0);
	check(epoll_wait_ms(ep, &got, 1, 5000) == 1);
	check(peer_wait(&peer) == 0);
}

void test_eventfd_count(void)
{
	int fd = eventfd(3, EFD_NONBLOCK), sem = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
	uint64_t v = 4;

	check(fd >= 0 && sem >= 0);
	check(write(fd, &v, 8) == 8);
	check(read(fd, &v, 8) == 8 && v == 7);
	check(read(fd, &v, 8) < 0 && errno == EAGAIN);
	check(read(sem, &v, 8) == 8 && v == 1);
	check(read(sem, &v, 8) == 8 && v == 1);
	check(read(sem, &v, 8) < 0 && errno == EAGAIN);
}

void test_signalfd_read(void)
{
	uint64_t set = SIGBIT(SIGUSR1);
	uint32_t info[32];
	int fd;

	check(signal_mask(SIG_BLOCK, set, NULL) == 0);
	fd = my_syscall4(__NR_signalfd4, -1, &set, sizeof(set), O_NONBLOCK);
	check(fd >= 0);
	check(read(fd, info, sizeof(info)) < 0 && errno == EAGAIN);
	check(kill(getpid(), SIGUSR1) == 0);
	check(read(fd, info, sizeof(info)) == 128 && info[0] == SIGUSR1);
}
