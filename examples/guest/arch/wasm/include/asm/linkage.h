/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_LINKAGE_H
#define _ASM_WASM_LINKAGE_H

#define __ALIGN		.p2align 2
#define __ALIGN_STR	".p2align 2"

/* kernel/sys_ni.c's assembly; asm/syscall_wrapper.h has it in C */
#define cond_syscall(x)

#endif
