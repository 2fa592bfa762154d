// SPDX-License-Identifier: GPL-2.0-only
/*
 * A lock that interrupts take, and inside of it one that they do not.
 *
 * events.lock is taken by an interrupt, so everybody else takes it with
 * interrupts off.  Under it, drain() takes table.lock.  But resize() takes
 * table.lock with interrupts on, which by itself is right, too: an interrupt
 * there spins for events.lock, whose holder on another CPU spins for table.lock.
 */
#include <linux/smp.h>
#include <linux/spinlock.h>

#include "bugs.h"

#define ROUNDS	4

static struct {
	spinlock_t	lock;
	unsigned int	pending;
} events = { .lock = __SPIN_LOCK_UNLOCKED(events.lock) };

static struct {
	spinlock_t	lock;
	unsigned int	rows;
	unsigned int	size;
} table = { .lock = __SPIN_LOCK_UNLOCKED(table.lock) };

/* An interrupt on the CPU of the task that resizes. */
static void event_interrupt(void *unused)
{
	spin_lock(&events.lock);
	events.pending++;
	spin_unlock(&events.lock);
}

static noinline void drain(void)
{
	unsigned long flags;

	spin_lock_irqsave(&events.lock, flags);
	spin_lock(&table.lock);
	table.rows += events.pending;
	events.pending = 0;
	spin_unlock(&table.lock);
	spin_unlock_irqrestore(&events.lock, flags);
}

static noinline void resize(void)
{
	spin_lock(&table.lock);
	table.size = 2 * table.rows + 1;
	bug_work(20);
	spin_unlock(&table.lock);
}

/* Without the bug: what is taken inside of events.lock needs interrupts off. */
static noinline void resize_ok(void)
{
	unsigned long flags;

	spin_lock_irqsave(&table.lock, flags);
	table.size = 2 * table.rows + 1;
	bug_work(20);
	spin_unlock_irqrestore(&table.lock, flags);
}

static int resizer(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		resize();
	return 0;
}

static int resizer_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		resize_ok();
	return 0;
}

static int drainer(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		drain();
	return 0;
}

static int device(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		smp_call_function_single(bug_cpu(0), event_interrupt, NULL, 0);
	return 0;
}

void bug_irq_inversion(void)
{
	bug_run_threads(resizer, drainer, device);
}

void bug_irq_inversion_ok(void)
{
	bug_run_threads(resizer_ok, drainer, device);
}
