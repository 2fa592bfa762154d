// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * wild ACT: do something that a program must not do, and be killed for it.
 * wild all [COUNT]: every act in COUNT children; checks what each dies of.
 *
 * An access through NULL is not among the acts: address 0 is memory like any
 * other, there is no MMU.
 */
#include "work.h"

static volatile int zero, sink;
static char *volatile far = (char *)0;

static void act_read(void)
{
	sink = *(volatile int *)(far + 0xfffffff0u);
}

static void act_write(void)
{
	*(volatile int *)(far + 0xfffffff0u) = 1;
}

static void act_unreachable(void)
{
	__builtin_trap();
}

static void act_divide(void)
{
	sink = sink / zero;
}

static void act_overflow(void)
{
	int minus_one = zero - 1;

	sink = (zero - 0x7fffffff - 1) / minus_one;
}

static void act_convert(void)
{
	volatile double huge = 1e30;
	int v;

	__asm__("local.get %1\n\ti32.trunc_f64_s\n\tlocal.set %0" : "=r"(v) : "r"(huge));
	sink = v;
}

/* Slot 0 of the table holds a function with another signature. */
static void act_null_call(void)
{
	((void (*)(int))zero)(1);
}

static void act_far_call(void)
{
	((void (*)(void))(zero + 1000000))();
}

static void takes_nothing(void)
{
	sink = 1;
}

static void act_bad_call(void)
{
	void (*volatile fn)(void) = takes_nothing;

	((int (*)(int, int))fn)(1, 2);
}

/* No variables in memory: the Wasm stack overflows, not ours (which has no guard). */
static noinline int descend(int n)
{
	int below = zero ? n : descend(n + 1);

	return below + n;
}

static void act_recursion(void)
{
	sink = descend(zero);
}

static void act_unaligned(void)
{
	int words[2] = { 0, 0 };
	int *volatile word = (int *)((char *)words + 1);

	sink = __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
}

static void act_spin(void)
{
	for (;;)
		sink = sink + 1;
}

#define ACTS(X)								\
	X(read, SIGSEGV) X(write, SIGSEGV) X(unreachable, SIGILL)	\
	X(divide, SIGFPE) X(overflow, SIGFPE) X(convert, SIGFPE)	\
	X(null_call, SIGSEGV) X(far_call, SIGSEGV) X(bad_call, SIGSEGV)	\
	X(recursion, SIGSEGV) X(unaligned, SIGBUS) X(spin, SIGKILL)

static int commit(const char *act)
{
#define DO(name, sig)	if (!strcmp(act, #name)) { act_##name(); return 0; }
	ACTS(DO)
#undef DO
	warnx("%s: no such act; they are:", act);
#define NAME(name, sig)	put(" " #name);
	ACTS(NAME)
#undef NAME
	put(" all\n");
	return 2;
}

static void expect_death(const char *act, int signal)
{
	char *const command[] = { "/bin/wild", (char *)act, NULL };
	int status = 0, pid = spawnvp(command, NULL);

	if (!check(pid > 0))
		return;
	if (signal == SIGKILL) {
		sleep_ns(20000000);
		check(kill(pid, SIGKILL) == 0);
	}
	check(wait_child(pid, &status, 0, NULL) == pid);
	if (!check(WIFSIGNALED(status) && WTERMSIG(status) == signal))
		dprintf(2, "# %s: signal %d expected, wait status %#x\n", act, signal, status);
}

int wild_main(int argc, char **argv)
{
	long count;
	int deaths = 0;

	if (argc < 2 || strcmp(argv[1], "all"))
		return commit(argc < 2 ? "" : argv[1]);
	count = work_argument(argc, argv, 2, 1);
	for (long i = 0; i < count; i++) {
#define EXPECT(name, sig)	expect_death(#name, sig); deaths++;
		ACTS(EXPECT)
#undef EXPECT
	}
	return work_summary("%d deaths", deaths);
}
