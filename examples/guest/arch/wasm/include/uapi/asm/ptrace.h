/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_WASM_PTRACE_H
#define _UAPI_ASM_WASM_PTRACE_H

#define PTRACE_SYSEMU			31
#define PTRACE_SYSEMU_SINGLESTEP	32

#ifndef __ASSEMBLY__
/* What the kernel knows of a program when it enters the kernel. */
struct user_regs {
	unsigned long	args[6];
	long		nr;		/* -1: not in a system call */
	long		ret;
	unsigned long	sp;		/* __stack_pointer */
	unsigned long	tls;
};
#endif

#endif
