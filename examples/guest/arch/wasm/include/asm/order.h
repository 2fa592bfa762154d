/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which order an atomic access has.
 *
 * Wasm has one kind of atomic instruction, which gives every order.  A race
 * detector must know what the source has asked for, lest it find more order
 * than another machine would give.  So the instruction is preceded by a constant
 * that is pushed and dropped: the compiler of the Wasm module leaves no code of
 * that.  An atomic load or store without it is relaxed, a read-modify-write
 * operation is fully ordered, a fence too.
 */
#ifndef _ASM_WASM_ORDER_H
#define _ASM_WASM_ORDER_H

#define WASM_ORDER		0x77646200	/* "wdb" and a number: */
#define WASM_ORDER_ACQUIRE	1
#define WASM_ORDER_RELEASE	2
#define WASM_ORDER_RELAXED	3
#define WASM_ORDER_DEPENDENCY	4	/* a pointer: what is read through it is ordered */
#define WASM_ORDER_READS	5	/* a fence between reads */
#define WASM_ORDER_WRITES	6	/* a fence between writes */
#define WASM_ORDER_RACY		7	/* plain accesses from here are meant to race, */
#define WASM_ORDER_RACY_END	8	/* to here: data_race() */

#ifndef __ASSEMBLY__
#define wasm_order(order)						\
	asm volatile("i32.const\t%0\n\tdrop" : : "i" (WASM_ORDER + (order)))
#define wasm_order_barrier(order)					\
	asm volatile("i32.const\t%0\n\tdrop" : : "i" (WASM_ORDER + (order)) : "memory")

/* Nothing but order for the first argument: as a part of an expression. */
#define wasm_ordered(order, value) ({ wasm_order(order); value; })
#endif

#endif
