/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry points, globals and the layout of data.
 *
 * This is the first object of the link.  wasm-ld lays out data segments in the
 * order in which it meets their names, so the empty ones below order what
 * vmlinux.lds orders elsewhere: initcall levels and scheduler classes follow
 * each other.  They also make sure that __start_NAME and __stop_NAME exist if
 * nothing else is in a segment.
 */
#include <asm/thread_info.h>

	.macro	placeholder name, align
	.section \name,"",@
	.p2align \align
.L\name\():
	.size	.L\name, 0
	.endm

	placeholder initcallearly, 2
	placeholder initcall0, 2
	placeholder initcall0s, 2
	placeholder initcall1, 2
	placeholder initcall1s, 2
	placeholder initcall2, 2
	placeholder initcall2s, 2
	placeholder initcall3, 2
	placeholder initcall3s, 2
	placeholder initcall4, 2
	placeholder initcall4s, 2
	placeholder initcall5, 2
	placeholder initcall5s, 2
	placeholder initcallrootfs, 2
	placeholder initcallrootfss, 2
	placeholder initcall6, 2
	placeholder initcall6s, 2
	placeholder initcall7, 2
	placeholder initcall7s, 2
	placeholder con_initcall, 2
	placeholder init_setup, 2
	placeholder __param, 2
	placeholder __modver, 2
	placeholder __ex_table, 2
	placeholder __stop_sched_class, 2
	placeholder __dl_sched_class, 2
	placeholder __rt_sched_class, 2
	placeholder __fair_sched_class, 2
	placeholder __ext_sched_class, 2
	placeholder __idle_sched_class, 2
	placeholder kunit_test_suites, 2
	placeholder kunit_init_test_suites, 2
	placeholder __trace_printk_fmt, 2
	placeholder __tracepoint_str, 2
	placeholder __tracepoints_ptrs, 2
	placeholder _ftrace_events, 2
	placeholder _ftrace_eval_map, 2
	placeholder __syscalls_metadata, 2
	placeholder __dyndbg, 3
	placeholder __dyndbg_classes, 2
	placeholder percpu, 12
	placeholder notes, 2

/*
 * Globals belong to the module instance, hence to the task.  __wasm_current is
 * set before any C code runs and never again.
 */
	.globaltype	__stack_pointer, i32
	.globaltype	__wasm_current, i32

	.section .globals,"",@
	.globl	__wasm_current
__wasm_current:

	.functype start_kernel () -> ()
	.functype __wasm_call_ctors () -> ()
	.functype wasm_start_secondary () -> ()
	.functype wasm_task_ksp (i32) -> (i32)
	.functype wasm_ret_from_fork (i32, i32) -> (i32)

/* void _start(void): the boot CPU, in the first instance */
	.section .text._start,"",@
	.globl	_start
	.export_name _start, _start
_start:
	.functype _start () -> ()
	i32.const	init_task
	global.set	__wasm_current
	i32.const	init_stack+THREAD_SIZE-64
	global.set	__stack_pointer
	/* wasm-ld would wrap every export in a call of these if nobody did */
	call	__wasm_call_ctors
	call	start_kernel
	unreachable
	end_function

/* void _start_secondary(u32 stack): another CPU; its idle task lies there */
	.section .text._start_secondary,"",@
	.globl	_start_secondary
	.export_name _start_secondary, _start_secondary
_start_secondary:
	.functype _start_secondary (i32) -> ()
	local.get	0
	i32.load	0
	global.set	__wasm_current
	local.get	0
	global.set	__stack_pointer
	call	wasm_start_secondary
	unreachable
	end_function

/* int ret_from_fork(prev, new): the first run of a task, in its own instance */
	.section .text.ret_from_fork,"",@
	.globl	ret_from_fork
	.export_name ret_from_fork, ret_from_fork
ret_from_fork:
	.functype ret_from_fork (i32, i32) -> (i32)
	local.get	1
	global.set	__wasm_current
	local.get	1
	call	wasm_task_ksp
	global.set	__stack_pointer
	local.get	0
	local.get	1
	call	wasm_ret_from_fork
	end_function
