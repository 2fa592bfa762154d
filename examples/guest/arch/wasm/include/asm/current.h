/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_CURRENT_H
#define _ASM_WASM_CURRENT_H

#ifndef __ASSEMBLY__
#include <asm/wasm.h>

struct task_struct;

/* A module instance serves one task for its whole life, hence not volatile. */
static __always_inline struct task_struct *get_current(void)
{
	return (struct task_struct *)wasm_global_get(__wasm_current);
}
#define current get_current()

#endif
#endif
