// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three locks, three tasks, each right by itself.
 *
 * Each stage of a pipeline hands an item to the next one with both stages'
 * locks held.  The third one hands back to the first, so the three orders close
 * a circle: it takes all three tasks between their locks to hang.
 */
#include <linux/mutex.h>

#include "bugs.h"

#define ROUNDS	4

static DEFINE_MUTEX(input_lock);
static DEFINE_MUTEX(filter_lock);
static DEFINE_MUTEX(output_lock);
static unsigned int input, filtered, output;

static noinline void input_to_filter(void)
{
	mutex_lock(&input_lock);
	mutex_lock(&filter_lock);
	filtered += input;
	mutex_unlock(&filter_lock);
	mutex_unlock(&input_lock);
}

static noinline void filter_to_output(void)
{
	mutex_lock(&filter_lock);
	mutex_lock(&output_lock);
	output += filtered;
	mutex_unlock(&output_lock);
	mutex_unlock(&filter_lock);
}

static noinline void output_to_input(void)
{
	mutex_lock(&output_lock);
	mutex_lock(&input_lock);
	input += output;
	mutex_unlock(&input_lock);
	mutex_unlock(&output_lock);
}

/* Without the bug: in the order of the pipeline here, too. */
static noinline void output_to_input_ok(void)
{
	mutex_lock(&input_lock);
	mutex_lock(&output_lock);
	input += output;
	mutex_unlock(&output_lock);
	mutex_unlock(&input_lock);
}

static int first(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		input_to_filter();
	return 0;
}

static int second(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		filter_to_output();
	return 0;
}

static int third(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		output_to_input();
	return 0;
}

static int third_ok(void *unused)
{
	for (int i = 0; i < ROUNDS; i++)
		output_to_input_ok();
	return 0;
}

void bug_abbcca(void)
{
	bug_run_threads(first, second, third);
}

void bug_abbcca_ok(void)
{
	bug_run_threads(first, second, third_ok);
}
