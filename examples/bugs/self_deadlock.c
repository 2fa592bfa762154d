// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same lock twice, with some functions between.
 *
 * device_resume() holds the device's lock and, three calls further down, waits
 * for it.
 */
#include <linux/mutex.h>

#include "bugs.h"

static struct {
	struct mutex	lock;
	bool		running;
	unsigned int	queued;
	unsigned int	sent;
} device = { .lock = __MUTEX_INITIALIZER(device.lock), .queued = 3 };

static noinline void device_flush_locked(void)
{
	device.sent += device.queued;
	device.queued = 0;
}

static noinline void device_flush(void)
{
	mutex_lock(&device.lock);
	device_flush_locked();
	mutex_unlock(&device.lock);
}

static noinline void device_start_queue(void)
{
	if (device.queued)
		device_flush();
}

static noinline void device_start_queue_locked(void)
{
	if (device.queued)
		device_flush_locked();
}

static noinline void device_resume(void)
{
	mutex_lock(&device.lock);
	device.running = true;
	device_start_queue();
	mutex_unlock(&device.lock);
}

static noinline void device_resume_ok(void)
{
	mutex_lock(&device.lock);
	device.running = true;
	device_start_queue_locked();
	mutex_unlock(&device.lock);
}

static int resume(void *unused)
{
	device_resume();
	return 0;
}

static int resume_ok(void *unused)
{
	device_resume_ok();
	return 0;
}

void bug_self_deadlock(void)
{
	bug_run_threads(resume);
}

void bug_self_deadlock_ok(void)
{
	bug_run_threads(resume_ok);
}
