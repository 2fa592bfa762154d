// SPDX-License-Identifier: GPL-2.0-only
/*
 * A lock that a softirq takes, held by a task with softirqs on.
 *
 * The tasklet that receives packets takes queue.lock.  flush() takes it without
 * the _bh that keeps tasklets off its CPU: if an interrupt schedules the tasklet
 * while it is held, the tasklet spins for it on top of its holder, for ever.
 */
#include <linux/interrupt.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include "bugs.h"

#define ROUNDS	4

static struct {
	spinlock_t	lock;
	unsigned int	packets;
	unsigned int	dropped;
} queue = { .lock = __SPIN_LOCK_UNLOCKED(queue.lock) };

static void receive(struct tasklet_struct *unused)
{
	spin_lock(&queue.lock);
	queue.packets++;
	spin_unlock(&queue.lock);
}
static DECLARE_TASKLET(receive_tasklet, receive);

/* An interrupt on the CPU of the task that flushes. */
static void packet_interrupt(void *unused)
{
	tasklet_schedule(&receive_tasklet);
}

static noinline void flush(void)
{
	spin_lock(&queue.lock);
	queue.dropped += queue.packets;
	queue.packets = 0;
	bug_work(20);
	spin_unlock(&queue.lock);
}

static noinline void flush_ok(void)
{
	spin_lock_bh(&queue.lock);
	queue.dropped += queue.packets;
	queue.packets = 0;
	bug_work(20);
	spin_unlock_bh(&queue.lock);
}

static int flusher(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		flush();
	return 0;
}

static int flusher_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		flush_ok();
	return 0;
}

static int device(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		smp_call_function_single(bug_cpu(0), packet_interrupt, NULL, 0);
	return 0;
}

void bug_softirq_inversion(void)
{
	bug_run_threads(flusher, device);
	tasklet_kill(&receive_tasklet);
}

void bug_softirq_inversion_ok(void)
{
	bug_run_threads(flusher_ok, device);
	tasklet_kill(&receive_tasklet);
}
