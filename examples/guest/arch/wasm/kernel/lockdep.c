// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lock annotations without a lock validator.
 *
 * kernel/locking/lockdep.c is replaced by this: every structure has its
 * lockdep_map and its key, every hook is called, and none does anything.  A
 * host that records calls of these functions knows all that lockdep knows:
 * class, subclass, try, read, nesting, wait types (of the map), contexts (of
 * the task: hardirq_threaded, softirq_context, irq_config) and the points at
 * which interrupts and softirqs are enabled and disabled.
 *
 * Calls are what counts, so nothing here may be inlined or dropped: there is
 * no link-time optimisation, another file's functions stay as they are.
 *
 * debug_locks is 1 until the self test is over, as it does not run otherwise,
 * and 0 from there on: an assertion that a lock is held has nobody to ask.
 */
#include <linux/cache.h>
#include <linux/debug_locks.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/lockdep.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>

DEFINE_PER_CPU(unsigned int, lockdep_recursion);

struct lock_class_key __lockdep_no_validate__;
struct lock_class_key __lockdep_no_track__;

void lockdep_init_map_type(struct lockdep_map *lock, const char *name,
			   struct lock_class_key *key, int subclass,
			   u8 inner, u8 outer, u8 lock_type)
{
	lock->key = key;
	lock->name = name;
	lock->wait_type_inner = inner;
	lock->wait_type_outer = outer;
	lock->lock_type = lock_type;
}

void lock_acquire(struct lockdep_map *lock, unsigned int subclass, int trylock,
		  int read, int check, struct lockdep_map *nest_lock,
		  unsigned long ip)
{
}

void lock_release(struct lockdep_map *lock, unsigned long ip)
{
}

/* Waits for the sections of a lock, as synchronize_rcu() does, and has none. */
void lock_sync(struct lockdep_map *lock, unsigned int subclass, int read,
	       int check, struct lockdep_map *nest_lock, unsigned long ip)
{
}

void lock_set_class(struct lockdep_map *lock, const char *name,
		    struct lock_class_key *key, unsigned int subclass,
		    unsigned long ip)
{
	lock->key = key;
	lock->name = name;
}

void lock_downgrade(struct lockdep_map *lock, unsigned long ip)
{
}

#ifdef CONFIG_LOCK_STAT
void lock_contended(struct lockdep_map *lock, unsigned long ip)
{
}

void lock_acquired(struct lockdep_map *lock, unsigned long ip)
{
}
#endif

noinstr int lock_is_held_type(const struct lockdep_map *lock, int read)
{
	return LOCK_STATE_UNKNOWN;
}

struct pin_cookie lock_pin_lock(struct lockdep_map *lock)
{
	return NIL_COOKIE;
}

void lock_repin_lock(struct lockdep_map *lock, struct pin_cookie cookie)
{
}

void lock_unpin_lock(struct lockdep_map *lock, struct pin_cookie cookie)
{
}

void lockdep_set_lock_cmp_fn(struct lockdep_map *lock, lock_cmp_fn cmp_fn,
			     lock_print_fn print_fn)
{
}

/* The same as lockdep's: it decides what lock_acquire() is told. */
bool read_lock_is_recursive(void)
{
	return force_read_lock_recursive ||
	       !IS_ENABLED(CONFIG_QUEUED_RWLOCKS) || in_interrupt();
}

void lockdep_hardirqs_on_prepare(void)
{
}

void noinstr lockdep_hardirqs_on(unsigned long ip)
{
	__this_cpu_write(hardirqs_enabled, 1);
}

void noinstr lockdep_hardirqs_off(unsigned long ip)
{
	__this_cpu_write(hardirqs_enabled, 0);
}

void lockdep_softirqs_on(unsigned long ip)
{
	current->softirqs_enabled = 1;
}

void lockdep_softirqs_off(unsigned long ip)
{
	current->softirqs_enabled = 0;
}

asmlinkage void lockdep_sys_exit(void)
{
}

void lockdep_init_task(struct task_struct *task)
{
	task->lockdep_depth = 0;
	task->lockdep_recursion = 0;
}

void lockdep_register_key(struct lock_class_key *key)
{
}

void lockdep_unregister_key(struct lock_class_key *key)
{
}

void lockdep_free_key_range(void *start, unsigned long size)
{
}

void lockdep_reset_lock(struct lockdep_map *lock)
{
}

void lockdep_reset(void)
{
	debug_locks = 1;
}

void lockdep_set_selftest_task(struct task_struct *task)
{
	if (!task)
		debug_locks = 0;
}

void __init lockdep_init(void)
{
	if (!IS_ENABLED(CONFIG_DEBUG_LOCKING_API_SELFTESTS))
		debug_locks = 0;
}

void debug_check_no_locks_freed(const void *from, unsigned long len)
{
}

void debug_check_no_locks_held(void)
{
}

void debug_show_all_locks(void)
{
}

void debug_show_held_locks(struct task_struct *task)
{
}

void print_irqtrace_events(struct task_struct *curr)
{
}

void lockdep_rcu_suspicious(const char *file, const int line, const char *s)
{
}
