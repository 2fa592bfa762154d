// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pointer to something that is not finished.
 *
 * The object is filled in and then made known by a plain store.  Nothing keeps
 * the two in this order, and nothing keeps the reader from reading the object's
 * members before the pointer.
 */
#include <linux/compiler.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bugs.h"

#define LOOKS	30

struct driver {
	unsigned int	version;
	unsigned int	features;
};

static struct driver *driver;

static noinline void driver_register(struct driver *new)
{
	new->version = 3;
	new->features = 0xf;
	driver = new;
}

static noinline unsigned int driver_features(void)
{
	struct driver *found = driver;

	return found ? found->features : 0;
}

static noinline void driver_register_ok(struct driver *new)
{
	new->version = 3;
	new->features = 0xf;
	/* pairs with the acquire in driver_features_ok() */
	smp_store_release(&driver, new);
}

static noinline unsigned int driver_features_ok(void)
{
	struct driver *found = smp_load_acquire(&driver);

	return found ? found->features : 0;
}

static int registrar(void *unused)
{
	driver_register(kzalloc(sizeof(struct driver), GFP_KERNEL | __GFP_NOFAIL));
	return 0;
}

static int registrar_ok(void *unused)
{
	driver_register_ok(kzalloc(sizeof(struct driver), GFP_KERNEL | __GFP_NOFAIL));
	return 0;
}

static int user(void *unused)
{
	unsigned int features = 0;

	for (int i = 0; i < LOOKS; i++) {
		features |= driver_features();
		bug_work(20);
	}
	cond_resched();
	return features | driver_features();
}

static int user_ok(void *unused)
{
	unsigned int features = 0;

	for (int i = 0; i < LOOKS; i++) {
		features |= driver_features_ok();
		bug_work(20);
	}
	cond_resched();
	return features | driver_features_ok();
}

void bug_publication(void)
{
	bug_run_threads(registrar, user);
}

void bug_publication_ok(void)
{
	bug_run_threads(registrar_ok, user_ok);
}
