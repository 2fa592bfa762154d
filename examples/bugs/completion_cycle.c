// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting, with a lock held, for somebody who needs the lock.
 *
 * configure() holds the device's mutex until the firmware is there.  The task
 * that loads it takes the mutex, too, before it says so.  It works whenever the
 * firmware comes first.
 */
#include <linux/completion.h>
#include <linux/mutex.h>

#include "bugs.h"

static DEFINE_MUTEX(device_mutex);
static DECLARE_COMPLETION(firmware_loaded);
static unsigned int firmware, configured;

static noinline void load_firmware(void)
{
	mutex_lock(&device_mutex);
	firmware = 7;
	mutex_unlock(&device_mutex);
	complete(&firmware_loaded);
}

static noinline void configure(void)
{
	mutex_lock(&device_mutex);
	wait_for_completion(&firmware_loaded);
	configured = firmware;
	mutex_unlock(&device_mutex);
}

static noinline void configure_ok(void)
{
	wait_for_completion(&firmware_loaded);
	mutex_lock(&device_mutex);
	configured = firmware;
	mutex_unlock(&device_mutex);
}

static int loader(void *unused)
{
	load_firmware();
	return 0;
}

static int configurer(void *unused)
{
	bug_work(100);
	configure();
	return 0;
}

static int configurer_ok(void *unused)
{
	configure_ok();
	return 0;
}

void bug_completion_cycle(void)
{
	bug_run_threads(loader, configurer);
}

void bug_completion_cycle_ok(void)
{
	bug_run_threads(loader, configurer_ok);
}
