// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the entry points in start.S call, and the end of a program. */
#include "libc.h"

char **environ;
const unsigned long *_auxv;

#define STACK_SIZE	(128 * 1024)	/* WASM_USER_STACK of the kernel */
#define STACK_RESERVE	(24 * 1024)

static unsigned long stack_base;

int stack_is_low(void)
{
	return stack_base - (unsigned long)__builtin_frame_address(0) >
	       STACK_SIZE - STACK_RESERVE;
}

int main(int argc, char **argv);
void __start_c(long *sp);
void __clone_c(struct clone_frame *frame);

void *memmove(void *dst, const void *src, size_t len)
{
	return __builtin_memmove(dst, src, len);
}

void *memcpy(void *dst, const void *src, size_t len)
{
	return __builtin_memcpy(dst, src, len);
}

void *memset(void *dst, int b, size_t len)
{
	return __builtin_memset(dst, b, len);
}

void _exit(int status)
{
	my_syscall1(__NR_exit_group, status & 255);
	__builtin_unreachable();
}

void exit(int status)
{
	if (flush() < 0 && errno != EPIPE && !status)
		status = 1;
	_exit(status);
}

/* In the program's first instance: `sp` is what the kernel's exec left. */
void __start_c(long *sp)
{
	char **argv = (char **)(sp + 1);
	char **p;

	stack_base = (unsigned long)sp;
	environ = argv + *sp + 1;
	for (p = environ; *p; p++)
		;
	_auxv = (const unsigned long *)(p + 1);
	exit(main(*sp, argv));
}

/* In the instance of a child or thread: `frame` is what clone_call() put there. */
void __clone_c(struct clone_frame *frame)
{
	int status = frame->fn(frame->arg);

	if (frame->thread)
		my_syscall1(__NR_exit, 0);
	_exit(status);
}
