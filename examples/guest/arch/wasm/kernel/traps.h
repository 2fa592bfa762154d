/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _WASM_TRAPS_H
#define _WASM_TRAPS_H

void wasm_panic_setup(void);
/* Tells the host if there has been a panic; does not return then. */
void wasm_report_panic(void);

#endif
