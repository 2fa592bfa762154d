// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request that nobody serves.
 *
 * The server takes requests while there are some and a place for the answer; the
 * last one it drops without a word to who waits for it.
 */
#include <linux/completion.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include "bugs.h"

#define REQUESTS	4
#define PLACES		3

static struct {
	struct completion	done;
	unsigned int		answer;
} requests[REQUESTS];

static DECLARE_COMPLETION(submitted);

static noinline void serve(unsigned int places)
{
	for (unsigned int i = 0; i < min(places, REQUESTS); i++) {
		requests[i].answer = 42;
		complete(&requests[i].done);
	}
}

static int client(void *unused)
{
	for (int i = 0; i < REQUESTS; i++)
		init_completion(&requests[i].done);
	complete(&submitted);
	for (int i = 0; i < REQUESTS; i++)
		wait_for_completion(&requests[i].done);
	return 0;
}

static int server(void *unused)
{
	wait_for_completion(&submitted);
	serve(PLACES);
	return 0;
}

static int server_ok(void *unused)
{
	wait_for_completion(&submitted);
	serve(REQUESTS);
	return 0;
}

void bug_hung_task(void)
{
	bug_run_threads(client, server);
}

void bug_hung_task_ok(void)
{
	bug_run_threads(client, server_ok);
}
