// SPDX-License-Identifier: GPL-2.0-only
/*
 * Freed by the one who failed, and by the one who cleans up.
 *
 * parse() frees the packet when it does not like it, and so does its caller.  The
 * allocator then gives the same memory to two owners, and the second one writes
 * over the first one's function pointer.
 */
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "bugs.h"

struct packet {
	unsigned int	length;
	char		data[28];
};

struct listener {
	unsigned int	events;
	void		(*wake)(struct listener *listener);
	char		name[24];
};

static struct kmem_cache *cache;
static struct listener *listening;

static void listener_wake(struct listener *listener)
{
	listener->events++;
}

static noinline int packet_parse(struct packet *packet)
{
	if (packet->length > sizeof(packet->data)) {
		kmem_cache_free(cache, packet);
		return -EINVAL;
	}
	return 0;
}

static noinline int packet_parse_ok(struct packet *packet)
{
	return packet->length > sizeof(packet->data) ? -EINVAL : 0;
}

static noinline void receive(void)
{
	struct packet *packet = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_NOFAIL);

	packet->length = 1500;
	packet_parse(packet);
	kmem_cache_free(cache, packet);
}

static noinline void receive_ok(void)
{
	struct packet *packet = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_NOFAIL);

	packet->length = 1500;
	packet_parse_ok(packet);
	kmem_cache_free(cache, packet);
}

static noinline void listen(void)
{
	struct listener *listener = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_NOFAIL);

	listener->wake = listener_wake;
	listening = listener;
}

static noinline void wake_listener(void)
{
	listening->wake(listening);
}

/* What comes after: a listener, and a packet for it. */
static noinline void serve(void)
{
	struct packet *packet;

	listen();
	packet = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_NOFAIL);
	packet->length = sizeof(packet->data);
	memset(packet->data, 'p', sizeof(packet->data));
	wake_listener();
	kmem_cache_free(cache, packet);
	kmem_cache_free(cache, listening);
}

static void setup(void)
{
	cache = kmem_cache_create("bug_packet", sizeof(struct packet), 0,
				  SLAB_PANIC | SLAB_NO_MERGE, NULL);
}

void bug_double_free(void)
{
	setup();
	receive();
	serve();
}

void bug_double_free_ok(void)
{
	setup();
	receive_ok();
	serve();
}
