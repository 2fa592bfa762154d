/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs are not ELF, but <linux/elf.h> and its users want these. */
#ifndef _ASM_WASM_ELF_H
#define _ASM_WASM_ELF_H

#include <asm/ptrace.h>

#define ELF_CLASS		ELFCLASS32
#define ELF_DATA		ELFDATA2LSB
#define ELF_ARCH		EM_NONE
#define ELF_PLATFORM		NULL
#define ELF_HWCAP		0
#define ELF_EXEC_PAGESIZE	4096
#define ELF_ET_DYN_BASE		0
#define elf_check_arch(x)	0

typedef unsigned long elf_greg_t;
#define ELF_NGREG		(sizeof(struct user_regs) / sizeof(elf_greg_t))
typedef elf_greg_t elf_gregset_t[ELF_NGREG];
typedef struct { } elf_fpregset_t;

struct task_struct;
static inline int elf_core_copy_task_fpregs(struct task_struct *t,
					    elf_fpregset_t *fpu)
{
	return 0;
}
#define elf_core_copy_task_fpregs elf_core_copy_task_fpregs

#endif
