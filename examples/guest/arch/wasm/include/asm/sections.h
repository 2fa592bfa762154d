/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Code is not in memory.  Two kinds of numbers stand for it in an unsigned
 * long, and both are "kernel text" to those who ask:
 *
 *   1 ... (below the first data)	a function pointer, that is an index in
 *					the function table
 *   0x80000000 + n			offset n in the code section, which DWARF
 *					calls an address: stack traces
 *
 * Data lies between the two: the linker puts its own stack, unused, below the
 * data, which leaves room for 65535 function pointers, and no memory from
 * 0x80000000 on is used.
 */
#ifndef _ASM_WASM_SECTIONS_H
#define _ASM_WASM_SECTIONS_H

#define WASM_CODE_BASE	0x80000000UL

#define is_kernel_inittext	__generic_is_kernel_inittext
#define __is_kernel_text	__generic_is_kernel_text
#define __is_kernel		__generic_is_kernel
#include <asm-generic/sections.h>
#undef is_kernel_inittext
#undef __is_kernel_text
#undef __is_kernel

static inline bool __is_kernel_text(unsigned long addr)
{
	return (addr && addr < (unsigned long)_sdata) || addr >= WASM_CODE_BASE;
}

/* __init functions are not told apart from others, nor are they freed. */
static inline bool is_kernel_inittext(unsigned long addr)
{
	return false;
}

static inline bool __is_kernel(unsigned long addr)
{
	return addr && (addr < (unsigned long)_end || addr >= WASM_CODE_BASE);
}

#endif
