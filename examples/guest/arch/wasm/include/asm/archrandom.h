/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A run must depend on nothing but its inputs, so there is no entropy here on
 * purpose: a generator seeded from the host's clock, which is virtual, stands
 * in for it.  It makes getrandom() answer at once and the same in every run.
 */
#ifndef _ASM_WASM_ARCHRANDOM_H
#define _ASM_WASM_ARCHRANDOM_H

static inline size_t __must_check arch_get_random_longs(unsigned long *v, size_t max)
{
	return 0;
}

size_t __must_check arch_get_random_seed_longs(unsigned long *v, size_t max);

#endif
