// SPDX-License-Identifier: GPL-2.0 OR MIT
/* sigstorm COUNT: two processes and a thread of signals, each one answered */
#include "work.h"

static volatile int handled, in_handler, nested;
static int acknowledged;	/* a futex: signals that the receiver has seen */

static void on_usr1(int sig)
{
	in_handler++;
	if (in_handler > 1)
		nested++;
	handled++;
	__atomic_add_fetch(&acknowledged, 1, __ATOMIC_RELEASE);
	my_syscall3(__NR_futex, &acknowledged, FUTEX_WAKE, INT_MAX);
	in_handler--;
}

struct sender {
	int pid;
	long count;
};

static int send(void *arg)
{
	struct sender *s = arg;

	for (long i = 0; i < s->count; i++) {
		if (kill(s->pid, SIGUSR1) < 0)
			return 1;
		while (__atomic_load_n(&acknowledged, __ATOMIC_ACQUIRE) <= i)
			my_syscall6(__NR_futex_time64, &acknowledged, FUTEX_WAIT, (int)i, 0, 0, 0);
	}
	return 0;
}

/*
 * The receiver is hit in all states: computing, in short system calls and
 * sleeping; its own work must not suffer.
 */
int sigstorm_main(int argc, char **argv)
{
	struct sender s = { getpid(), work_count(argc, argv, 200) };
	unsigned int a = 1, b = 1, rounds = 0;
	struct peer peer;

	if (!check(handle_signal(SIGUSR1, on_usr1, SA_RESTART) == 0) ||
	    !check(peer_start(&peer, send, &s) == 0))
		return work_summary("not started");
	while (handled < s.count && rounds < 1000000) {
		for (int i = 0; i < 1000; i++)
			next_random(&a);
		rounds++;
		check(getpid() == s.pid);
		if (rounds % 4 == 0)
			sleep_ns(100000);
	}
	for (unsigned int i = 0; i < rounds * 1000; i++)
		next_random(&b);
	check(a == b);			/* no interruption changed the numbers */
	check(peer_wait(&peer) == 0);
	check(handled == s.count);
	check(nested == 0);		/* a signal is blocked while its handler runs */
	return work_summary("%d of %ld signals", handled, s.count);
}
