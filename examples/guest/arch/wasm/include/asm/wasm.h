/* SPDX-License-Identifier: GPL-2.0-only */
/* What Wasm has and C has not. */
#ifndef _ASM_WASM_WASM_H
#define _ASM_WASM_WASM_H

#ifndef __ASSEMBLY__
#include <linux/types.h>

#define WASM_IMPORT(n)	__attribute__((import_module("env"), import_name(#n)))
#define WASM_EXPORT(n)	__attribute__((export_name(#n), used))

/*
 * Globals of the module instance, of which every task has its own; see
 * kernel/head.S.  Not volatile: reads of a global that is never written may be
 * merged, and __stack_pointer is read where any recent value does.
 */
#define wasm_global_get(name) ({					\
	unsigned long __v;						\
	asm(".globaltype " #name ", i32\n\t"				\
	    "global.get " #name "\n\tlocal.set %0" : "=r" (__v));	\
	__v; })
#define wasm_global_set(name, val)					\
	asm volatile(".globaltype " #name ", i32\n\t"			\
	    "local.get %0\n\tglobal.set " #name :: "r" (val) : "memory")

/*
 * Interrupts of one CPU; the host knows this layout.  In memory of its own
 * cache line, as hosts wait on it and write it from other threads.
 */
struct wasm_cpu_irq {
	u32	pending;	/* one bit per interrupt, asm/irq.h */
	u32	ipi;		/* kernel only: one bit per kind of IPI, smp.c */
} __attribute__((aligned(64)));
extern struct wasm_cpu_irq wasm_cpu_irq[];

void wasm_handle_irqs(void);
void wasm_raise_irq(unsigned int cpu, unsigned int irq);

#endif
#endif
