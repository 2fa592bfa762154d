/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel tells whoever records it. */
#ifndef _ASM_WASM_WDBG_H
#define _ASM_WASM_WDBG_H

#include <linux/types.h>

/* A mark in the trace; costs a call when nobody records. */
void wdbg_mark(u32 value);

#endif
