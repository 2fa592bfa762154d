/* SPDX-License-Identifier: GPL-2.0-only */
/* No MMU: virtual address, physical address and memory offset are one. */
#ifndef _ASM_WASM_PAGE_H
#define _ASM_WASM_PAGE_H

#include <linux/const.h>

#define PAGE_SHIFT	CONFIG_PAGE_SHIFT
#define PAGE_SIZE	(_AC(1, UL) << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define PAGE_OFFSET	0UL

/* memory.size and memory.grow count pages of their own */
#define WASM_PAGE_SIZE	65536UL

#ifndef __ASSEMBLY__
typedef struct { unsigned long pte; } pte_t;
typedef struct { unsigned long pmd[16]; } pmd_t;
typedef struct { unsigned long pgd; } pgd_t;
typedef struct { unsigned long pgprot; } pgprot_t;
typedef struct page *pgtable_t;

#define pte_val(x)	((x).pte)
#define pmd_val(x)	((&x)->pmd[0])
#define pgd_val(x)	((x).pgd)
#define pgprot_val(x)	((x).pgprot)
#define __pte(x)	((pte_t) { (x) })
#define __pmd(x)	((pmd_t) { { (x) } })
#define __pgd(x)	((pgd_t) { (x) })
#define __pgprot(x)	((pgprot_t) { (x) })

#define clear_page(p)		memset((p), 0, PAGE_SIZE)
#define copy_page(to, from)	memcpy((to), (from), PAGE_SIZE)
#define clear_user_page(p, vaddr, pg)		clear_page(p)
#define copy_user_page(to, from, vaddr, pg)	copy_page(to, from)

#define __pa(x)			((unsigned long)(x))
#define __va(x)			((void *)((unsigned long)(x)))
#define virt_to_pfn(x)		(__pa(x) >> PAGE_SHIFT)
#define pfn_to_virt(pfn)	__va((unsigned long)(pfn) << PAGE_SHIFT)
#define virt_to_page(x)		pfn_to_page(virt_to_pfn(x))
#define page_to_virt(p)		pfn_to_virt(page_to_pfn(p))
#define page_to_phys(p)		((phys_addr_t)page_to_pfn(p) << PAGE_SHIFT)
#define phys_to_page(p)		pfn_to_page((p) >> PAGE_SHIFT)
#define virt_addr_valid(x)	pfn_valid(virt_to_pfn(x))
#endif

#include <asm-generic/memory_model.h>
#include <asm-generic/getorder.h>

#endif
