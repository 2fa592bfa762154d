// SPDX-License-Identifier: GPL-2.0-only
/*
 * A buffer a level, and no limit to the levels.
 *
 * resolve() follows a chain of links, with a buffer on the stack for each.  A
 * chain that is long enough goes past the end of the stack into whatever is
 * below it, and over the mark that the scheduler looks at.
 */
#include <linux/sched.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "bugs.h"

#define LINK_SIZE	1024
#define MAX_LEVELS	8

static volatile unsigned int chain_length = 18;

static noinline unsigned int resolve(unsigned int level)
{
	char name[LINK_SIZE];
	unsigned int length;

	memset(name, 'a' + level % 26, sizeof(name));
	OPTIMIZER_HIDE_VAR(level);
	if (level + 1 < chain_length)
		length = resolve(level + 1);
	else
		length = 0;
	barrier_data(name);
	return length + (name[level] != 0);
}

static noinline unsigned int resolve_ok(unsigned int level)
{
	char name[LINK_SIZE];
	unsigned int length;

	memset(name, 'a' + level % 26, sizeof(name));
	OPTIMIZER_HIDE_VAR(level);
	if (level + 1 < chain_length && level < MAX_LEVELS)
		length = resolve_ok(level + 1);
	else
		length = 0;
	barrier_data(name);
	return length + (name[level] != 0);
}

static int resolver(void *unused)
{
	unsigned int length = resolve(0);

	schedule();
	return length;
}

static int resolver_ok(void *unused)
{
	unsigned int length = resolve_ok(0);

	schedule();
	return length;
}

void bug_stack_overflow(void)
{
	bug_run_threads(resolver);
}

void bug_stack_overflow_ok(void)
{
	bug_run_threads(resolver_ok);
}
