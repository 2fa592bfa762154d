// SPDX-License-Identifier: GPL-2.0-only
/*
 * A watch that outlives what it watches.
 *
 * session_close() frees the session and leaves it registered as the one to tell.
 * Its memory is given to a message, and what was a function pointer is text.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "bugs.h"

struct session {
	unsigned int	id;
	void		(*notify)(struct session *session);
	unsigned int	notified;
	char		name[20];
};

struct message {
	char		text[sizeof(struct session)];
};

static struct session *watched;
static struct message *message;

static void session_notify(struct session *session)
{
	session->notified++;
}

static noinline struct session *session_open(unsigned int id)
{
	struct session *session = kzalloc(sizeof(*session), GFP_KERNEL | __GFP_NOFAIL);

	session->id = id;
	session->notify = session_notify;
	watched = session;
	return session;
}

static noinline void session_close(struct session *session)
{
	kfree(session);
}

static noinline void session_close_ok(struct session *session)
{
	if (watched == session)
		watched = NULL;
	kfree(session);
}

static noinline void message_receive(void)
{
	message = kmalloc(sizeof(*message), GFP_KERNEL | __GFP_NOFAIL);
	memset(message->text, 'x', sizeof(message->text));
}

static noinline void event(void)
{
	if (watched)
		watched->notify(watched);
}

void bug_use_after_free(void)
{
	struct session *session = session_open(1);

	event();
	session_close(session);
	message_receive();
	event();
}

void bug_use_after_free_ok(void)
{
	struct session *session = session_open(1);

	event();
	session_close_ok(session);
	message_receive();
	event();
}
