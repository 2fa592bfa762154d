// SPDX-License-Identifier: GPL-2.0-only
/*
 * An object that was not found, used all the same.
 *
 * device_find() returns NULL for a device that is not there.  Address 0 is memory
 * like any other in this guest, so the use count goes there without a word; what
 * is called in the end is a function pointer that was read through a pointer
 * that was read through NULL.
 */
#include <linux/errno.h>
#include <linux/kernel.h>

#include "bugs.h"

struct device_ops {
	unsigned int	flags;
	int		(*start)(unsigned int id);
};

struct device {
	unsigned int			id;
	unsigned int			users;
	const struct device_ops		*ops;
};

static int disk_start(unsigned int id)
{
	return id;
}

static const struct device_ops disk_ops = { .start = disk_start };
static struct device devices[] = {
	{ .id = 1, .ops = &disk_ops },
	{ .id = 2, .ops = &disk_ops },
};
static volatile unsigned int wanted = 3;

static noinline struct device *device_find(unsigned int id)
{
	for (int i = 0; i < ARRAY_SIZE(devices); i++)
		if (devices[i].id == id)
			return &devices[i];
	return NULL;
}

static noinline int device_start(unsigned int id)
{
	struct device *device = device_find(id);

	device->users++;
	return device->ops->start(device->id);
}

static noinline int device_start_ok(unsigned int id)
{
	struct device *device = device_find(id);

	if (!device)
		return -ENODEV;
	device->users++;
	return device->ops->start(device->id);
}

void bug_null_deref(void)
{
	device_start(wanted);
}

void bug_null_deref_ok(void)
{
	device_start_ok(wanted);
}
