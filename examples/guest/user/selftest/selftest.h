/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Tests of the kernel and its host by a program: TAP on standard output.
 * Each test is a function that runs in a process of its own; check() from
 * work.h records failures.  A test that needs more than TEST_SECONDS of guest
 * time is killed and has failed.
 */
#ifndef WDBG_SELFTEST_H
#define WDBG_SELFTEST_H

#include "work.h"

#define TEST_SECONDS	10
#define MSEC		1000000LL

/* TEST(name, "what it shows"), in the order in which they run. */
#define TESTS(TEST)							\
	TEST(start, "arguments, environment, auxiliary vector")		\
	TEST(data, "constants, data, zeroed data; no function is NULL")	\
	TEST(clone_data, "a child's instance does not reset our data")	\
	TEST(exit_status, "exit statuses")				\
	TEST(death_status, "death by each signal that ends a process")	\
	TEST(wait_any, "waiting for any child, for none, for a group")	\
	TEST(stop_continue, "stop and continue")			\
	TEST(orphan, "an orphan goes to process 1")			\
	TEST(exec_errors, "exec of what is not there or no program")	\
	TEST(exec_state, "exec keeps and drops what it should")		\
	TEST(script, "exec of a script")				\
	TEST(ids, "process, parent, group and session ids")		\
	TEST(big_arguments, "64 KiB of arguments")			\
	TEST(pipe_data, "a pipe carries a megabyte in order")		\
	TEST(pipe_ends, "end of file, EPIPE and SIGPIPE")		\
	TEST(pipe_nonblock, "a pipe that does not block")		\
	TEST(signal_handler, "a handler runs, with its arguments")	\
	TEST(signal_mask, "blocked signals wait, in order of number")	\
	TEST(signal_nest, "handlers interrupt handlers")		\
	TEST(signal_restart, "SA_RESTART and EINTR")			\
	TEST(signal_flags, "SA_RESETHAND, SA_NODEFER, ignoring")	\
	TEST(signal_stack, "a handler on its own stack")		\
	TEST(signal_spin, "a handler interrupts a loop without system calls") \
	TEST(signal_locals, "an interrupted function keeps its variables") \
	TEST(signal_suspend, "sigsuspend")				\
	TEST(signal_child, "SIGCHLD and its siginfo")			\
	TEST(signal_queue, "queued signals with values")		\
	TEST(signal_kill, "SIGKILL ends a loop without system calls")	\
	TEST(signal_exec, "exec resets handlers, keeps ignoring")	\
	TEST(signal_timed_wait, "sigtimedwait")				\
	TEST(futex_basic, "futex: wrong value, timeout, nobody waits")	\
	TEST(futex_wake, "futex: wakes as many as asked")		\
	TEST(futex_requeue, "futex: requeue")				\
	TEST(thread_basic, "threads: ids, join, exit")			\
	TEST(thread_pointer, "threads: a pointer of its own each")	\
	TEST(thread_data, "threads: one memory, atomic and in order")	\
	TEST(thread_signal, "threads: signals to one of them")		\
	TEST(thread_exit_group, "threads: exit ends them all")		\
	TEST(thread_exec, "threads: exec ends the others")		\
	TEST(thread_parallel, "threads run on more than one processor")	\
	TEST(poll_ready, "poll: what is ready")				\
	TEST(poll_wait, "poll: wakes up, times out, is interrupted")	\
	TEST(select_ready, "select")					\
	TEST(epoll_modes, "epoll: level, edge, one shot")		\
	TEST(eventfd_count, "eventfd")					\
	TEST(signalfd_read, "signalfd")					\
	TEST(clock_moves, "clocks go forward, and in step")		\
	TEST(sleep_time, "sleeping takes its time")			\
	TEST(sleep_interrupted, "an interrupted sleep tells what is left") \
	TEST(timerfd_ticks, "timerfd: once, periodic, absolute")	\
	TEST(interval_timer, "setitimer and SIGALRM")			\
	TEST(posix_timer, "timer_create")				\
	TEST(cpu_time, "processor time is counted")			\
	TEST(file_offsets, "64-bit offsets")				\
	TEST(file_truncate, "64-bit truncate, sparse files")		\
	TEST(file_append, "append, exclusive creation, truncation")	\
	TEST(file_names, "rename, link, symbolic link, unlink")		\
	TEST(file_list, "listing a directory")				\
	TEST(file_descriptors, "dup, close on exec, shared offsets")	\
	TEST(file_vectors, "readv, writev, sendfile, splice")		\
	TEST(file_lock, "record locks")					\
	TEST(file_fifo, "a named pipe")					\
	TEST(memory_map, "anonymous memory")				\
	TEST(memory_bad, "bad addresses are EFAULT")			\
	TEST(proc_self, "/proc/self")					\
	TEST(proc_files, "/proc and /sys have what tools read")		\
	TEST(tty_basic, "the console is a terminal")			\
	TEST(affinity, "moving from processor to processor")		\
	TEST(sysinfo_sane, "sysinfo, uname, rusage")			\
	TEST(trap_kinds, "each kind of trap kills with its signal")	\
	TEST(trap_thread, "a trap in a thread ends the process")	\
	TEST(trap_handler, "a handler is not called for a trap")	\
	TEST(many_processes, "a hundred processes at once")

#define DECLARE_TEST(name, text)	void test_##name(void);
TESTS(DECLARE_TEST)
#undef DECLARE_TEST

/* Run `selftest --helper NAME ARGUMENT` as a child; its id. */
int spawn_helper(const char *name, const char *argument);
int wait_status(int pid);			/* -1: no such child */
int run_helper(const char *name, const char *argument);	/* its wait status */

/* Helpers that tests run by exec; each returns an exit status. */
#define HELPERS(HELPER)							\
	HELPER(exit) HELPER(die) HELPER(spin) HELPER(sleep) HELPER(fds)	\
	HELPER(environment) HELPER(count_arguments) HELPER(signals)	\
	HELPER(orphan) HELPER(threads_exit) HELPER(threads_exec)	\
	HELPER(trap_thread) HELPER(trap_handler)
#define DECLARE_HELPER(name)	int helper_##name(const char *argument, int argc, char **argv);
HELPERS(DECLARE_HELPER)
#undef DECLARE_HELPER

/* Wait, for at most a second, until the condition holds; whether it does. */
#define eventually(condition)						\
({									\
	int _tries = 0;							\
	while (!(condition) && _tries++ < 1000)				\
		sleep_ns(MSEC);						\
	(condition);							\
})

#endif
