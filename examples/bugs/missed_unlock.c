// SPDX-License-Identifier: GPL-2.0-only
/*
 * An error path that leaves with the lock.
 *
 * A write that is too long is refused, but the mutex stays taken: the next one
 * waits for a task that is gone.
 */
#include <linux/errno.h>
#include <linux/mutex.h>

#include "bugs.h"

#define BUFFER_SIZE	16

static DEFINE_MUTEX(buffer_mutex);
static unsigned int buffer_used;

static noinline int buffer_write(unsigned int length)
{
	mutex_lock(&buffer_mutex);
	if (length > BUFFER_SIZE - buffer_used)
		return -ENOSPC;
	buffer_used += length;
	mutex_unlock(&buffer_mutex);
	return 0;
}

static noinline int buffer_write_ok(unsigned int length)
{
	int ret = 0;

	mutex_lock(&buffer_mutex);
	if (length > BUFFER_SIZE - buffer_used)
		ret = -ENOSPC;
	else
		buffer_used += length;
	mutex_unlock(&buffer_mutex);
	return ret;
}

static int too_much(void *unused)
{
	return buffer_write(BUFFER_SIZE + 1);
}

static int too_much_ok(void *unused)
{
	return buffer_write_ok(BUFFER_SIZE + 1);
}

static int enough(void *unused)
{
	return buffer_write(4);
}

static int enough_ok(void *unused)
{
	return buffer_write_ok(4);
}

void bug_missed_unlock(void)
{
	bug_run_threads(too_much);
	bug_run_threads(enough);
}

void bug_missed_unlock_ok(void)
{
	bug_run_threads(too_much_ok);
	bug_run_threads(enough_ok);
}
