// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two orders, one of them with a reader, of which there may be many.
 *
 * lookup() reads the map and fills in a slot under the slot's mutex; rebuild()
 * holds the mutex and wants to write the map.  A reader keeps the writer out,
 * and the writer keeps the mutex.
 */
#include <linux/mutex.h>
#include <linux/rwsem.h>

#include "bugs.h"

#define ROUNDS	4

static DECLARE_RWSEM(map_sem);
static DEFINE_MUTEX(slot_mutex);
static unsigned int map_version, slot;

static noinline void lookup(void)
{
	down_read(&map_sem);
	mutex_lock(&slot_mutex);
	slot = map_version;
	mutex_unlock(&slot_mutex);
	up_read(&map_sem);
}

static noinline void rebuild(void)
{
	mutex_lock(&slot_mutex);
	down_write(&map_sem);
	slot = ++map_version;
	up_write(&map_sem);
	mutex_unlock(&slot_mutex);
}

static noinline void rebuild_ok(void)
{
	down_write(&map_sem);
	mutex_lock(&slot_mutex);
	slot = ++map_version;
	mutex_unlock(&slot_mutex);
	up_write(&map_sem);
}

static int reader(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		lookup();
	return 0;
}

static int writer(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		rebuild();
	return 0;
}

static int writer_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		rebuild_ok();
	return 0;
}

void bug_reader_writer(void)
{
	bug_run_threads(reader, writer);
}

void bug_reader_writer_ok(void)
{
	bug_run_threads(reader, writer_ok);
}
