/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_CMPXCHG_H
#define _ASM_WASM_CMPXCHG_H

#include <linux/types.h>
#include <asm/order.h>

/* Wasm has these for 8, 16, 32 and 64 bits, all sequentially consistent. */
#define arch_xchg(ptr, val) ({						\
	__typeof__(*(ptr)) __xnew = (__typeof__(*(ptr)))(val), __xold;	\
	__atomic_exchange((ptr), &__xnew, &__xold, __ATOMIC_SEQ_CST);	\
	__xold; })

#define arch_cmpxchg(ptr, old, new) ({					\
	__typeof__(*(ptr)) __cold_ = (__typeof__(*(ptr)))(old);		\
	__typeof__(*(ptr)) __cnew = (__typeof__(*(ptr)))(new);		\
	__atomic_compare_exchange((ptr), &__cold_, &__cnew, 0,		\
				  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);	\
	__cold_; })

#define arch_xchg_acquire(ptr, val)					\
	wasm_ordered(WASM_ORDER_ACQUIRE, arch_xchg(ptr, val))
#define arch_xchg_release(ptr, val)					\
	wasm_ordered(WASM_ORDER_RELEASE, arch_xchg(ptr, val))
#define arch_xchg_relaxed(ptr, val)					\
	wasm_ordered(WASM_ORDER_RELAXED, arch_xchg(ptr, val))

#define arch_cmpxchg_acquire(ptr, old, new)				\
	wasm_ordered(WASM_ORDER_ACQUIRE, arch_cmpxchg(ptr, old, new))
#define arch_cmpxchg_release(ptr, old, new)				\
	wasm_ordered(WASM_ORDER_RELEASE, arch_cmpxchg(ptr, old, new))
#define arch_cmpxchg_relaxed(ptr, old, new)				\
	wasm_ordered(WASM_ORDER_RELAXED, arch_cmpxchg(ptr, old, new))

#define arch_cmpxchg_local	arch_cmpxchg
#define arch_cmpxchg64		arch_cmpxchg
#define arch_cmpxchg64_local	arch_cmpxchg
#define arch_cmpxchg64_acquire	arch_cmpxchg_acquire
#define arch_cmpxchg64_release	arch_cmpxchg_release
#define arch_cmpxchg64_relaxed	arch_cmpxchg_relaxed

#endif
