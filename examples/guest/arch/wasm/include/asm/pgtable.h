/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * There are no page tables: after arch/m68k/include/asm/pgtable_no.h,
 * (C) Copyright 2000-2002, Greg Ungerer <gerg@snapgear.com>
 */
#ifndef _ASM_WASM_PGTABLE_H
#define _ASM_WASM_PGTABLE_H

#include <asm-generic/pgtable-nopud.h>

#include <linux/slab.h>
#include <asm/processor.h>
#include <asm/page.h>
#include <asm/io.h>

/* Trivial page table functions. */
#define pgd_present(pgd)	(1)
#define pgd_none(pgd)		(0)
#define pgd_bad(pgd)		(0)
#define pgd_clear(pgdp)
#define pmd_offset(a, b)	((void *)0)

#define PAGE_NONE		__pgprot(0)
#define PAGE_SHARED		__pgprot(0)
#define PAGE_COPY		__pgprot(0)
#define PAGE_READONLY		__pgprot(0)
#define PAGE_KERNEL		__pgprot(0)

#define swapper_pg_dir		((pgd_t *)0)

/* A page that is always zero, for zero-mapped memory areas etc. */
extern unsigned long empty_zero_page[];
#define ZERO_PAGE(vaddr)	virt_to_page(empty_zero_page)

/* All 32-bit addresses are effectively valid for vmalloc. */
#define VMALLOC_START		0UL
#define VMALLOC_END		0xffffffffUL
#define KMAP_START		0UL
#define KMAP_END		0xffffffffUL

#endif
