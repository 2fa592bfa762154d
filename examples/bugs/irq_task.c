// SPDX-License-Identifier: GPL-2.0-only
/*
 * A counter of an interrupt, changed by a task with interrupts on.
 *
 * Both are on one CPU, so no lock is needed; but an interrupt between the task's
 * load and its store is forgotten.
 */
#include <linux/irqflags.h>
#include <linux/smp.h>

#include "bugs.h"

#define ROUNDS	30

static unsigned int credits;

static void credit_interrupt(void *unused)
{
	credits++;
}

static noinline void spend(void)
{
	unsigned int n = credits;

	bug_work(10);
	if (n)
		credits = n - 1;
}

static noinline void spend_ok(void)
{
	unsigned long flags;

	local_irq_save(flags);
	spend();
	local_irq_restore(flags);
}

static int spender(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		spend();
	return 0;
}

static int spender_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		spend_ok();
	return 0;
}

static int device(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		smp_call_function_single(bug_cpu(0), credit_interrupt, NULL, 1);
	return 0;
}

void bug_irq_task(void)
{
	bug_run_threads(spender, device);
}

void bug_irq_task_ok(void)
{
	bug_run_threads(spender_ok, device);
}
