// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taken off the list by two.
 *
 * A job that has run out of time is taken off the list, and once more when it
 * ends.  list_del() leaves poison in the entry, which the second one follows.
 */
#include <linux/list.h>

#include "bugs.h"

struct job {
	struct list_head	list;
	unsigned int		number;
};

static LIST_HEAD(jobs);
static struct job job = { .number = 1 }, other = { .number = 2 };

static noinline void job_timed_out(struct job *j)
{
	list_del(&j->list);
}

static noinline void job_timed_out_ok(struct job *j)
{
	list_del_init(&j->list);
}

static noinline void job_ended(struct job *j)
{
	list_del(&j->list);
}

static void setup(void)
{
	list_add_tail(&job.list, &jobs);
	list_add_tail(&other.list, &jobs);
}

void bug_list_corruption(void)
{
	setup();
	job_timed_out(&job);
	job_ended(&job);
}

void bug_list_corruption_ok(void)
{
	setup();
	job_timed_out_ok(&job);
	job_ended(&job);
}
