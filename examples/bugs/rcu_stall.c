// SPDX-License-Identifier: GPL-2.0-only
/*
 * A read section that waits for the end of a grace period, which waits for it.
 *
 * The reader wants the new version of what it reads and sleeps until it is
 * there, inside its read section; the updater says so after a grace period, as
 * the old version can be freed then.
 */
#include <linux/completion.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "bugs.h"

struct config {
	unsigned int	version;
};

static struct config __rcu *config;
static DECLARE_COMPLETION(reader_in);
static DECLARE_COMPLETION(updated);

static noinline unsigned int read_newest(void)
{
	unsigned int version;

	rcu_read_lock();
	version = rcu_dereference(config)->version;
	complete(&reader_in);
	if (version < 2) {
		wait_for_completion(&updated);
		version = rcu_dereference(config)->version;
	}
	rcu_read_unlock();
	return version;
}

static noinline unsigned int read_newest_ok(void)
{
	unsigned int version;

	rcu_read_lock();
	version = rcu_dereference(config)->version;
	rcu_read_unlock();
	complete(&reader_in);
	if (version < 2) {
		wait_for_completion(&updated);
		rcu_read_lock();
		version = rcu_dereference(config)->version;
		rcu_read_unlock();
	}
	return version;
}

static int reader(void *unused)
{
	read_newest();
	return 0;
}

static int reader_ok(void *unused)
{
	read_newest_ok();
	return 0;
}

static int updater(void *unused)
{
	struct config *new = kzalloc(sizeof(*new), GFP_KERNEL | __GFP_NOFAIL);
	struct config *old = rcu_dereference_protected(config, 1);

	wait_for_completion(&reader_in);
	new->version = 2;
	rcu_assign_pointer(config, new);
	synchronize_rcu();
	kfree(old);
	complete(&updated);
	return 0;
}

static void setup(void)
{
	struct config *first = kzalloc(sizeof(*first), GFP_KERNEL | __GFP_NOFAIL);

	first->version = 1;
	rcu_assign_pointer(config, first);
}

void bug_rcu_stall(void)
{
	setup();
	bug_run_threads(reader, updater);
}

void bug_rcu_stall_ok(void)
{
	setup();
	bug_run_threads(reader_ok, updater);
}
