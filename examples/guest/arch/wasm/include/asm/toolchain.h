/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before everything else in every C file (see arch/wasm/Makefile).
 *
 * wasm-ld has no linker scripts.  It does create __start_NAME and __stop_NAME
 * for every data segment whose name is a C identifier, so the boundary symbols
 * that vmlinux.lds would define are mapped to those here, and sections that
 * are not named so elsewhere get other names.  Segments are laid out in the
 * order in which they first occur at the link; kernel/head.S, linked first,
 * fixes it.
 */
#ifndef _ASM_WASM_TOOLCHAIN_H
#define _ASM_WASM_TOOLCHAIN_H

#define __initcall_section(sec, iid)	#sec
#define INIT_SETUP_SECTION		"init_setup"
#define KUNIT_TEST_SUITES_SECTION	"kunit_test_suites"
#define KUNIT_INIT_TEST_SUITES_SECTION	"kunit_init_test_suites"
#define PER_CPU_SECTION(sec)		"percpu"

#ifndef __ASSEMBLY__

/* No code addresses in Wasm: neither return addresses nor labels exist. */
#define __builtin_return_address(level)	((void *)0UL)
#define _THIS_IP_			(0UL)

#define __initcall_start	__start_initcallearly
#define __initcall0_start	__start_initcall0
#define __initcall1_start	__start_initcall1
#define __initcall2_start	__start_initcall2
#define __initcall3_start	__start_initcall3
#define __initcall4_start	__start_initcall4
#define __initcall5_start	__start_initcall5
#define __initcall6_start	__start_initcall6
#define __initcall7_start	__start_initcall7
#define __initcall_end		__stop_initcall7s
#define __con_initcall_start	__start_con_initcall
#define __con_initcall_end	__stop_con_initcall
#define __setup_start		__start_init_setup
#define __setup_end		__stop_init_setup
#define __initramfs_start	__start_initramfs

#define __per_cpu_start		__start_percpu
#define __per_cpu_load		__start_percpu
#define __per_cpu_end		__stop_percpu

#define __sched_class_highest	__start___stop_sched_class
#define __sched_class_lowest	__stop___idle_sched_class

#define __kunit_suites_start	__start_kunit_test_suites
#define __kunit_suites_end	__stop_kunit_test_suites
#define __kunit_init_suites_start __start_kunit_init_test_suites
#define __kunit_init_suites_end	__stop_kunit_init_test_suites

#define __start_ftrace_events	__start__ftrace_events
#define __stop_ftrace_events	__stop__ftrace_events
#define __start_ftrace_eval_maps __start__ftrace_eval_map
#define __stop_ftrace_eval_maps	__stop__ftrace_eval_map
#define __start___trace_bprintk_fmt __start___trace_printk_fmt
#define __stop___trace_bprintk_fmt __stop___trace_printk_fmt
#define __start_syscalls_metadata __start___syscalls_metadata
#define __stop_syscalls_metadata __stop___syscalls_metadata

/* Constructors run from __wasm_call_ctors() (head.S), not from this list. */
#define __ctors_end		__ctors_start
/* WARN_ONCE() flags are not gathered, so /sys/kernel/debug/clear_warn_once
 * does nothing.
 */
#define __end_once		__start_once

/* static data: what lockdep, kfree_const() and others call core kernel data */
#define _sdata			__global_base
#define _edata			__data_end
#define __bss_start		__data_end
#define __bss_stop		__heap_base
#define _end			__heap_base

/*
 * "jiffies = jiffies_64;" of vmlinux.lds: the first declaration fixes the name
 * of the symbol.  Its section must be that of the one in <linux/jiffies.h>.
 */
extern unsigned long volatile jiffies __asm__("jiffies_64")
	__attribute__((__section__(".data..cacheline_aligned")));

#endif
#endif
