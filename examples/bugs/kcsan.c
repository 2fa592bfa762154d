// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who races with whom, and does it count: the situations of KCSAN's own test
 * (kernel/kcsan/kcsan_test.c), as cases for any detector.
 *
 * Each case has two tasks, or three, which do the same thing again and again
 * without anything between them.  kcsan.toml has the verdict on each.
 */
#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/kcsan-checks.h>
#include <linux/seqlock.h>
#include <linux/string.h>

#include "bugs.h"

#define ROUNDS	40

static long sink;
static long var;
static long array[64];
static struct {
	long	val[8];
} record;
static long __data_racy racy_var;
static DEFINE_SEQLOCK(seqlock);
static unsigned long zero;

static noinline void use(long value)
{
	WRITE_ONCE(sink, value);
}

static noinline void read_plain(void)
{
	use(var);
}

static noinline void write_plain(void)
{
	var = READ_ONCE(sink) + 1;
}

static noinline void write_nochange(void)
{
	var = 42;
}

/* A name with _rcu: KCSAN then reports what has not changed the value, too. */
static noinline void write_nochange_rcu(void)
{
	var = 42;
}

static noinline void read_marked(void)
{
	use(READ_ONCE(var));
}

static noinline void write_marked(void)
{
	WRITE_ONCE(var, READ_ONCE(sink) + 1);
}

static noinline void rmw_marked(void)
{
	__atomic_fetch_add(&var, 1, __ATOMIC_RELAXED);
}

static noinline __no_kcsan void write_uninstrumented(void)
{
	var++;
}

static noinline void rmw_data_race(void)
{
	data_race(var++);
}

static noinline void rmw_data_racy(void)
{
	racy_var++;
}

static noinline void rmw_array(void)
{
	for (int i = 0; i < ARRAY_SIZE(array); i++)
		array[i]++;
}

static noinline void write_record(void)
{
	long values[ARRAY_SIZE(record.val)];

	for (int i = 0; i < ARRAY_SIZE(values); i++)
		values[i] = READ_ONCE(sink) + i;
	memcpy(record.val, values, sizeof(values) + READ_ONCE(zero));
	use(values[1] + 1);
}

static noinline void write_record_part(void)
{
	record.val[3] = READ_ONCE(sink) + 7;
}

static noinline void read_record_nothing(void)
{
	long values[1] = { 0 };

	memcpy(values, &record.val[3], READ_ONCE(zero));
	use(values[0]);
}

static noinline void assert_writer(void)
{
	ASSERT_EXCLUSIVE_WRITER(var);
}

static noinline void assert_access(void)
{
	ASSERT_EXCLUSIVE_ACCESS(var);
}

#define CHANGED_BITS	0xff00ff00

static noinline void change_bits(void)
{
	WRITE_ONCE(var, READ_ONCE(var) ^ CHANGED_BITS);
}

static noinline void assert_bits_changed(void)
{
	ASSERT_EXCLUSIVE_BITS(var, CHANGED_BITS);
}

static noinline void assert_bits_unchanged(void)
{
	ASSERT_EXCLUSIVE_BITS(var, ~CHANGED_BITS);
}

static noinline void in_scope(void)
{
	bug_work(20);
}

static noinline void assert_writer_scoped(void)
{
	ASSERT_EXCLUSIVE_WRITER_SCOPED(var);
	in_scope();
}

static noinline void assert_access_scoped(void)
{
	ASSERT_EXCLUSIVE_ACCESS_SCOPED(var);
	in_scope();
}

static noinline void read_jiffies(void)
{
	use(jiffies);
}

static noinline void read_seqlock(void)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&seqlock);
		use(var);
	} while (read_seqretry(&seqlock, seq));
}

static noinline void write_seqlocked(void)
{
	unsigned long flags;

	write_seqlock_irqsave(&seqlock, flags);
	var++;
	write_sequnlock_irqrestore(&seqlock, flags);
}

