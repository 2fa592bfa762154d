/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_IO_H
#define _ASM_WASM_IO_H

/* There are no ports; this only keeps pointer arithmetic off NULL. */
#define PCI_IOBASE	((void __iomem *)0x1000UL)
#include <asm-generic/io.h>

#endif
