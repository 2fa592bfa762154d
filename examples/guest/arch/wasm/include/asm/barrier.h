/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_BARRIER_H
#define _ASM_WASM_BARRIER_H

#include <asm/order.h>
#include <asm/processor.h>	/* cpu_relax() for smp_cond_load_*() */

/* There is one kind of fence, and it orders everything. */
#define __mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __rmb()	do { wasm_order(WASM_ORDER_READS); __mb(); } while (0)
#define __wmb()	do { wasm_order(WASM_ORDER_WRITES); __mb(); } while (0)

/*
 * Atomic loads and stores are sequentially consistent, which is more than
 * acquire and release ask for; no fence is needed beside them.
 */
#define __smp_store_release(p, v)					\
do {									\
	compiletime_assert_atomic_type(*p);				\
	barrier();							\
	wasm_order(WASM_ORDER_RELEASE);					\
	WRITE_ONCE(*p, v);						\
} while (0)

#define __smp_load_acquire(p)						\
({									\
	__unqual_scalar_typeof(*p) ___p1 =				\
		wasm_ordered(WASM_ORDER_ACQUIRE, READ_ONCE(*p));	\
	compiletime_assert_atomic_type(*p);				\
	barrier();							\
	(typeof(*p))___p1;						\
})

#include <asm-generic/barrier.h>

#endif
