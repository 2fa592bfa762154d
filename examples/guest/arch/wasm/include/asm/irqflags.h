/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_IRQFLAGS_H
#define _ASM_WASM_IRQFLAGS_H

#include <linux/compiler.h>
#include <asm/thread_info.h>
#include <asm/wasm.h>

/*
 * An interrupt is a bit in wasm_cpu_irq[cpu].pending.  The CPU looks at it when
 * it enables interrupts, and the host makes it look (wasm_irq_entry(),
 * wasm_user_irq()) between any two ticks of running code.  The "interrupt
 * flag" is a word of the running task: switching tasks switches it, too.
 *
 * It stays a plain volatile access, although READ_ONCE() and WRITE_ONCE() are
 * atomic instructions here: no other task, CPU or host thread ever looks at
 * it, only code called on top of this very stack does.
 */
#define wasm_ti		((struct thread_info *)wasm_global_get(__wasm_current))
#define wasm_irqs_off	(*(volatile unsigned long *)&wasm_ti->irqs_off)

static __always_inline bool wasm_irq_pending(void)
{
	return __atomic_load_n(&wasm_cpu_irq[wasm_ti->cpu].pending,
			       __ATOMIC_RELAXED);
}

static __always_inline unsigned long arch_local_save_flags(void)
{
	return wasm_irqs_off;
}

static __always_inline void arch_local_irq_restore(unsigned long flags)
{
	barrier();
	wasm_irqs_off = flags;
	barrier();
	if (!flags && unlikely(wasm_irq_pending()))
		wasm_handle_irqs();
}

static __always_inline int arch_irqs_disabled_flags(unsigned long flags)
{
	return flags != 0;
}

static __always_inline void arch_local_irq_enable(void)
{
	arch_local_irq_restore(0);
}

static __always_inline void arch_local_irq_disable(void)
{
	wasm_irqs_off = 1;
	barrier();
}

static __always_inline unsigned long arch_local_irq_save(void)
{
	unsigned long flags = arch_local_save_flags();

	arch_local_irq_disable();
	return flags;
}

static __always_inline int arch_irqs_disabled(void)
{
	return arch_irqs_disabled_flags(arch_local_save_flags());
}

#endif
