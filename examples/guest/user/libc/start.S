/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Entry points that the host calls, written in assembly because none of them
 * may have a frame: each reads what the kernel or clone() left at the stack
 * pointer it starts with.
 *
 * First object on the link line: its first function address is that of
 * __null_function, which thereby takes table slot 0.  The host places every
 * program's table at base 0, so without it the first function whose address
 * is taken would compare equal to NULL (and a signal handler with index 0
 * would mean SIG_DFL).
 */
	.globaltype	__stack_pointer, i32
	.globaltype	__thread_pointer, i32
	.functype	__start_c (i32) -> ()
	.functype	__clone_c (i32) -> ()
	.functype	__signal_c (i32) -> ()
	.functype	__null_function () -> ()

	.section .globals,"",@
	.hidden	__thread_pointer
	.globl	__thread_pointer
__thread_pointer:

	/* void _start(void): stack pointer -> argc, argv[], NULL, envp[], NULL, auxv */
	.section .text._start,"",@
	.hidden	_start
	.globl	_start
	.export_name _start, _start
_start:
	.functype _start () -> ()
	i32.const	__null_function@TBREL
	drop
	global.get	__stack_pointer
	call		__start_c
	unreachable
	end_function

	/* void __libc_clone_callback(void): stack pointer -> fn, argument */
	.section .text.__libc_clone_callback,"",@
	.hidden	__libc_clone_callback
	.globl	__libc_clone_callback
	.export_name __libc_clone_callback, __libc_clone_callback
__libc_clone_callback:
	.functype __libc_clone_callback () -> ()
	global.get	__stack_pointer
	call		__clone_c
	unreachable
	end_function

	/* void __libc_handle_signal(void): stack pointer -> struct wasm_sigframe */
	.section .text.__libc_handle_signal,"",@
	.hidden	__libc_handle_signal
	.globl	__libc_handle_signal
	.export_name __libc_handle_signal, __libc_handle_signal
__libc_handle_signal:
	.functype __libc_handle_signal () -> ()
	global.get	__stack_pointer
	call		__signal_c
	unreachable
	end_function

	/* void __set_tls_base(u32 tp): before a clone callback, a handler, after it */
	.section .text.__set_tls_base,"",@
	.hidden	__set_tls_base
	.globl	__set_tls_base
	.export_name __set_tls_base, __set_tls_base
__set_tls_base:
	.functype __set_tls_base (i32) -> ()
	local.get	0
	global.set	__thread_pointer
	end_function

	.section .text.__null_function,"",@
	.hidden	__null_function
	.globl	__null_function
__null_function:
	.functype __null_function () -> ()
	unreachable
	end_function
