// SPDX-License-Identifier: GPL-2.0-only
/*
 * Something that may sleep where nothing may.
 *
 * settings_apply() takes a mutex, which nobody sees who calls it with a spinlock
 * held.  It works as long as the mutex is free; when it is not, the task sleeps
 * with preemption off.
 */
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "bugs.h"

static DEFINE_SPINLOCK(device_lock);
static DEFINE_MUTEX(settings_mutex);
static unsigned int settings, applied;

static noinline void settings_apply(void)
{
	mutex_lock(&settings_mutex);
	applied = settings;
	mutex_unlock(&settings_mutex);
}

static noinline void device_reset(void)
{
	spin_lock(&device_lock);
	settings++;
	settings_apply();
	spin_unlock(&device_lock);
}

static noinline void device_reset_ok(void)
{
	spin_lock(&device_lock);
	settings++;
	spin_unlock(&device_lock);
	settings_apply();
}

void bug_sleep_in_atomic(void)
{
	device_reset();
}

void bug_sleep_in_atomic_ok(void)
{
	device_reset_ok();
}
