/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_PROCESSOR_H
#define _ASM_WASM_PROCESSOR_H

#ifndef __ASSEMBLY__
#include <linux/compiler.h>
#include <linux/types.h>

/* All of memory: user addresses are checked against its end (asm/uaccess.h). */
extern unsigned long memory_end;
#define TASK_SIZE	memory_end
#define STACK_TOP	TASK_SIZE
#define STACK_TOP_MAX	TASK_SIZE

struct pt_regs;
struct task_struct;
struct wasm_sigframe;

struct thread_struct {
	/* kernel stack pointer when there is nothing on the stack */
	unsigned long		ksp;
	/* what a kernel thread runs */
	int			(*fn)(void *);
	void			*fn_arg;
	/* the program: where its module lies, and what it was given */
	unsigned long		bin_start;
	unsigned long		bin_end;
	unsigned long		data_start;
	unsigned long		table_start;
	/* user code is running in this task (traps.c) */
	bool			user_mode;
	/* signal frame to run on the way to user mode (signal.c) */
	struct wasm_sigframe	*sigframe;
	/* how many signal handlers are running on top of each other */
	unsigned int		sigdepth;
};
#define INIT_THREAD { }

/* Spinning CPUs must still notice interrupts raised for them. */
void wasm_poll_irqs(void);
void wasm_cpu_relax(void);
#define cpu_relax()	wasm_cpu_relax()

void start_thread(struct pt_regs *regs, unsigned long pc, unsigned long sp);

static inline unsigned long __get_wchan(struct task_struct *p)
{
	return 0;
}

#define KSTK_EIP(tsk)	(0UL)
#define KSTK_ESP(tsk)	(task_pt_regs(tsk)->sp)
#define task_pt_regs(tsk) \
	((struct pt_regs *)(task_stack_page(tsk) + THREAD_SIZE) - 1)

#endif
#endif
