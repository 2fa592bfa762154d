// SPDX-License-Identifier: GPL-2.0-only
/*
 * A list read under RCU and changed as if nobody did.
 *
 * The reader does as it should.  The writer adds with list_add(), which has no
 * order: a reader can come to an entry whose members are not there yet.
 */
#include <linux/list.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "bugs.h"

#define ROUNDS	10

struct route {
	struct list_head	list;
	unsigned int		cost;
};

static LIST_HEAD(routes);
static DEFINE_SPINLOCK(routes_lock);

static noinline void route_add(unsigned int cost)
{
	struct route *route = kmalloc(sizeof(*route), GFP_KERNEL | __GFP_NOFAIL);

	route->cost = cost;
	spin_lock(&routes_lock);
	list_add(&route->list, &routes);
	spin_unlock(&routes_lock);
}

static noinline void route_add_ok(unsigned int cost)
{
	struct route *route = kmalloc(sizeof(*route), GFP_KERNEL | __GFP_NOFAIL);

	route->cost = cost;
	spin_lock(&routes_lock);
	list_add_rcu(&route->list, &routes);
	spin_unlock(&routes_lock);
}

static noinline unsigned int route_best(void)
{
	unsigned int best = UINT_MAX;
	struct route *route;

	rcu_read_lock();
	list_for_each_entry_rcu(route, &routes, list)
		best = min(best, route->cost);
	rcu_read_unlock();
	return best;
}

static int writer(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		route_add(100 - i);
	return 0;
}

static int writer_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		route_add_ok(100 - i);
	return 0;
}

static int reader(void *unused)
{
	unsigned int best = 0;

	for (int i = 0; i < 4 * ROUNDS; i++)
		best = route_best();
	return best;
}

void bug_rcu_list_misuse(void)
{
	bug_run_threads(writer, reader);
}

void bug_rcu_list_misuse_ok(void)
{
	bug_run_threads(writer_ok, reader);
}
