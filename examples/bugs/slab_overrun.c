// SPDX-License-Identifier: GPL-2.0-only
/*
 * One more than there is room for.
 *
 * A label may have LABEL_SIZE characters, and label_set() forgets the room for
 * the zero and for what it puts before it.  What is behind the object belongs to
 * the next one: its function pointer.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "bugs.h"

#define LABEL_SIZE	24

struct port {
	int	(*open)(struct port *port);
	unsigned int	opened;
	char	label[LABEL_SIZE];
};

static struct kmem_cache *cache;
static struct port *ports[16];

static int port_open(struct port *port)
{
	return ++port->opened;
}

static noinline void label_set(struct port *port, const char *text)
{
	strcpy(port->label, "port-");
	strcpy(port->label + 5, text);
}

static noinline void label_set_ok(struct port *port, const char *text)
{
	strscpy(port->label, "port-", sizeof(port->label));
	strscpy(port->label + 5, text, sizeof(port->label) - 5);
}

static noinline void ports_create(void)
{
	cache = kmem_cache_create("bug_port", sizeof(struct port), 0,
				  SLAB_PANIC | SLAB_NO_MERGE, NULL);
	for (int i = 0; i < ARRAY_SIZE(ports); i++) {
		ports[i] = kmem_cache_zalloc(cache, GFP_KERNEL | __GFP_NOFAIL);
		ports[i]->open = port_open;
	}
}

static noinline void ports_open(void)
{
	for (int i = 0; i < ARRAY_SIZE(ports); i++)
		ports[i]->open(ports[i]);
}

void bug_slab_overrun(void)
{
	ports_create();
	label_set(ports[3], "of-the-control-terminal");
	ports_open();
}

void bug_slab_overrun_ok(void)
{
	ports_create();
	label_set_ok(ports[3], "of-the-control-terminal");
	ports_open();
}
