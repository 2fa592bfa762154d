// SPDX-License-Identifier: GPL-2.0-only
/*
 * Look, lock, look again, initialise: but the first look has no lock.
 *
 * Nothing orders the flag after what it stands for, neither where it is set nor
 * where it is read without the lock.  The table may be seen half made.
 */
#include <linux/mutex.h>
#include <linux/types.h>

#include "bugs.h"

#define ENTRIES	8
#define LOOKUPS	20

static DEFINE_MUTEX(init_mutex);
static bool initialised;
static unsigned int table[ENTRIES];

static void table_fill(void)
{
	for (int i = 0; i < ENTRIES; i++)
		table[i] = i * i;
}

static noinline unsigned int lookup(unsigned int i)
{
	if (!initialised) {
		mutex_lock(&init_mutex);
		if (!initialised) {
			table_fill();
			initialised = true;
		}
		mutex_unlock(&init_mutex);
	}
	return table[i % ENTRIES];
}

static noinline unsigned int lookup_ok(unsigned int i)
{
	/* pairs with the release below */
	if (!smp_load_acquire(&initialised)) {
		mutex_lock(&init_mutex);
		if (!initialised) {
			table_fill();
			smp_store_release(&initialised, true);
		}
		mutex_unlock(&init_mutex);
	}
	return table[i % ENTRIES];
}

static int user(void *unused)
{
	unsigned int sum = 0;

	for (int i = 0; i < LOOKUPS; i++)
		sum += lookup(i);
	return sum;
}

static int user_ok(void *unused)
{
	unsigned int sum = 0;

	for (int i = 0; i < LOOKUPS; i++)
		sum += lookup_ok(i);
	return sum;
}

void bug_double_checked(void)
{
	bug_run_threads(user, user);
}

void bug_double_checked_ok(void)
{
	bug_run_threads(user_ok, user_ok);
}
