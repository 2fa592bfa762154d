/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The C library of the guest's programs: the kernel's own nolibc with our
 * architecture, plus the pieces it lacks or that do not fit this machine:
 *
 * - stdio: nolibc's writes each piece of a printf() with a system call of its
 *   own and ignores field widths; ours has one buffer (stdio.c);
 * - start-up: nolibc's refers to the weak bounds of the constructor arrays,
 *   which a position-independent module would have to import (start.c);
 * - exit() ends every thread and flushes the buffer;
 * - wait and time use the calls that every port has (waitid and the 64-bit
 *   time calls), see sys.h.
 */
#ifndef WDBG_LIBC_H
#define WDBG_LIBC_H

/* Variables must not become imports of the module: see "environ" below. */
#pragma GCC visibility push(hidden)

#define _NOLIBC_ARCH_H		/* its list of architectures does not know ours */
#define _NOLIBC_CRT_H
#define _NOLIBC_STDIO_H
#define exit __nolibc_exit
#define open __nolibc_open	/* ours: 64-bit offsets */

extern char **environ;
extern const unsigned long *_auxv;
static void __nolibc_exit(int status) __attribute__((noreturn));

#include "std.h"
#include "arch-wasm.h"
#include "nolibc.h"
#undef exit
#undef open

#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/time_types.h>

#include "sys.h"
#include "stdio.h"
#include "heap.h"
#include "spawn.h"

void exit(int status) __attribute__((noreturn));
void _exit(int status) __attribute__((noreturn));	/* no flush */

/*
 * The kernel gives a program 128 KiB of stack below its arguments, and there is
 * no page that would stop it from growing into other memory: what recurses as
 * deeply as its input says must ask first.  Not for threads and peers.
 */
int stack_is_low(void);

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define noinline	__attribute__((noinline))

#endif
