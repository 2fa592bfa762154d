/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Wasm has all of these as instructions, all sequentially consistent.  Those
 * without a result are relaxed in the kernel's memory model, those with one are
 * fully ordered: asm/order.h.
 */
#ifndef _ASM_WASM_ATOMIC_H
#define _ASM_WASM_ATOMIC_H

#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/cmpxchg.h>

/* 64-bit atomics need natural alignment, which an s64 member alone may lack. */
typedef struct {
	s64 __aligned(8) counter;
} atomic64_t;

#define ATOMIC64_INIT(i)	{ (i) }

#define arch_atomic_read(v)	READ_ONCE((v)->counter)
#define arch_atomic_set(v, i)	WRITE_ONCE((v)->counter, (i))
#define arch_atomic64_read(v)	READ_ONCE((v)->counter)
#define arch_atomic64_set(v, i)	WRITE_ONCE((v)->counter, (i))

#define WASM_ATOMIC_OP(pfx, type, op, builtin, arg)			\
static __always_inline void arch_##pfx##_##op(type i, pfx##_t *v)	\
{									\
	wasm_order(WASM_ORDER_RELAXED);					\
	__atomic_fetch_##builtin(&v->counter, arg, __ATOMIC_SEQ_CST);	\
}									\
static __always_inline type						\
arch_##pfx##_fetch_##op(type i, pfx##_t *v)				\
{									\
	return __atomic_fetch_##builtin(&v->counter, arg,		\
					__ATOMIC_SEQ_CST);		\
}

#define WASM_ATOMIC_OP_RETURN(pfx, type, op)				\
static __always_inline type						\
arch_##pfx##_##op##_return(type i, pfx##_t *v)				\
{									\
	return __atomic_##op##_fetch(&v->counter, i, __ATOMIC_SEQ_CST);	\
}

#define WASM_ATOMICS(pfx, type)						\
	WASM_ATOMIC_OP(pfx, type, add, add, i)				\
	WASM_ATOMIC_OP(pfx, type, sub, sub, i)				\
	WASM_ATOMIC_OP(pfx, type, and, and, i)				\
	WASM_ATOMIC_OP(pfx, type, andnot, and, ~i)			\
	WASM_ATOMIC_OP(pfx, type, or, or, i)				\
	WASM_ATOMIC_OP(pfx, type, xor, xor, i)				\
	WASM_ATOMIC_OP_RETURN(pfx, type, add)				\
	WASM_ATOMIC_OP_RETURN(pfx, type, sub)

WASM_ATOMICS(atomic, int)
WASM_ATOMICS(atomic64, s64)

#undef WASM_ATOMICS
#undef WASM_ATOMIC_OP_RETURN
#undef WASM_ATOMIC_OP

#define arch_atomic_add			arch_atomic_add
#define arch_atomic_sub			arch_atomic_sub
#define arch_atomic_and			arch_atomic_and
#define arch_atomic_andnot		arch_atomic_andnot
#define arch_atomic_or			arch_atomic_or
#define arch_atomic_xor			arch_atomic_xor
#define arch_atomic_add_return		arch_atomic_add_return
#define arch_atomic_sub_return		arch_atomic_sub_return
#define arch_atomic_fetch_add		arch_atomic_fetch_add
#define arch_atomic_fetch_sub		arch_atomic_fetch_sub
#define arch_atomic_fetch_and		arch_atomic_fetch_and
#define arch_atomic_fetch_andnot	arch_atomic_fetch_andnot
#define arch_atomic_fetch_or		arch_atomic_fetch_or
#define arch_atomic_fetch_xor		arch_atomic_fetch_xor

#define arch_atomic64_add		arch_atomic64_add
#define arch_atomic64_sub		arch_atomic64_sub
#define arch_atomic64_and		arch_atomic64_and
#define arch_atomic64_andnot		arch_atomic64_andnot
#define arch_atomic64_or		arch_atomic64_or
#define arch_atomic64_xor		arch_atomic64_xor
#define arch_atomic64_add_return	arch_atomic64_add_return
#define arch_atomic64_sub_return	arch_atomic64_sub_return
#define arch_atomic64_fetch_add		arch_atomic64_fetch_add
#define arch_atomic64_fetch_sub		arch_atomic64_fetch_sub
#define arch_atomic64_fetch_and		arch_atomic64_fetch_and
#define arch_atomic64_fetch_andnot	arch_atomic64_fetch_andnot
#define arch_atomic64_fetch_or		arch_atomic64_fetch_or
#define arch_atomic64_fetch_xor		arch_atomic64_fetch_xor

#endif
