/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_IRQ_H
#define _ASM_WASM_IRQ_H

/* One bit each in wasm_cpu_irq[].pending; the host raises the same numbers. */
#define WASM_IRQ_IPI		0
#define WASM_IRQ_TIMER		1
#define WASM_IRQ_CONSOLE	2
#define NR_IRQS			32

static inline int irq_canonicalize(int irq)
{
	return irq;
}

#endif
