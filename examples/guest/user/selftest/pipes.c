// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: pipes. */
#include "selftest.h"

#define MEGABYTE	(1024 * 1024)

static int write_megabyte(void *arg)
{
	int fd = *(int *)arg;
	unsigned int buf[375], seed = 3, sent = 0;

	while (sent < MEGABYTE / sizeof(*buf)) {
		unsigned int n = MIN(ARRAY_SIZE(buf), MEGABYTE / sizeof(*buf) - sent);

		for (unsigned int i = 0; i < n; i++)
			buf[i] = next_random(&seed);
		if (write_all(fd, buf, n * sizeof(*buf)) < 0)
			return 1;
		sent += n;
	}
	return 0;
}

void test_pipe_data(void)
{
	unsigned int buf[1000], seed = 3, have = 0;
	size_t total = 0, wrong = 0;
	struct peer p;
	int fd[2];
	ssize_t n;

	check(pipe(fd) == 0);
	check(peer_start(&p, write_megabyte, &fd[1]) == 0);
	close(fd[1]);
	while ((n = read(fd[0], (char *)buf + have, sizeof(buf) - have)) > 0) {
		unsigned int words;

		total += n;
		have += n;
		words = have / sizeof(*buf);
		for (unsigned int i = 0; i < words; i++)
			wrong += buf[i] != next_random(&seed);
		memmove(buf, buf + words, have % sizeof(*buf));
		have %= sizeof(*buf);
	}
	check(n == 0);
	check(total == MEGABYTE);
	check(wrong == 0);
	check(peer_wait(&p) == 0);
}

static int write_to(void *arg)
{
	handle_signal(SIGPIPE, HANDLER_DFL, 0);
	write(*(int *)arg, "x", 1);
	return 1;
}

void test_pipe_ends(void)
{
	int fd[2], status;
	char c;

	check(pipe(fd) == 0);
	check(write(fd[1], "ab", 2) == 2);
	close(fd[1]);
	check(read(fd[0], &c, 1) == 1 && c == 'a');
	check(read(fd[0], &c, 1) == 1 && c == 'b');
	check(read(fd[0], &c, 1) == 0);
	close(fd[0]);
	check(pipe(fd) == 0);
	close(fd[0]);
	handle_signal(SIGPIPE, HANDLER_IGN, 0);
	check(write(fd[1], "x", 1) < 0 && errno == EPIPE);
	status = wait_status(vfork_call(write_to, &fd[1]));
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

void test_pipe_nonblock(void)
{
	char buf[4096] = "";
	int fd[2], total = 0;
	ssize_t n;

	check(pipe2(fd, O_NONBLOCK) == 0);
	check(read(fd[0], buf, 1) < 0 && errno == EAGAIN);
	while ((n = write(fd[1], buf, sizeof(buf))) > 0)
		total += n;
	check(n < 0 && errno == EAGAIN);
	check(total >= 4096);
	while (total > 0 && (n = read(fd[0], buf, sizeof(buf))) > 0)
		total -= n;
	check(total == 0);
	check(read(-1, buf, 1) < 0 && errno == EBADF);
}
