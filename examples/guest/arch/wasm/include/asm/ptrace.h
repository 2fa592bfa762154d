/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_PTRACE_H
#define _ASM_WASM_PTRACE_H

#include <uapi/asm/ptrace.h>

#ifndef __ASSEMBLY__
#include <linux/types.h>

/*
 * What there is to know of interrupted code: Wasm code cannot be interrupted
 * and continued elsewhere, and has no registers that we could read.
 */
struct pt_regs {
	/* user code: arguments and number of a system call, or nr == -1 */
	unsigned long	args[6];
	long		nr;
	long		ret;
	/* user code: its __stack_pointer and TLS base */
	unsigned long	sp;
	unsigned long	tls;
	/* run the system call again on the way out */
	unsigned long	restart;
	/* interrupted code was user code; had interrupts disabled */
	unsigned long	user;
	unsigned long	irqs_off;
	unsigned long	pad[3];		/* the stack begins 16-byte aligned */
};

#define user_mode(regs)			((regs)->user)
#define regs_irqs_disabled(regs)	((regs)->irqs_off)
#define instruction_pointer(regs)	((void)(regs), 0UL)
#define user_stack_pointer(regs)	((regs)->sp)
#define profile_pc(regs)		instruction_pointer(regs)
#define current_pt_regs()		task_pt_regs(current)

static inline long regs_return_value(struct pt_regs *regs)
{
	return regs->ret;
}

#endif
#endif
