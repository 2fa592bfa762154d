// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Tests: signals and their handlers. */
#include "selftest.h"
#define SS_ONSTACK	1

static volatile int seen[65], order[16], n_seen;
static siginfo_t last_info;

static void note(int sig)
{
	seen[sig]++;
	if (n_seen < (int)ARRAY_SIZE(order))
		order[n_seen] = sig;
	n_seen++;
}

static void note_info(int sig, siginfo_t *info, void *context)
{
	note(sig);
	last_info = *info;
}

static void catch(int sig, unsigned long flags)
{
	check(handle_signal(sig, note, flags) == 0);
}

static void send_self(int sig)
{
	check(kill(getpid(), sig) == 0);
}

/* A process that sends us `sig` after `ms`, `times` times. */
struct sender {
	struct peer peer;
	int pid, tid, sig, ms, times;
};

static int sender_main(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < s->times; i++) {
		sleep_ns(s->ms * MSEC);
		if ((s->tid ? tgkill(s->pid, s->tid, s->sig) : kill(s->pid, s->sig)) < 0)
			return 1;
	}
	return 0;
}

static void send_later(struct sender *s, int sig, int ms, int times)
{
	s->pid = getpid();
	s->tid = 0;
	s->sig = sig;
	s->ms = ms;
	s->times = times;
	check(peer_start(&s->peer, sender_main, s) == 0);
}

void test_signal_handler(void)
{
	catch(SIGUSR1, 0);
	send_self(SIGUSR1);
	check(seen[SIGUSR1] == 1);
	for (int i = 0; i < 100; i++)
		send_self(SIGUSR1);
	check(seen[SIGUSR1] == 101);
	check(handle_signal_info(SIGUSR2, note_info, 0) == 0);
	send_self(SIGUSR2);
	check(seen[SIGUSR2] == 1);
	check(last_info.si_signo == SIGUSR2);
	check(last_info.si_code == SI_USER);
	check(last_info.si_pid == getpid());
	check(handle_signal(SIGKILL, note, 0) < 0 && errno == EINVAL);
	check(raise(SIGUSR1) == 0 && seen[SIGUSR1] == 102);
}

void test_signal_mask(void)
{
	uint64_t set = SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2) | SIGBIT(SIGTERM), old = 1, pending = 0;

	catch(SIGUSR1, 0);
	catch(SIGUSR2, 0);
	catch(SIGTERM, 0);
	check(signal_mask(SIG_BLOCK, set, &old) == 0);
	check((old & set) == 0);
	send_self(SIGTERM);
	send_self(SIGUSR2);
	send_self(SIGUSR1);
	send_self(SIGUSR1);		/* not queued twice */
	check(n_seen == 0);
	check(my_syscall2(__NR_rt_sigpending, &pending, sizeof(pending)) == 0);
	check(pending == set);
	check(signal_mask(SIG_SETMASK, old, NULL) == 0);
	check(n_seen == 3);
	/* Delivered lowest first: each interrupts the one before at its start. */
	check(order[0] == SIGTERM && order[1] == SIGUSR2 && order[2] == SIGUSR1);
	check(signal_mask(99, 0, NULL) < 0 && errno == EINVAL);
}

static volatile int depth, deepest;

static void nest(int sig)
{
	uint64_t mask = 0;

	note(sig);
	depth++;
	deepest = depth > deepest ? depth : deepest;
	/* Our own signal is blocked here. */
	signal_mask(SIG_BLOCK, 0, &mask);
	check(mask & SIGBIT(sig));
	if (sig < 40)
		send_self(sig + 1);
	depth--;
}

void test_signal_nest(void)
{
	uint64_t mask = ~0ULL;

	for (int sig = 34; sig <= 40; sig++)
		check(handle_signal(sig, nest, 0) == 0);
	send_self(34);
	check(n_seen == 7);
	check(deepest == 7);
	check(depth == 0);
	signal_mask(SIG_BLOCK, 0, &mask);
	check(mask == 0);
	for (int i = 0; i < 50; i++)
		send_self(34);
	check(n_seen == 7 * 51);
}

void test_signal_restart(void)
{
	struct sender s;
	int fd[2];
	char c = 0;

	check(pipe(fd) == 0);
	catch(SIGUSR1, 0);
	send_later(&s, SIGUSR1, 20, 1);
	check(read(fd[0], &c, 1) < 0 && errno == EINTR);
	check(seen[SIGUSR1] == 1);
	check(peer_wait(&s.peer) == 0);

	catch(SIGUSR1, SA_RESTART);
	send_later(&s, SIGUSR1, 20, 3);
	{
		struct pollfd p = { fd[0], POLLIN, 0 };

		/* poll() is never restarted */
		check(poll_ns(&p, 1, -1) < 0 && errno == EINTR);
	}
	check(peer_wait(&s.peer) == 0);
	check(seen[SIGUSR1] == 4);

	/* A read that is restarted: the byte comes after the signals. */
	{
		char *const argv[] = { "/bin/sh", "-c", "sleep 0.1; echo", NULL };
		struct fd_action out[] = { { .kind = FD_DUP, .fd = 1, .from = fd[1] }, { 0 } };
		struct spawn how = { .actions = out };
		int pid = spawnvp(argv, &how);

		send_later(&s, SIGUSR1, 10, 5);
		check(read(fd[0], &c, 1) == 1 && c == '\n');
		check(wait_status(pid) == 0);
	}
	check(peer_wait(&s.peer) == 0);
	check(seen[SIGUSR1] == 9);
}

