// SPDX-License-Identifier: GPL-2.0-only
/*
 * A time-out that nobody has started.
 *
 * A request is given up by its timer if the device does not answer.  submit()
 * arms the timer only if the device is idle, and forgets it for a request that
 * has to wait in the queue: for this one there is no time-out.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/timer.h>

#include "bugs.h"

struct request {
	struct timer_list	timer;
	struct completion	done;
	bool			timed_out;
};

static bool device_busy = true;
static unsigned int device_queued;

static void request_timeout(struct timer_list *timer)
{
	struct request *request = from_timer(request, timer, timer);

	request->timed_out = true;
	complete(&request->done);
}

static noinline void submit(struct request *request)
{
	init_completion(&request->done);
	request->timed_out = false;
	timer_setup(&request->timer, request_timeout, 0);
	if (device_busy) {
		device_queued++;
		return;
	}
	mod_timer(&request->timer, jiffies + 2);
}

static noinline void submit_ok(struct request *request)
{
	init_completion(&request->done);
	request->timed_out = false;
	timer_setup(&request->timer, request_timeout, 0);
	if (device_busy)
		device_queued++;
	mod_timer(&request->timer, jiffies + 2);
}

static int requester(void *unused)
{
	static struct request request;

	submit(&request);
	wait_for_completion(&request.done);
	return 0;
}

static int requester_ok(void *unused)
{
	static struct request request;

	submit_ok(&request);
	wait_for_completion(&request.done);
	timer_delete_sync(&request.timer);
	return 0;
}

void bug_timer_never_armed(void)
{
	bug_run_threads(requester);
}

void bug_timer_never_armed_ok(void)
{
	bug_run_threads(requester_ok);
}
