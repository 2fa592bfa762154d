// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/sched.h>
#include <linux/sched/hotplug.h>
#include <linux/sched/mm.h>
#include <linux/sched/task_stack.h>
#include <linux/smp.h>
#include <asm/host.h>
#include "time.h"

enum { IPI_RESCHEDULE, IPI_CALL_FUNC, IPI_IRQ_WORK };

static DECLARE_COMPLETION(cpu_running);
void wasm_start_secondary(void);

static void send_ipi(int cpu, int ipi)
{
	__atomic_fetch_or(&wasm_cpu_irq[cpu].ipi, 1U << ipi, __ATOMIC_SEQ_CST);
	wasm_raise_irq(cpu, WASM_IRQ_IPI);
}

void arch_smp_send_reschedule(int cpu)
{
	send_ipi(cpu, IPI_RESCHEDULE);
}

void arch_send_call_function_single_ipi(int cpu)
{
	send_ipi(cpu, IPI_CALL_FUNC);
}

void arch_send_call_function_ipi_mask(const struct cpumask *mask)
{
	int cpu;

	for_each_cpu(cpu, mask)
		send_ipi(cpu, IPI_CALL_FUNC);
}

#ifdef CONFIG_IRQ_WORK
void arch_irq_work_raise(void)
{
	send_ipi(smp_processor_id(), IPI_IRQ_WORK);
}
#endif

static irqreturn_t ipi_interrupt(int irq, void *dev)
{
	u32 ipi = __atomic_exchange_n(&wasm_cpu_irq[smp_processor_id()].ipi, 0,
				      __ATOMIC_SEQ_CST);

	if (ipi & BIT(IPI_RESCHEDULE))
		scheduler_ipi();
	if (ipi & BIT(IPI_CALL_FUNC))
		generic_smp_call_function_interrupt();
	if (ipi & BIT(IPI_IRQ_WORK))
		irq_work_run();
	return IRQ_HANDLED;
}

void smp_send_stop(void)
{
	unsigned int cpu, me = smp_processor_id();

	for_each_online_cpu(cpu) {
		if (cpu == me)
			continue;
		wasm_stop_cpu(cpu);
		set_cpu_online(cpu, false);
	}
}

void __init smp_prepare_boot_cpu(void)
{
}

void __init smp_prepare_cpus(unsigned int max_cpus)
{
	unsigned int cpu;

	if (request_irq(WASM_IRQ_IPI, ipi_interrupt, IRQF_PERCPU, "IPI", NULL))
		panic("no IPI interrupt");
	for_each_possible_cpu(cpu)
		if (cpu < max_cpus)
			set_cpu_present(cpu, true);
}

void __init smp_cpus_done(unsigned int max_cpus)
{
}

int __cpu_up(unsigned int cpu, struct task_struct *idle)
{
	/* _start_secondary() finds its task through the stack pointer */
	struct task_struct **top = (struct task_struct **)
		(task_stack_page(idle) + THREAD_SIZE - 64);

	task_thread_info(idle)->cpu = cpu;
	clear_tsk_thread_flag(idle, TIF_NEVER_RUN);
	*top = idle;
	reinit_completion(&cpu_running);
	wasm_start_cpu(cpu, idle, (unsigned long)top);
	if (!wait_for_completion_timeout(&cpu_running, 10 * HZ))
		return -EIO;
	return 0;
}

/* called by head.S */
void wasm_start_secondary(void)
{
	unsigned int cpu = smp_processor_id();

	mmgrab(&init_mm);
	current->active_mm = &init_mm;
	notify_cpu_starting(cpu);
	set_cpu_online(cpu, true);
	wasm_clockevent_setup();
	complete(&cpu_running);
	local_irq_enable();
	cpu_startup_entry(CPUHP_AP_ONLINE_IDLE);
}
