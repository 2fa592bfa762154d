// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pointer of one CPU, used on another.
 *
 * account() finds its CPU's counter with preemption on.  When the task is moved
 * before it adds, it adds to the counter of a CPU where it is no more, along
 * with the task that runs there.
 */
#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "bugs.h"

#define ROUNDS	30

static DEFINE_PER_CPU(unsigned int, bytes);

/* Where the scheduler may move the task, and here does. */
static noinline void reserve_space(void)
{
	set_cpus_allowed_ptr(current, cpumask_of(bug_cpu(1)));
}

static noinline void account(unsigned int n)
{
	unsigned int *counter = raw_cpu_ptr(&bytes);

	reserve_space();
	for (int i = 0; i < ROUNDS; i++)
		*(volatile unsigned int *)counter += n;
}

static noinline void account_ok(unsigned int n)
{
	reserve_space();
	for (int i = 0; i < ROUNDS; i++) {
		unsigned int *counter = get_cpu_ptr(&bytes);

		*(volatile unsigned int *)counter += n;
		put_cpu_ptr(&bytes);
	}
}

static int traveller(void *unused)
{
	/* bound by bug_run_threads(), which is no more than a start */
	current->flags &= ~PF_NO_SETAFFINITY;
	account(10);
	return 0;
}

static int traveller_ok(void *unused)
{
	current->flags &= ~PF_NO_SETAFFINITY;
	account_ok(10);
	return 0;
}

/* Stays where the traveller has come from. */
static noinline void account_here(unsigned int n)
{
	for (int i = 0; i < ROUNDS; i++) {
		unsigned int *counter = get_cpu_ptr(&bytes);

		*(volatile unsigned int *)counter += n;
		put_cpu_ptr(&bytes);
	}
}

static int resident(void *unused)
{
	current->flags &= ~PF_NO_SETAFFINITY;
	set_cpus_allowed_ptr(current, cpumask_of(bug_cpu(0)));
	account_here(1);
	return 0;
}

void bug_percpu_migrated(void)
{
	bug_run_threads(traveller, resident);
}

void bug_percpu_migrated_ok(void)
{
	bug_run_threads(traveller_ok, resident);
}