static noinline void builtins(void)
{
	long old = 20;

	__atomic_store_n(&var, 42, __ATOMIC_RELAXED);
	use(__atomic_load_n(&var, __ATOMIC_RELAXED));
	use(__atomic_exchange_n(&var, 20, __ATOMIC_RELAXED));
	__atomic_compare_exchange_n(&var, &old, 30, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	use(__atomic_fetch_sub(&var, 1, __ATOMIC_RELAXED));
	use(__atomic_fetch_xor(&var, 0xf, __ATOMIC_RELAXED));
}

static noinline void builtin_load(void)
{
	use(__atomic_load_n(&var, __ATOMIC_RELAXED));
}

static noinline void change_1bit(void)
{
	var ^= 0x10000;
}

/* A lock of one's own, with the order that a lock has, and without. */
#define LOCKED(name, acquire, release)			\
static noinline void name(void)				\
{							\
	long *flag = &record.val[0];			\
	long old = 0;					\
							\
	if (!(acquire))					\
		return;					\
	while (old++ < 5) {				\
		var++;					\
		barrier();				\
	}						\
	release;					\
}

LOCKED(locked, cmpxchg_acquire(flag, 0, 1) == 0, smp_store_release(flag, 0))
LOCKED(locked_relaxed, cmpxchg_relaxed(flag, 0, 1) == 0, WRITE_ONCE(*flag, 0))
LOCKED(locked_builtin,
       __atomic_compare_exchange_n(flag, &old, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
       __atomic_store_n(flag, 0, __ATOMIC_RELEASE))
LOCKED(locked_builtin_relaxed,
       __atomic_compare_exchange_n(flag, &old, 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED),
       __atomic_store_n(flag, 0, __ATOMIC_RELAXED))

/* The tasks: name_task() runs name() again and again. */
#define TASK(name)					\
static int name##_task(void *unused)			\
{							\
	for (int i = 0; i < ROUNDS; i++) {		\
		name();					\
		bug_work(10);				\
	}						\
	return 0;					\
}

TASK(read_plain)
TASK(write_plain)
TASK(write_nochange)
TASK(write_nochange_rcu)
TASK(read_marked)
TASK(write_marked)
TASK(rmw_marked)
TASK(write_uninstrumented)
TASK(rmw_data_race)
TASK(rmw_data_racy)
TASK(rmw_array)
TASK(write_record)
TASK(write_record_part)
TASK(read_record_nothing)
TASK(assert_writer)
TASK(assert_access)
TASK(change_bits)
TASK(assert_bits_changed)
TASK(assert_bits_unchanged)
TASK(assert_writer_scoped)
TASK(assert_access_scoped)
TASK(read_jiffies)
TASK(read_seqlock)
TASK(write_seqlocked)
TASK(builtins)
TASK(builtin_load)
TASK(change_1bit)
TASK(locked)
TASK(locked_relaxed)
TASK(locked_builtin)
TASK(locked_builtin_relaxed)

#define CASE(name, first, second)			\
void bug_kcsan_##name(void)				\
{							\
	bug_run_threads(first##_task, second##_task);	\
}

CASE(basic, write_plain, read_plain)
CASE(concurrent_races, rmw_array, rmw_array)
CASE(novalue_change, write_nochange, read_plain)
CASE(novalue_change_exception, write_nochange_rcu, read_plain)
CASE(unknown_origin, write_uninstrumented, read_plain)
CASE(write_write_assume_atomic, write_plain, write_plain)
CASE(write_write_struct, write_record, write_record)
CASE(write_write_struct_part, write_record, write_record_part)
CASE(read_atomic_write_atomic, read_marked, write_marked)
CASE(read_plain_atomic_write, read_plain, write_marked)
CASE(read_plain_atomic_rmw, read_plain, rmw_marked)
CASE(zero_size_access, write_record, read_record_nothing)
CASE(data_race, rmw_data_race, rmw_data_race)
CASE(data_racy_qualifier, rmw_data_racy, rmw_data_racy)
CASE(assert_exclusive_writer, assert_writer, write_nochange)
CASE(assert_exclusive_access, assert_access, read_plain)
CASE(assert_exclusive_access_writer, assert_access, assert_writer)
CASE(assert_exclusive_writer_writer, assert_writer, assert_writer)
CASE(assert_exclusive_bits_change, assert_bits_changed, change_bits)
CASE(assert_exclusive_bits_nochange, assert_bits_unchanged, change_bits)
CASE(assert_exclusive_writer_scoped, assert_writer_scoped, write_nochange)
CASE(assert_exclusive_access_scoped, assert_access_scoped, read_plain)
CASE(jiffies_noreport, read_jiffies, read_jiffies)
CASE(seqlock_noreport, read_seqlock, write_seqlocked)
CASE(atomic_builtins, builtins, builtin_load)
CASE(1bit_value_change, read_plain, change_1bit)
CASE(correct_barrier, locked, locked)
CASE(missing_barrier, locked_relaxed, locked_relaxed)
CASE(atomic_builtins_correct_barrier, locked_builtin, locked_builtin)
CASE(atomic_builtins_missing_barrier, locked_builtin_relaxed, locked_builtin_relaxed)
