/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * WebAssembly (wasm32) definitions for NOLIBC
 *
 * System calls are functions imported from the host, one for each number of
 * arguments.  Every call passes the program's stack pointer, below which the
 * kernel may put a signal frame, and its thread pointer; both live in Wasm
 * globals of the instance, which the kernel cannot see otherwise.
 *
 * All parameters and the result are 32 bits wide.  A 64-bit argument takes two
 * of them, low half first, with no alignment to even positions.
 */
#ifndef _NOLIBC_ARCH_WASM_H
#define _NOLIBC_ARCH_WASM_H

#include "compiler.h"

#define __WASM_IMPORT(n)						      \
	__attribute__((import_module("env"), import_name("__wasm_syscall_" #n)))

__WASM_IMPORT(0) long __wasm_syscall_0(long sp, long tls, long nr);
__WASM_IMPORT(1) long __wasm_syscall_1(long sp, long tls, long nr, long a);
__WASM_IMPORT(2) long __wasm_syscall_2(long sp, long tls, long nr, long a, long b);
__WASM_IMPORT(3) long __wasm_syscall_3(long sp, long tls, long nr, long a, long b, long c);
__WASM_IMPORT(4) long __wasm_syscall_4(long sp, long tls, long nr, long a, long b, long c,
				       long d);
__WASM_IMPORT(5) long __wasm_syscall_5(long sp, long tls, long nr, long a, long b, long c,
				       long d, long e);
__WASM_IMPORT(6) long __wasm_syscall_6(long sp, long tls, long nr, long a, long b, long c,
				       long d, long e, long f);

/* The thread pointer's global is defined in start.S. */
__asm__(".globaltype __stack_pointer, i32\n"
	".globaltype __thread_pointer, i32\n");

/* Not volatile on purpose: the value is constant within a function's frame. */
static __inline__ __attribute__((unused)) long __wasm_sp(void)
{
	long v;

	__asm__("global.get __stack_pointer\n\tlocal.set %0" : "=r"(v));
	return v;
}

static __inline__ __attribute__((unused)) long __wasm_tp(void)
{
	long v;

	__asm__ volatile("global.get __thread_pointer\n\tlocal.set %0" : "=r"(v));
	return v;
}

#define my_syscall0(num)						      \
	__wasm_syscall_0(__wasm_sp(), __wasm_tp(), num)
#define my_syscall1(num, a)						      \
	__wasm_syscall_1(__wasm_sp(), __wasm_tp(), num, (long)(a))
#define my_syscall2(num, a, b)						      \
	__wasm_syscall_2(__wasm_sp(), __wasm_tp(), num, (long)(a), (long)(b))
#define my_syscall3(num, a, b, c)					      \
	__wasm_syscall_3(__wasm_sp(), __wasm_tp(), num, (long)(a), (long)(b), \
			 (long)(c))
#define my_syscall4(num, a, b, c, d)					      \
	__wasm_syscall_4(__wasm_sp(), __wasm_tp(), num, (long)(a), (long)(b), \
			 (long)(c), (long)(d))
#define my_syscall5(num, a, b, c, d, e)					      \
	__wasm_syscall_5(__wasm_sp(), __wasm_tp(), num, (long)(a), (long)(b), \
			 (long)(c), (long)(d), (long)(e))
#define my_syscall6(num, a, b, c, d, e, f)				      \
	__wasm_syscall_6(__wasm_sp(), __wasm_tp(), num, (long)(a), (long)(b), \
			 (long)(c), (long)(d), (long)(e), (long)(f))

/* There is no fork(): a Wasm stack cannot be copied.  See spawn.h. */
#define sys_fork sys_fork
static __inline__ __attribute__((unused)) int sys_fork(void)
{
	return -38; /* -ENOSYS */
}

/* memory.copy and memory.fill do it: the compiler inlines the builtins. */
#define NOLIBC_ARCH_HAS_MEMMOVE
#define NOLIBC_ARCH_HAS_MEMCPY
#define NOLIBC_ARCH_HAS_MEMSET
void *memmove(void *dst, const void *src, __SIZE_TYPE__ len);
void *memcpy(void *dst, const void *src, __SIZE_TYPE__ len);
void *memset(void *dst, int b, __SIZE_TYPE__ len);

#endif