static void again(int sig)
{
	note(sig);
	if (seen[sig] < 5)
		send_self(sig);
}

void test_signal_flags(void)
{
	struct sigaction act;
	uint64_t before = 0, after = 0;

	catch(SIGUSR1, SA_RESETHAND);
	send_self(SIGUSR1);
	check(seen[SIGUSR1] == 1);
	check(my_syscall4(__NR_rt_sigaction, SIGUSR1, 0, &act, sizeof(act.sa_mask)) == 0);
	check(act.sa_handler == SIG_DFL);

	check(handle_signal(SIGUSR2, again, SA_NODEFER) == 0);
	send_self(SIGUSR2);
	check(seen[SIGUSR2] == 5);
	signal_mask(SIG_BLOCK, 0, &after);
	check(before == after);

	check(handle_signal(SIGTERM, HANDLER_IGN, 0) == 0);
	send_self(SIGTERM);
	check(handle_signal(SIGTERM, HANDLER_DFL, 0) == 0);
	send_self(SIGCHLD);		/* ignored by default */
	send_self(SIGURG);
}

static char *handler_frame;

static void note_frame(int sig)
{
	char here;

	note(sig);
	handler_frame = &here;
}

void test_signal_stack(void)
{
	char *memory = map_pages(16384);
	stack_t stack = { .ss_sp = memory, .ss_size = 16384 }, old;

	check(memory != NULL);
	check(my_syscall2(__NR_sigaltstack, &stack, 0) == 0);
	check(handle_signal(SIGUSR1, note_frame, SA_ONSTACK) == 0);
	check(handle_signal(SIGUSR2, note_frame, 0) == 0);
	send_self(SIGUSR1);
	check(handler_frame > memory && handler_frame < memory + 16384);
	send_self(SIGUSR2);
	check(handler_frame < memory || handler_frame > memory + 16384);
	check(my_syscall2(__NR_sigaltstack, 0, &old) == 0);
	check(old.ss_sp == memory && !(old.ss_flags & SS_ONSTACK));
}

void test_signal_spin(void)
{
	struct sender s;
	unsigned int rounds = 0;

	catch(SIGUSR1, 0);
	send_later(&s, SIGUSR1, 5, 20);
	while (seen[SIGUSR1] < 20)
		rounds++;
	check(rounds > 20);
	check(peer_wait(&s.peer) == 0);
}

/*
 * A leaf function keeps variables in the red zone below the stack pointer; the
 * handler writes over all the stack that it may.
 */
static void scribble(int sig)
{
	volatile char area[512];

	for (unsigned int i = 0; i < sizeof(area); i++)
		area[i] = 0x5a;
	note(sig);
}

static noinline int leaf(volatile int *stop, int limit)
{
	volatile unsigned int sum[16];
	unsigned int rounds = 0;

	for (int i = 0; i < 16; i++)
		sum[i] = i;
	while (*stop < limit) {
		for (int i = 0; i < 16; i++)
			sum[i] += i + 1;
		rounds++;
	}
	for (int i = 0; i < 16; i++)
		if (sum[i] != i + rounds * (i + 1))
			return 0;
	return 1;
}

void test_signal_locals(void)
{
	struct sender s;

	check(handle_signal(SIGUSR1, scribble, 0) == 0);
	send_later(&s, SIGUSR1, 2, 50);
	check(leaf(&seen[SIGUSR1], 50));
	check(peer_wait(&s.peer) == 0);
}

void test_signal_suspend(void)
{
	uint64_t set = SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2), mask = 0;
	struct sender s;

	catch(SIGUSR1, 0);
	catch(SIGUSR2, 0);
	check(signal_mask(SIG_BLOCK, set, NULL) == 0);
	send_self(SIGUSR1);
	check(n_seen == 0);
	check(signal_suspend(SIGBIT(SIGUSR2)) < 0 && errno == EINTR);
	check(seen[SIGUSR1] == 1);
	signal_mask(SIG_BLOCK, 0, &mask);
	check(mask == set);
	send_later(&s, SIGUSR2, 10, 1);
	check(signal_suspend(0) < 0 && errno == EINTR);
	check(seen[SIGUSR2] == 1);
	check(peer_wait(&s.peer) == 0);
}

