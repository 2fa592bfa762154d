// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read, add, write: and what another task has added between is gone.
 */
#include <linux/atomic.h>

#include "bugs.h"

#define PACKETS	50

static unsigned int packets;
static atomic_t packets_ok;

static noinline void count_packet(void)
{
	unsigned int n = packets;

	barrier();
	packets = n + 1;
}

static noinline void count_packet_ok(void)
{
	atomic_inc(&packets_ok);
}

static int receive(void *unused)
{
	for (int i = 0; i < PACKETS; i++)
		count_packet();
	return 0;
}

static int receive_ok(void *unused)
{
	for (int i = 0; i < PACKETS; i++)
		count_packet_ok();
	return 0;
}

void bug_lost_update(void)
{
	bug_run_threads(receive, receive);
}

void bug_lost_update_ok(void)
{
	bug_run_threads(receive_ok, receive_ok);
}
