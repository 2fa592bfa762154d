// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: what the machine does not allow.  The acts are those of the program "wild". */
#include "selftest.h"

static int death_of(const char *act)
{
	char *const argv[] = { "/bin/wild", (char *)act, NULL };
	int status = wait_status(spawnvp(argv, NULL));

	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

void test_trap_kinds(void)
{
	static const struct { char act[12]; int sig; } acts[] = {
		{ "read", SIGSEGV }, { "write", SIGSEGV }, { "unreachable", SIGILL },
		{ "divide", SIGFPE }, { "overflow", SIGFPE }, { "convert", SIGFPE },
		{ "null_call", SIGSEGV }, { "far_call", SIGSEGV }, { "bad_call", SIGSEGV },
		{ "recursion", SIGSEGV }, { "unaligned", SIGBUS },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(acts); i++) {
		int sig = death_of(acts[i].act);

		if (!check(sig == acts[i].sig))
			dprintf(2, "# %s: signal %d, not %d\n", acts[i].act, sig, acts[i].sig);
	}
}

static int trap_now(void *arg)
{
	sleep_ns(5 * MSEC);
	__builtin_trap();
}

int helper_trap_thread(const char *argument, int argc, char **argv)
{
	static struct thread t;

	thread_start(&t, trap_now, NULL);
	for (;;)
		sleep_ns(MSEC);
}

void test_trap_thread(void)
{
	int status = run_helper("trap_thread", "");

	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
}

static void survive(int sig)
{
	_exit(55);
}

int helper_trap_handler(const char *argument, int argc, char **argv)
{
	handle_signal(SIGILL, survive, 0);
	signal_mask(SIG_BLOCK, SIGBIT(SIGILL), NULL);
	__builtin_trap();
}

void test_trap_handler(void)
{
	int status = run_helper("trap_handler", "");

	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
}
