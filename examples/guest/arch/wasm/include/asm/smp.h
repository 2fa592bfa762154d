/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_SMP_H
#define _ASM_WASM_SMP_H

#ifdef CONFIG_SMP
#include <linux/cpumask.h>

#define raw_smp_processor_id()	(current_thread_info()->cpu)
void arch_send_call_function_single_ipi(int cpu);
void arch_send_call_function_ipi_mask(const struct cpumask *mask);
#endif

#endif
