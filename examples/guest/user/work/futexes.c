// SPDX-License-Identifier: GPL-2.0 OR MIT
/* futexes COUNT [THREADS]: a mutex made of a futex, and a turn that goes round */
#include "work.h"

#define MAX_THREADS 32

enum { FREE, HELD, CONTENDED };

static struct {
	int lock;
	long counter;		/* under the lock, updated in two steps */
	int turn;		/* number of the thread that may go on */
	long count;
	int threads, arrived;
	long waits;
} shared;

static void lock(int *word)
{
	int was = FREE;

	if (__atomic_compare_exchange_n(word, &was, HELD, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(word, CONTENDED, __ATOMIC_ACQUIRE) != FREE) {
		__atomic_add_fetch(&shared.waits, 1, __ATOMIC_RELAXED);
		futex_wait(word, CONTENDED, -1);
	}
}

static void unlock(int *word)
{
	if (__atomic_exchange_n(word, FREE, __ATOMIC_RELEASE) == CONTENDED)
		futex_wake(word, 1);
}

static int contend(void *arg)
{
	int me = (long)arg, turn;

	__atomic_add_fetch(&shared.arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&shared.arrived, __ATOMIC_SEQ_CST) < shared.threads)
		my_syscall0(__NR_sched_yield);

	for (long i = 0; i < shared.count; i++) {
		long before;

		lock(&shared.lock);
		before = shared.counter;
		if (i % 16 == 0)
			sleep_ns(1000);		/* the others come meanwhile */
		shared.counter = before + 1;
		unlock(&shared.lock);
	}
	for (long i = 0; i < shared.count; i++) {
		while ((turn = __atomic_load_n(&shared.turn, __ATOMIC_ACQUIRE)) != me)
			futex_wait(&shared.turn, turn, -1);
		__atomic_store_n(&shared.turn, (me + 1) % shared.threads, __ATOMIC_RELEASE);
		futex_wake(&shared.turn, INT_MAX);
	}
	return 0;
}

int futexes_main(int argc, char **argv)
{
	static struct thread threads[MAX_THREADS];
	int started = 0;

	shared.count = work_count(argc, argv, 200);
	shared.threads = work_argument(argc, argv, 2, 4);
	if (shared.threads > MAX_THREADS) {
		warnx("at most %d threads", MAX_THREADS);
		return 2;
	}
	for (; started < shared.threads; started++)
		if (!check(thread_start(&threads[started], contend, (void *)(long)started) >= 0))
			exit(work_summary("not started"));	/* the others, too */
	for (int i = 0; i < started; i++)
		thread_join(&threads[i]);
	check(shared.counter == shared.count * shared.threads);
	check(shared.lock == FREE);
	return work_summary("%d threads, %ld of %ld increments, %ld waits", shared.threads,
			    shared.counter, shared.count * shared.threads, shared.waits);
}
