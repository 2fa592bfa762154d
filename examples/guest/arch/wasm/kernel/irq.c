// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cpu.h>
#include <linux/entry-common.h>
#include <linux/hardirq.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <asm/host.h>
#include <asm/irq_regs.h>
#include "entry.h"

struct wasm_cpu_irq wasm_cpu_irq[NR_CPUS];

/* Nothing to mask or acknowledge: pending bits are taken all at once. */
static struct irq_chip wasm_irq_chip = {
	.name = "wasm",
};

void __init init_IRQ(void)
{
	unsigned int irq;

	for (irq = 0; irq < NR_IRQS; irq++) {
		if (irq <= WASM_IRQ_TIMER)
			irq_set_chip_and_handler_name(irq, &wasm_irq_chip,
						      handle_percpu_irq, "percpu");
		else
			irq_set_chip_and_handler_name(irq, &wasm_irq_chip,
						      handle_simple_irq, "simple");
	}
}

void wasm_raise_irq(unsigned int cpu, unsigned int irq)
{
	u32 *pending = &wasm_cpu_irq[cpu].pending;

	__atomic_fetch_or(pending, 1U << irq, __ATOMIC_SEQ_CST);
	__builtin_wasm_memory_atomic_notify((int *)pending, 1);
}

/* For the host, from any instance: it uses neither a stack nor "current". */
WASM_EXPORT(raise_interrupt) void raise_interrupt(int cpu, int irq);
void raise_interrupt(int cpu, int irq)
{
	if ((unsigned int)cpu < NR_CPUS && (unsigned int)irq < NR_IRQS)
		wasm_raise_irq(cpu, irq);
}

/* Entered and left with interrupts off; regs say what was interrupted. */
void wasm_do_irq(struct pt_regs *regs)
{
	irqentry_state_t state = irqentry_enter(regs);
	struct pt_regs *old_regs = set_irq_regs(regs);
	u32 *pending = &wasm_cpu_irq[smp_processor_id()].pending;
	u32 irqs;

	irq_enter_rcu();
	while ((irqs = __atomic_exchange_n(pending, 0, __ATOMIC_SEQ_CST))) {
		for (; irqs; irqs &= irqs - 1)
			generic_handle_irq(__ffs(irqs));
	}
	irq_exit_rcu();
	set_irq_regs(old_regs);
	irqentry_exit(regs, state);
}

/*
 * Kernel code has interrupts enabled and one is pending.  The first thing is to
 * disable them: the host, which may interrupt anything that runs with
 * interrupts enabled, keeps ticks out of this function and its callers below.
 */
noinline void wasm_handle_irqs(void)
{
	struct pt_regs regs = { };

	do {
		wasm_irqs_off = 1;
		barrier();
		wasm_do_irq(&regs);
		barrier();
		wasm_irqs_off = 0;
		barrier();
	} while (wasm_irq_pending());
}

void wasm_poll_irqs(void)
{
	barrier();
	if (!wasm_irqs_off && wasm_irq_pending())
		wasm_handle_irqs();
}

#define WASM_SPINS_PER_YIELD	64

static DEFINE_PER_CPU(unsigned int, wasm_spins);

/*
 * A CPU that spins waits for something that another one has to do, and all may
 * share one host thread: now and then let the others have their turn, instead
 * of spinning for the rest of a time slice.
 */
void wasm_cpu_relax(void)
{
	wasm_poll_irqs();
	if (!(raw_cpu_inc_return(wasm_spins) % WASM_SPINS_PER_YIELD))
		wasm_cpu_yield();
}

/* For the host: kernel code has been interrupted between two ticks. */
WASM_EXPORT(wasm_irq_entry) void wasm_irq_entry(void);
void wasm_irq_entry(void)
{
	wasm_poll_irqs();
}

/* Interrupts are off and stay so; the host sets a pending bit to wake us. */
void arch_cpu_idle(void)
{
	int *pending = (int *)&wasm_cpu_irq[smp_processor_id()].pending;

	if (!need_resched())
		__builtin_wasm_memory_atomic_wait32(pending, 0, -1);
}
