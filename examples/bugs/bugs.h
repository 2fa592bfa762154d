/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bugs on demand, see README.md.  Each case is a function that is called late in
 * the boot if "bugs.case=NAME" says so; NAME_ok is the same code without the bug.
 */
#ifndef _BUGS_H
#define _BUGS_H

#define BUG_TWINS(X, name)	X(name) X(name##_ok)

/* Situations of KCSAN's test, see kcsan.c. */
#define KCSAN_CASES(X)				\
	X(kcsan_basic)				\
	X(kcsan_concurrent_races)		\
	X(kcsan_novalue_change)			\
	X(kcsan_novalue_change_exception)	\
	X(kcsan_unknown_origin)			\
	X(kcsan_write_write_assume_atomic)	\
	X(kcsan_write_write_struct)		\
	X(kcsan_write_write_struct_part)	\
	X(kcsan_read_atomic_write_atomic)	\
	X(kcsan_read_plain_atomic_write)	\
	X(kcsan_read_plain_atomic_rmw)		\
	X(kcsan_zero_size_access)		\
	X(kcsan_data_race)			\
	X(kcsan_data_racy_qualifier)		\
	X(kcsan_assert_exclusive_writer)	\
	X(kcsan_assert_exclusive_access)	\
	X(kcsan_assert_exclusive_access_writer)	\
	X(kcsan_assert_exclusive_writer_writer)	\
	X(kcsan_assert_exclusive_bits_change)	\
	X(kcsan_assert_exclusive_bits_nochange)	\
	X(kcsan_assert_exclusive_writer_scoped)	\
	X(kcsan_assert_exclusive_access_scoped)	\
	X(kcsan_jiffies_noreport)		\
	X(kcsan_seqlock_noreport)		\
	X(kcsan_atomic_builtins)		\
	X(kcsan_1bit_value_change)		\
	X(kcsan_correct_barrier)		\
	X(kcsan_missing_barrier)		\
	X(kcsan_atomic_builtins_correct_barrier)	\
	X(kcsan_atomic_builtins_missing_barrier)

/* All cases. */
#define BUG_CASES(X)				\
	BUG_TWINS(X, abba)			\
	BUG_TWINS(X, abbcca)			\
	BUG_TWINS(X, completion_cycle)		\
	BUG_TWINS(X, irq_inversion)		\
	BUG_TWINS(X, lost_wakeup)		\
	BUG_TWINS(X, missed_unlock)		\
	BUG_TWINS(X, rcu_stall)			\
	BUG_TWINS(X, reader_writer)		\
	BUG_TWINS(X, self_deadlock)		\
	BUG_TWINS(X, sleep_in_atomic)		\
	BUG_TWINS(X, softirq_inversion)		\
	BUG_TWINS(X, timer_never_armed)		\
						\
	BUG_TWINS(X, double_checked)		\
	BUG_TWINS(X, freed_while_read)		\
	BUG_TWINS(X, irq_task)			\
	BUG_TWINS(X, lost_update)		\
	BUG_TWINS(X, percpu_migrated)		\
	BUG_TWINS(X, publication)		\
	BUG_TWINS(X, rcu_list_misuse)		\
	BUG_TWINS(X, torn_read)			\
						\
	BUG_TWINS(X, bad_call)			\
	BUG_TWINS(X, bug_on)			\
	BUG_TWINS(X, double_free)		\
	BUG_TWINS(X, hung_task)			\
	BUG_TWINS(X, list_corruption)		\
	BUG_TWINS(X, null_deref)		\
	BUG_TWINS(X, slab_overrun)		\
	BUG_TWINS(X, stack_overflow)		\
	BUG_TWINS(X, use_after_free)		\
						\
	KCSAN_CASES(X)

#define BUG_DECLARE(name)	void bug_##name(void);
BUG_CASES(BUG_DECLARE)
#undef BUG_DECLARE

typedef int (*bug_thread_fn)(void *unused);

/*
 * Run functions as kernel threads "NAME/0", "NAME/1" ..., each on a CPU of its
 * own if there are enough, and wait until all have returned.  All exist before
 * the first one runs; they are woken in this order.
 */
#define bug_run_threads(...)						\
	__bug_run_threads((const bug_thread_fn[]){ __VA_ARGS__, NULL })
void __bug_run_threads(const bug_thread_fn *fns);

/* The CPU that the n-th thread of bug_run_threads() runs on. */
unsigned int bug_cpu(unsigned int n);

/* A little work, for the time it takes. */
void bug_work(unsigned int loops);

#endif
