// SPDX-License-Identifier: GPL-2.0-only
/*
 * A wake-up between the look and the sleep.
 *
 * The consumer looks whether there is something to do, and if not, says that it
 * sleeps and does.  If the producer comes between the look and the word, it
 * wakes a task that is awake, which is nothing, and the consumer then sleeps
 * with its work before it.
 */
#include <linux/sched.h>

#include "bugs.h"

static struct task_struct *consumer_task;
static int work_ready;
static unsigned int sleeps;

/* What is done before a sleep takes a while. */
static noinline void power_down(void)
{
	sleeps++;
	bug_work(40);
}

static noinline void wait_for_work(void)
{
	if (!READ_ONCE(work_ready)) {
		power_down();
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule();
	}
}

/* Without the bug: first the word, then the look. */
static noinline void wait_for_work_ok(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	while (!READ_ONCE(work_ready)) {
		power_down();
		schedule();
		set_current_state(TASK_UNINTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
}

static noinline void send_work(void)
{
	struct task_struct *task = smp_load_acquire(&consumer_task);

	WRITE_ONCE(work_ready, 1);
	if (task)
		wake_up_process(task);
}

static int consumer(void *unused)
{
	smp_store_release(&consumer_task, current);
	wait_for_work();
	return 0;
}

static int consumer_ok(void *unused)
{
	smp_store_release(&consumer_task, current);
	wait_for_work_ok();
	return 0;
}

static int producer(void *unused)
{
	send_work();
	return 0;
}

void bug_lost_wakeup(void)
{
	bug_run_threads(consumer, producer);
}

void bug_lost_wakeup_ok(void)
{
	bug_run_threads(consumer_ok, producer);
}
