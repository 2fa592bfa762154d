/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_THREAD_INFO_H
#define _ASM_WASM_THREAD_INFO_H

#include <linux/const.h>

#define THREAD_SIZE_ORDER	2
#define THREAD_SIZE		(_AC(4096, UL) << THREAD_SIZE_ORDER)

#ifndef __ASSEMBLY__
struct thread_info {
	unsigned long	flags;
	int		preempt_count;
	unsigned int	cpu;
	unsigned long	irqs_off;	/* the "interrupt flag", asm/irqflags.h */
	unsigned long	syscall_work;
};

#define INIT_THREAD_INFO(tsk) {				\
	.preempt_count	= INIT_PREEMPT_COUNT,		\
	.irqs_off	= 1,				\
}
#endif

#define TIF_SIGPENDING		1
#define TIF_NEED_RESCHED	2
#define TIF_NOTIFY_SIGNAL	3
#define TIF_NOTIFY_RESUME	4
#define TIF_MEMDIE		5
#define TIF_NEVER_RUN		8	/* has no module instance yet */
#define TIF_RELOAD_PROGRAM	9	/* has done execve() */

#define _TIF_SIGPENDING		(1 << TIF_SIGPENDING)
#define _TIF_NEED_RESCHED	(1 << TIF_NEED_RESCHED)
#define _TIF_NOTIFY_SIGNAL	(1 << TIF_NOTIFY_SIGNAL)
#define _TIF_NOTIFY_RESUME	(1 << TIF_NOTIFY_RESUME)

#endif