void test_signal_child(void)
{
	int pid;

	check(handle_signal_info(SIGCHLD, note_info, SA_RESTART) == 0);
	pid = spawn_helper("exit", "9");
	check(eventually(seen[SIGCHLD] == 1));
	check(last_info.si_pid == pid);
	check(last_info.si_code == CLD_EXITED);
	check(last_info.si_status == 9);
	check(wait_status(pid) == 9 << 8);
	pid = spawn_helper("die", "15");
	check(wait_status(pid) == 15);
	check(eventually(seen[SIGCHLD] == 2));
	check(last_info.si_code == CLD_KILLED && last_info.si_status == 15);
	/* children of who does not care leave no zombies */
	check(handle_signal(SIGCHLD, HANDLER_IGN, 0) == 0);
	pid = spawn_helper("exit", "0");
	check(wait_child(pid, NULL, 0, NULL) < 0 && errno == ECHILD);
}

static volatile int values[8], n_values;

static void note_value(int sig, siginfo_t *info, void *context)
{
	if (n_values < 8)
		values[n_values++] = info->si_int;
}

void test_signal_queue(void)
{
	int sig = 35;

	check(handle_signal_info(sig, note_value, 0) == 0);
	check(signal_mask(SIG_BLOCK, SIGBIT(sig), NULL) == 0);
	for (int i = 0; i < 8; i++) {
		siginfo_t info = { .si_signo = sig, .si_code = SI_QUEUE };

		info.si_pid = getpid();
		info.si_int = i * 100;
		check(my_syscall3(__NR_rt_sigqueueinfo, getpid(), sig, &info) == 0);
	}
	check(n_values == 0);
	check(signal_mask(SIG_UNBLOCK, SIGBIT(sig), NULL) == 0);
	check(n_values == 8);
	/*
	 * Eight handlers, one on top of the other before any of them ran its
	 * first instruction, would reverse the order; the signal is blocked
	 * in its handler, so they run one after the other.
	 */
	for (int i = 0; i < n_values; i++)
		check(values[i] == i * 100);
}

void test_signal_kill(void)
{
	static const char signals[] = { SIGKILL, SIGTERM, SIGINT };

	for (unsigned int i = 0; i < sizeof(signals); i++) {
		int pid = spawn_helper("spin", ""), status;

		sleep_ns(10 * MSEC);
		check(kill(pid, signals[i]) == 0);
		status = wait_status(pid);
		check(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
	}
}

/* Bits of its argument: 1 SIGUSR1 is ignored, 2 SIGUSR2 is ignored, 4 SIGTERM is blocked. */
int helper_signals(const char *argument, int argc, char **argv)
{
	struct sigaction act;
	uint64_t mask = 0;
	int result = 0;

	my_syscall4(__NR_rt_sigaction, SIGUSR1, 0, &act, sizeof(act.sa_mask));
	result |= act.sa_handler == SIG_IGN ? 1 : act.sa_handler == SIG_DFL ? 0 : 64;
	my_syscall4(__NR_rt_sigaction, SIGUSR2, 0, &act, sizeof(act.sa_mask));
	result |= act.sa_handler == SIG_IGN ? 2 : act.sa_handler == SIG_DFL ? 0 : 64;
	signal_mask(SIG_BLOCK, 0, &mask);
	result |= mask & SIGBIT(SIGTERM) ? 4 : 0;
	return result;
}

void test_signal_exec(void)
{
	catch(SIGUSR1, 0);
	check(handle_signal(SIGUSR2, HANDLER_IGN, 0) == 0);
	check(run_helper("signals", "") == 2 << 8);
	check(signal_mask(SIG_BLOCK, SIGBIT(SIGTERM), NULL) == 0);
	check(run_helper("signals", "") == 6 << 8);
}

void test_signal_timed_wait(void)
{
	uint64_t set = SIGBIT(SIGUSR1);
	timespec64 t = ns_timespec(20 * MSEC);
	struct sender s;
	siginfo_t info;
	int64_t start;

	check(signal_mask(SIG_BLOCK, set, NULL) == 0);
	start = now_ns(CLOCK_MONOTONIC);
	check(my_syscall4(__NR_rt_sigtimedwait_time64, &set, &info, &t, sizeof(set)) == -EAGAIN);
	check(now_ns(CLOCK_MONOTONIC) - start >= 20 * MSEC);
	send_later(&s, SIGUSR1, 5, 1);
	t = ns_timespec(NSEC_PER_SEC);
	check(my_syscall4(__NR_rt_sigtimedwait_time64, &set, &info, &t, sizeof(set)) == SIGUSR1);
	check(info.si_signo == SIGUSR1 && info.si_code == SI_USER);
	check(peer_wait(&s.peer) == 0);
}
