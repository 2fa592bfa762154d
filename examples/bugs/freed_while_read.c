// SPDX-License-Identifier: GPL-2.0-only
/*
 * Freed under a reader.
 *
 * The new version is published as it should be, and the old one is freed at
 * once: who has found it before still reads it.
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "bugs.h"

#define ROUNDS	10

struct policy {
	unsigned int	limit;
	unsigned int	burst;
	struct rcu_head	rcu;
};

static struct policy __rcu *policy;

static struct policy *policy_new(unsigned int limit)
{
	struct policy *new = kmalloc(sizeof(*new), GFP_KERNEL | __GFP_NOFAIL);

	new->limit = limit;
	new->burst = 2 * limit;
	return new;
}

static noinline void policy_set(unsigned int limit)
{
	struct policy *old = rcu_dereference_protected(policy, 1);

	rcu_assign_pointer(policy, policy_new(limit));
	kfree(old);
}

static noinline void policy_set_ok(unsigned int limit)
{
	struct policy *old = rcu_dereference_protected(policy, 1);

	rcu_assign_pointer(policy, policy_new(limit));
	kfree_rcu(old, rcu);
}

static noinline unsigned int policy_sum(void)
{
	struct policy *found;
	unsigned int sum;

	rcu_read_lock();
	found = rcu_dereference(policy);
	sum = found->limit;
	bug_work(20);
	sum += found->burst;
	rcu_read_unlock();
	return sum;
}

static int setter(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		policy_set(i);
	return 0;
}

static int setter_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		policy_set_ok(i);
	return 0;
}

static int reader(void *unused)
{
	unsigned int sum = 0;

	for (int i = 0; i < 4 * ROUNDS; i++)
		sum += policy_sum();
	return sum;
}

void bug_freed_while_read(void)
{
	rcu_assign_pointer(policy, policy_new(1));
	bug_run_threads(setter, reader);
}

void bug_freed_while_read_ok(void)
{
	rcu_assign_pointer(policy, policy_new(1));
	bug_run_threads(setter_ok, reader);
}
