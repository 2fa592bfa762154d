/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * READ_ONCE() and WRITE_ONCE() are atomic instructions.
 *
 * "volatile" reaches only the compiler: the plain load that it leaves in a spin
 * loop may be moved out of the loop by the engine that compiles the Wasm
 * module, for which memory that no instruction of the loop touches cannot
 * change (some do, and the kernel hangs).  Only for atomic accesses is that
 * forbidden.  They also tell marked accesses from plain ones in the binary,
 * which is what a race detector has to know.
 *
 * Atomic accesses trap if misaligned.  Where the compiler cannot promise
 * natural alignment (a packed field), it calls __atomic_load() and the link
 * fails: such code must be looked at, not worked around.
 */
#ifndef _ASM_WASM_RWONCE_H
#define _ASM_WASM_RWONCE_H

#ifndef __ASSEMBLY__
#include <linux/compiler_types.h>
#include <asm/order.h>

#define __wasm_once_size(x)						\
	(sizeof(x) == 1 || sizeof(x) == 2 || sizeof(x) == 4 || sizeof(x) == 8)

/* The type of the value of x: without qualifiers, also if it is a structure. */
#define __wasm_once_type(x)	__typeof__(((void)0, (x)))

#define __wasm_is_pointer(x)	(__builtin_classify_type(x) == 5)

/* Other sizes: __READ_ONCE() is also used where tearing does no harm. */
#define __READ_ONCE(x)							\
({									\
	__wasm_once_type(x) __rv;					\
	if (__wasm_is_pointer(x))					\
		wasm_order(WASM_ORDER_DEPENDENCY);			\
	if (__wasm_once_size(x))					\
		__atomic_load((volatile __wasm_once_type(x) *)&(x),	\
			      &__rv, __ATOMIC_RELAXED);			\
	else								\
		__rv = *(const volatile __wasm_once_type(x) *)&(x);	\
	__rv;								\
})

#include <asm-generic/rwonce.h>

#undef __WRITE_ONCE
#define __WRITE_ONCE(x, val)						\
do {									\
	__wasm_once_type(x) __wv = (val);				\
	if (__wasm_once_size(x))					\
		__atomic_store((volatile __wasm_once_type(x) *)&(x),	\
			       &__wv, __ATOMIC_RELAXED);		\
	else								\
		*(volatile __wasm_once_type(x) *)&(x) = __wv;		\
} while (0)

/* Races that are meant are told to outside observers as well. */
#if defined(data_race) && !defined(__SANITIZE_THREAD__)
#undef data_race
#define data_race(expr)							\
({									\
	wasm_order_barrier(WASM_ORDER_RACY);				\
	__auto_type __v = (expr);					\
	wasm_order_barrier(WASM_ORDER_RACY_END);			\
	__v;								\
})
#endif

#endif
#endif
