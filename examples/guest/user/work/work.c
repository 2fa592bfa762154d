// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the workload programs share; see work.h. */
#include "work.h"

static int failures;

long work_argument(int argc, char **argv, int index, long fallback)
{
	long n = index < argc ? (long)number(argv[index]) : fallback;

	if (n > 0)
		return n;
	warnx("%s: not a positive number", argv[index]);
	exit(2);
}

long work_count(int argc, char **argv, long fallback)
{
	return work_argument(argc, argv, 1, fallback);
}

void work_failed(const char *file, int line, const char *condition)
{
	if (__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED) <= 10)
		dprintf(2, "# %s:%d: %s (errno: %s)\n", file, line, condition,
			error_name(errno));
}

int work_summary(const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printf("%s: %s, %d checks failed\n", program, text, failures);
	return failures != 0;
}

#define PEER_STACK	(16 * 1024)

int peer_start(struct peer *p, int (*fn)(void *), void *arg)
{
	p->stack = map_pages(PEER_STACK);
	if (!p->stack)
		return -1;
	flush();
	p->pid = clone_call(CLONE_VM | SIGCHLD, p->stack, PEER_STACK, fn, arg);
	if (p->pid < 0)
		munmap(p->stack, PEER_STACK);
	return p->pid < 0 ? -1 : 0;
}

int peer_wait(struct peer *p)
{
	int status = -1;

	while (wait_child(p->pid, &status, 0, NULL) < 0 && errno == EINTR)
		;
	munmap(p->stack, PEER_STACK);
	return status;
}

unsigned int next_random(unsigned int *state)
{
	unsigned int x = *state;	/* xorshift32: not for a seed of 0 */

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}
