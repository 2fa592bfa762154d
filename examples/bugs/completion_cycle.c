// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting, with a lock held, for somebody who needs the lock.
 *
 * The firmware has two parts.  The task that loads them takes the device's mutex
 * for each, and says so when it is in.  The driver waits for the first one, and
 * then, with the mutex held, for the second: that works whenever the second one
 * has come before.
 */
#include <linux/completion.h>
#include <linux/mutex.h>

#include "bugs.h"

static DEFINE_MUTEX(device_mutex);
static DECLARE_COMPLETION(part_loaded);
static unsigned int parts, started, configured;

static noinline void load_part(void)
{
	mutex_lock(&device_mutex);
	parts++;
	mutex_unlock(&device_mutex);
	complete(&part_loaded);
}

static noinline void start(void)
{
	wait_for_completion(&part_loaded);
	mutex_lock(&device_mutex);
	started = parts;
	mutex_unlock(&device_mutex);
}

static noinline void configure(void)
{
	mutex_lock(&device_mutex);
	wait_for_completion(&part_loaded);
	configured = parts;
	mutex_unlock(&device_mutex);
}

static noinline void configure_ok(void)
{
	wait_for_completion(&part_loaded);
	mutex_lock(&device_mutex);
	configured = parts;
	mutex_unlock(&device_mutex);
}

static int driver(void *unused)
{
	start();
	configure();
	return 0;
}

static int driver_ok(void *unused)
{
	start();
	configure_ok();
	return 0;
}

static int loader(void *unused)
{
	load_part();
	load_part();
	return 0;
}

void bug_completion_cycle(void)
{
	bug_run_threads(driver, loader);
}

void bug_completion_cycle_ok(void)
{
	bug_run_threads(driver_ok, loader);
}
