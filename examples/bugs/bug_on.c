// SPDX-License-Identifier: GPL-2.0-only
/*
 * An assertion that does not hold.
 *
 * The last user gone, nothing may be queued.  close() forgets what has not been
 * sent yet.
 */
#include <linux/bug.h>

#include "bugs.h"

struct channel {
	unsigned int	users;
	unsigned int	queued;
};

static struct channel channel = { .users = 1 };

static noinline void channel_free(struct channel *c)
{
	BUG_ON(c->users || c->queued);
}

static noinline void channel_close(struct channel *c)
{
	if (!--c->users)
		channel_free(c);
}

static noinline void channel_close_ok(struct channel *c)
{
	if (--c->users)
		return;
	c->queued = 0;
	channel_free(c);
}

void bug_bug_on(void)
{
	channel.queued = 2;
	channel_close(&channel);
}

void bug_bug_on_ok(void)
{
	channel.queued = 2;
	channel_close_ok(&channel);
}
