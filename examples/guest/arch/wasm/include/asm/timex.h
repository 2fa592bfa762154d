/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_TIMEX_H
#define _ASM_WASM_TIMEX_H

typedef unsigned long cycles_t;
cycles_t get_cycles(void);
#define get_cycles get_cycles

#endif
