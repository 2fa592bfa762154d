// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function called as what it is not.
 *
 * The table of handlers takes any function, with a cast.  timeout_handler()
 * has one argument, and handlers are called with two; machines that pass
 * arguments in registers forgive that, WebAssembly does not.
 */
#include <linux/compiler.h>

#include "bugs.h"

typedef int (*handler_fn)(unsigned int event, void *data);

static unsigned int timeouts;

static int timeout_handler(unsigned int event)
{
	timeouts += event;
	return 0;
}

static int timeout_handler_ok(unsigned int event, void *data)
{
	timeouts += event;
	return 0;
}

static handler_fn handlers[4];

static noinline void handler_register(unsigned int event, void *fn)
{
	handlers[event] = (handler_fn)fn;
}

static noinline int handle(unsigned int event)
{
	return READ_ONCE(handlers[event])(event, NULL);
}

void bug_bad_call(void)
{
	handler_register(1, timeout_handler);
	handle(1);
}

void bug_bad_call_ok(void)
{
	handler_register(1, timeout_handler_ok);
	handle(1);
}
