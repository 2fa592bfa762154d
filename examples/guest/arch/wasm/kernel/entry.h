/* SPDX-License-Identifier: GPL-2.0-only */
/* Between user mode and kernel mode: entry.c and its neighbours. */
#ifndef _WASM_ENTRY_H
#define _WASM_ENTRY_H

struct pt_regs;

/*
 * LLVM's leaf functions use this much memory below __stack_pointer without
 * moving it.  Whoever interrupts code between two of its instructions has to
 * leave it alone.
 */
#define WASM_RED_ZONE	128

void wasm_do_irq(struct pt_regs *regs);
void wasm_exit_to_user(struct pt_regs *regs);
void wasm_run_signal_handler(struct pt_regs *regs);

#endif
