/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_ENTRY_COMMON_H
#define _ASM_WASM_ENTRY_COMMON_H

#include <asm/wasm.h>

static inline bool on_thread_stack(void)
{
	return !(((unsigned long)current->stack ^
		  wasm_global_get(__stack_pointer)) & ~(THREAD_SIZE - 1));
}

#endif
