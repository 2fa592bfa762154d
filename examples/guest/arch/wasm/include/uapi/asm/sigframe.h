/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_WASM_SIGFRAME_H
#define _UAPI_ASM_WASM_SIGFRAME_H

#include <linux/types.h>

/*
 * To run a signal handler, the kernel puts this at the user stack pointer
 * (16-byte aligned) and has the host call the program's export
 *
 *	void __libc_handle_signal(void)
 *
 * with __stack_pointer pointing here, on top of whatever the program is doing.
 * It calls the handler, through the signature that SA_SIGINFO in "flags" asks
 * for, and then rt_sigreturn(), which does not return; returning is the same.
 * The saved state is restored from "uc", whatever the stack pointer is then.
 *
 * All of these are 32 bits wide in a wasm32 program, pointers included.
 */
struct wasm_sigframe {
	__u32	handler;	/* function pointer (table index) */
	__u32	signo;
	__u32	info;		/* siginfo_t *, in this frame */
	__u32	uc;		/* struct ucontext *, in this frame */
	__u32	flags;		/* sa_flags of the handler */
	__u32	reserved[3];
	/* siginfo_t and struct ucontext follow; use the pointers */
};

#endif
