/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_DELAY_H
#define _ASM_WASM_DELAY_H

void __delay(unsigned long loops);
void __ndelay(unsigned long nsecs);
void __udelay(unsigned long usecs);
#define ndelay(n)	__ndelay(n)
#define udelay(n)	__udelay(n)

#endif
