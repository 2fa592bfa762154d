// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: clocks, sleeping and timers.  Nothing is expected to be early; no upper bounds. */
#include "selftest.h"

static volatile int alarms;

static void note_alarm(int sig)
{
	alarms++;
}

void test_clock_moves(void)
{
	static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME,
				      CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE };
	int64_t first[ARRAY_SIZE(clocks)], t;
	timespec64 res = { 0, 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(clocks); i++)
		first[i] = now_ns(clocks[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(clocks); i++) {
		int64_t last = first[i];

		for (int n = 0; n < 100; n++) {
			t = now_ns(clocks[i]);
			if (!check(t >= last))
				break;
			last = t;
		}
	}
	sleep_ns(30 * MSEC);
	for (unsigned int i = 0; i < ARRAY_SIZE(clocks); i++)
		check(now_ns(clocks[i]) - first[i] >= 20 * MSEC);
	check(my_syscall2(__NR_clock_getres_time64, CLOCK_MONOTONIC, &res) == 0);
	check(res.tv_sec == 0 && res.tv_nsec == 1);	/* high resolution timers */
	check(my_syscall2(__NR_clock_gettime64, 99, &res) == -EINVAL);
}

void test_sleep_time(void)
{
	static const int64_t times[] = { 0, 1000, 50000, MSEC, 7 * MSEC, 100 * MSEC };
	timespec64 at;

	for (unsigned int i = 0; i < ARRAY_SIZE(times); i++) {
		int64_t start = now_ns(CLOCK_MONOTONIC);

		check(sleep_ns(times[i]) == 0);
		check(now_ns(CLOCK_MONOTONIC) - start >= times[i]);
	}
	at = ns_timespec(now_ns(CLOCK_MONOTONIC) + 20 * MSEC);
	check(my_syscall4(__NR_clock_nanosleep_time64, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0)
	      == 0);
	check(now_ns(CLOCK_MONOTONIC) >= at.tv_sec * NSEC_PER_SEC + at.tv_nsec);
	at.tv_nsec = -1;
	check(my_syscall4(__NR_clock_nanosleep_time64, CLOCK_MONOTONIC, 0, &at, 0) == -EINVAL);
}

static int kill_soon(void *arg)
{
	sleep_ns(20 * MSEC);
	return kill(*(int *)arg, SIGUSR1) < 0;
}

void test_sleep_interrupted(void)
{
	timespec64 want = { 5, 0 }, left = { 99, 0 };
	int me = getpid();
	struct peer p;

	check(handle_signal(SIGUSR1, note_alarm, 0) == 0);
	check(peer_start(&p, kill_soon, &me) == 0);
	check(my_syscall4(__NR_clock_nanosleep_time64, CLOCK_MONOTONIC, 0, &want, &left)
	      == -EINTR);
	check(alarms == 1);
	check(left.tv_sec == 4);
	check(peer_wait(&p) == 0);
	/* Stopped and continued, without a handler, it goes on where it was. */
	{
		int pid = spawn_helper("sleep", "60");

		sleep_ns(20 * MSEC);
		check(kill(pid, SIGSTOP) == 0);
		check(kill(pid, SIGCONT) == 0);
		check(wait_status(pid) == 0);
	}
}

void test_timerfd_ticks(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC);
	struct __kernel_itimerspec spec = { { 0, 0 }, { 0, 0 } };
	int64_t start = now_ns(CLOCK_MONOTONIC);
	uint64_t n = 0;

	check(fd >= 0);
	check(timerfd_set(fd, 10 * MSEC, 0) == 0);
	check(read(fd, &n, 8) == 8 && n == 1);
	check(now_ns(CLOCK_MONOTONIC) - start >= 10 * MSEC);
	start = now_ns(CLOCK_MONOTONIC);
	check(timerfd_set(fd, 5 * MSEC, 5 * MSEC) == 0);
	sleep_ns(52 * MSEC);
	check(read(fd, &n, 8) == 8 && n >= 10);
	check(timerfd_set(fd, 0, 0) == 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	check(read(fd, &n, 8) < 0 && errno == EAGAIN);
	fcntl(fd, F_SETFL, 0);
	start = now_ns(CLOCK_MONOTONIC) + 20 * MSEC;
	spec.it_value = ns_timespec(start);
	check(my_syscall4(__NR_timerfd_settime64, fd, TFD_TIMER_ABSTIME, &spec, 0) == 0);
	check(read(fd, &n, 8) == 8 && n == 1);
	check(now_ns(CLOCK_MONOTONIC) >= start);
}

void test_interval_timer(void)
{
	int64_t start = now_ns(CLOCK_MONOTONIC);

	check(handle_signal(SIGALRM, note_alarm, 0) == 0);
	check(set_interval_timer(10 * MSEC, 10 * MSEC) == 0);
	while (alarms < 5)
		pause();
	check(now_ns(CLOCK_MONOTONIC) - start >= 50 * MSEC);
	/* and while computing */
	while (alarms < 10)
		;
	check(now_ns(CLOCK_MONOTONIC) - start >= 100 * MSEC);
	check(set_interval_timer(0, 0) == 0);
	alarms = 0;
	sleep_ns(30 * MSEC);
	check(alarms == 0);
}

void test_posix_timer(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	struct __kernel_itimerspec spec = { { 0, 5 * MSEC }, { 0, 5 * MSEC } };
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int id;

	check(handle_signal(SIGUSR2, note_alarm, 0) == 0);
	check(my_syscall3(__NR_timer_create, CLOCK_MONOTONIC, &ev, &id) == 0);
	check(my_syscall4(__NR_timer_settime64, id, 0, &spec, 0) == 0);
	while (alarms < 4)
		pause();
	check(now_ns(CLOCK_MONOTONIC) - start >= 20 * MSEC);
	check(my_syscall1(__NR_timer_delete, id) == 0);
}

void test_cpu_time(void)
{
	int64_t before = now_ns(CLOCK_PROCESS_CPUTIME_ID), start = now_ns(CLOCK_MONOTONIC), used;

	sleep_ns(50 * MSEC);
	used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
	check(used >= 0 && used < 40 * MSEC);
	start = now_ns(CLOCK_MONOTONIC);
	while (now_ns(CLOCK_MONOTONIC) - start < 40 * MSEC)
		;
	used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - before;
	check(used > MSEC);		/* we were not alone, perhaps */
	check(now_ns(CLOCK_THREAD_CPUTIME_ID) > 0);
}
