/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _WASM_TIME_H
#define _WASM_TIME_H

/* The calling CPU's timer. */
void wasm_clockevent_setup(void);

#endif
