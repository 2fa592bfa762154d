// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: futexes and threads. */
#include "selftest.h"

static int word;

void test_futex_basic(void)
{
	int64_t start;

	word = 5;
	check(futex_wait(&word, 4, -1) == -EAGAIN);
	start = now_ns(CLOCK_MONOTONIC);
	check(futex_wait(&word, 5, 10 * MSEC) == -ETIMEDOUT);
	check(now_ns(CLOCK_MONOTONIC) - start >= 10 * MSEC);
	check(futex_wake(&word, 1) == 0);
	check(futex_wake((int *)((char *)&word + 1), 1) == -EINVAL);
}

#define SLEEPERS 5

static int awake, asleep;

static int sleeper(void *arg)
{
	__atomic_add_fetch(&asleep, 1, __ATOMIC_SEQ_CST);
	while (futex_wait(arg, 0, -1) == -EINTR)
		;
	__atomic_add_fetch(&awake, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static void start_sleepers(struct thread *t, int *on)
{
	awake = asleep = 0;
	for (int i = 0; i < SLEEPERS; i++)
		check(thread_start(&t[i], sleeper, on) > 0);
	check(eventually(__atomic_load_n(&asleep, __ATOMIC_SEQ_CST) == SLEEPERS));
	sleep_ns(20 * MSEC);		/* from the counter into the kernel */
}

void test_futex_wake(void)
{
	struct thread t[SLEEPERS];

	word = 0;
	start_sleepers(t, &word);
	check(awake == 0);
	check(futex_wake(&word, 2) == 2);
	check(eventually(__atomic_load_n(&awake, __ATOMIC_SEQ_CST) == 2));
	sleep_ns(10 * MSEC);
	check(__atomic_load_n(&awake, __ATOMIC_SEQ_CST) == 2);
	check(futex_wake(&word, INT_MAX) == 3);
	for (int i = 0; i < SLEEPERS; i++)
		thread_join(&t[i]);
	check(awake == SLEEPERS);
}

void test_futex_requeue(void)
{
	struct thread t[SLEEPERS];
	static int other;

	word = 0;
	start_sleepers(t, &word);
	/* wake one, move the others */
	check(my_syscall6(__NR_futex_time64, &word, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1,
			  INT_MAX, &other, 0) == SLEEPERS);
	check(futex_wake(&word, INT_MAX) == 0);
	check(futex_wake(&other, INT_MAX) == SLEEPERS - 1);
	for (int i = 0; i < SLEEPERS; i++)
		thread_join(&t[i]);
	check(awake == SLEEPERS);
}

/* ---- threads */

#define THREADS	8

static int tids[THREADS], pids[THREADS];
static long pointers[THREADS], addresses[THREADS];

static int note_ids(void *arg)
{
	int i = (long)arg;

	tids[i] = gettid();
	pids[i] = getpid();
	return i;			/* of no consequence */
}

void test_thread_basic(void)
{
	struct thread t[THREADS];
	int started[THREADS];

	for (int i = 0; i < THREADS; i++)
		check((started[i] = thread_start(&t[i], note_ids, (void *)(long)i)) > 0);
	for (int i = 0; i < THREADS; i++) {
		thread_join(&t[i]);
		check(t[i].tid == 0);
		check(tids[i] == started[i]);
		check(pids[i] == getpid());
		for (int k = 0; k < i; k++)
			check(tids[k] != tids[i]);
	}
	/* a thread is no child */
	check(wait_child(-1, NULL, WNOHANG, NULL) < 0 && errno == ECHILD);
}

static int note_pointer(void *arg)
{
	int i = (long)arg, here;

	addresses[i] = (long)&here;
	pointers[i] = __wasm_tp();
	for (int n = 0; n < 50; n++) {
		my_syscall0(__NR_sched_yield);
		if (__wasm_tp() != pointers[i])
			pointers[i] = 0;
	}
	return 0;
}

void test_thread_pointer(void)
{
	struct thread t[THREADS];

	for (int i = 0; i < THREADS; i++)
		check(thread_start(&t[i], note_pointer, (void *)(long)i) > 0);
	for (int i = 0; i < THREADS; i++) {
		thread_join(&t[i]);
		check(pointers[i] == (long)&t[i]);
		check(addresses[i] != 0);
		for (int k = 0; k < i; k++)
			check(addresses[k] != addresses[i]);
	}
	check(__wasm_tp() == 0);
}

static struct {
	int flag, data;
	long counter, plain;
} box;

static int count_up(void *arg)
{
	for (int i = 0; i < 20000; i++)
		__atomic_add_fetch(&box.counter, 1, __ATOMIC_RELAXED);
	return 0;
}

static int publish(void *arg)
{
	box.data = 4711;
	__atomic_store_n(&box.flag, 1, __ATOMIC_RELEASE);
	return 0;
}

void test_thread_data(void)
{
	struct thread t[4], p;

	for (int i = 0; i < 4; i++)
		check(thread_start(&t[i], count_up, NULL) > 0);
	for (int i = 0; i < 4; i++)
		thread_join(&t[i]);
	check(box.counter == 80000);
	check(thread_start(&p, publish, NULL) > 0);
	while (!__atomic_load_n(&box.flag, __ATOMIC_ACQUIRE))
		;			/* spins: the other thread must still get on */
	check(box.data == 4711);
	thread_join(&p);
}

static volatile int handled_by, stop;

static void note_thread(int sig)
{
	handled_by = gettid();
}

static int spin_until_stop(void *arg)
{
	while (!stop)
		;
	return 0;
}

static int sleep_until_stop(void *arg)
{
	while (!stop)
		sleep_ns(MSEC);
	return 0;
}

void test_thread_signal(void)
{
	int (*volatile bodies[2])(void *) = { spin_until_stop, sleep_until_stop };
	struct thread t[2];
	uint64_t old;

	check(handle_signal(SIGUSR1, note_thread, SA_RESTART) == 0);
	for (int i = 0; i < 2; i++)
		check(thread_start(&t[i], bodies[i], NULL) > 0);
	for (int i = 0; i < 2; i++) {
		handled_by = 0;
		check(tgkill(getpid(), t[i].tid, SIGUSR1) == 0);
		check(eventually(handled_by == t[i].tid));
	}
	/* to the process, when only the other thread takes it */
	handled_by = 0;
	check(signal_mask(SIG_BLOCK, SIGBIT(SIGUSR1), &old) == 0);
	check(kill(getpid(), SIGUSR1) == 0);
	check(eventually(handled_by == t[0].tid || handled_by == t[1].tid));
	stop = 1;
	for (int i = 0; i < 2; i++)
		thread_join(&t[i]);
	check(tgkill(getpid(), tids[0] ? tids[0] : 99999, SIGUSR1) < 0 && errno == ESRCH);
}

static int exit_from_thread(void *arg)
{
	_exit(17);
}

int helper_threads_exit(const char *argument, int argc, char **argv)
{
	static struct thread t[3];

	thread_start(&t[0], spin_until_stop, NULL);
	thread_start(&t[1], sleep_until_stop, NULL);
	if (*argument == 't')
		thread_start(&t[2], exit_from_thread, NULL);
	else if (*argument == 'm')
		exit(18);
	else
		my_syscall1(__NR_exit, 0);	/* only the first thread: the rest runs on */
	for (;;)
		sleep_ns(MSEC);
}

void test_thread_exit_group(void)
{
	int pid, status;

	check(run_helper("threads_exit", "t") == 17 << 8);
	check(run_helper("threads_exit", "m") == 18 << 8);
	pid = spawn_helper("threads_exit", "l");
	sleep_ns(20 * MSEC);
	check(wait_child(pid, &status, WNOHANG, NULL) == 0);
	check(kill(pid, SIGKILL) == 0);
	status = wait_status(pid);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int exec_from_thread(void *arg)
{
	char *const argv[] = { "/bin/sh", "-c", "exit 19", NULL };

	execve(argv[0], argv, environ);
	return 0;
}

int helper_threads_exec(const char *argument, int argc, char **argv)
{
	static struct thread t[2];

	thread_start(&t[0], spin_until_stop, NULL);
	if (*argument == 'm')
		exec_from_thread(NULL);
	thread_start(&t[1], exec_from_thread, NULL);
	for (;;)
		sleep_ns(MSEC);
}

void test_thread_exec(void)
{
	check(run_helper("threads_exec", "m") == 19 << 8);
	check(run_helper("threads_exec", "t") == 19 << 8);
}

static int seen_cpu[2];
static int meeting;

/* Both must run at the same time to get through: each waits for the other, spinning. */
static int meet(void *arg)
{
	unsigned int cpu = 0;

	my_syscall3(__NR_getcpu, &cpu, 0, 0);
	seen_cpu[(long)arg] = cpu;
	for (int i = 0; i < 100; i++) {
		int target = 2 * (i + 1);

		__atomic_add_fetch(&meeting, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&meeting, __ATOMIC_SEQ_CST) < target)
			;
	}
	return 0;
}

void test_thread_parallel(void)
{
	struct thread t[2];

	for (long i = 0; i < 2; i++)
		check(thread_start(&t[i], meet, (void *)i) > 0);
	for (int i = 0; i < 2; i++)
		thread_join(&t[i]);
	check(meeting == 200);
}
