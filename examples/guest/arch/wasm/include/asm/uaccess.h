/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory is kernel memory, without an MMU to catch wild accesses.  An
 * address outside of the memory would trap in the kernel, which could not go
 * on then, so that is checked beforehand.  As nothing of a program lies below
 * the kernel's data, NULL pointers are caught, too.
 */
#ifndef _ASM_WASM_UACCESS_H
#define _ASM_WASM_UACCESS_H

#include <asm/processor.h>
#include <asm/sections.h>

static inline int __access_ok(const void __user *ptr, unsigned long size)
{
	unsigned long addr = (unsigned long)ptr;

	return !size || (addr >= (unsigned long)_sdata &&
			 size <= memory_end && addr <= memory_end - size);
}
#define __access_ok __access_ok

#include <asm-generic/uaccess.h>

#endif
