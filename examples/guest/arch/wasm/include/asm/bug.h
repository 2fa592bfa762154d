/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_BUG_H
#define _ASM_WASM_BUG_H

#ifdef CONFIG_BUG
#ifndef __ASSEMBLY__
#include <linux/compiler.h>

__noreturn __cold void wasm_bug(const char *file, int line, const char *func);

/* A call: the generic BUG()'s panic message does not say where. */
#define BUG()		wasm_bug(__FILE__, __LINE__, __func__)
#define HAVE_ARCH_BUG
#endif
#endif

#include <asm-generic/bug.h>

struct pt_regs;
__noreturn void die(const char *str, struct pt_regs *regs, long err);

#endif
