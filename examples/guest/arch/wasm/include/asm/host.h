/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host does for the kernel: the imports of the module.
 * docs/host-interface.md describes them and which of them are ours.
 */
#ifndef _ASM_WASM_HOST_H
#define _ASM_WASM_HOST_H

#include <linux/types.h>
#include <asm/wasm.h>

struct task_struct;

/* processors and tasks */
void wasm_start_cpu(unsigned int cpu, struct task_struct *idle,
		    unsigned long stack) WASM_IMPORT(wasm_start_cpu);
void wasm_stop_cpu(unsigned int cpu) WASM_IMPORT(wasm_stop_cpu);
struct task_struct *
wasm_create_and_run_task(struct task_struct *prev, struct task_struct *new,
			 const char *name, unsigned long bin_start,
			 unsigned long bin_end, unsigned long data_start,
			 unsigned long table_start)
	WASM_IMPORT(wasm_create_and_run_task);
struct task_struct *
wasm_serialize_tasks(struct task_struct *prev, struct task_struct *next)
	WASM_IMPORT(wasm_serialize_tasks);
void wasm_release_task(struct task_struct *dead) WASM_IMPORT(wasm_release_task);

/* user programs */
void wasm_load_executable(unsigned long bin_start, unsigned long bin_end,
			  unsigned long data_start, unsigned long table_start)
	WASM_IMPORT(wasm_load_executable);
#define WASM_TAIL_EXEC		(-1)	/* does not return */
#define WASM_TAIL_SIGNAL	1	/* runs a handler, returns after it */
#define WASM_TAIL_SIGRETURN	2	/* ends that handler, does not return */
void wasm_user_mode_tail(int flow) WASM_IMPORT(wasm_user_mode_tail);

/* time: monotonic, ns; one interrupt at or after expiry, 0 for none */
u64 wasm_cpu_clock_get_monotonic(void) WASM_IMPORT(wasm_cpu_clock_get_monotonic);
void wasm_timer_program(unsigned int cpu, u64 expiry)
	WASM_IMPORT(wasm_timer_program);

/* a spinning CPU gives the others their turn, where they share a host thread */
void wasm_cpu_yield(void) WASM_IMPORT(wasm_cpu_yield);

/* console: characters done, 0 for none; rows << 16 | columns, 0 for unknown */
int wasm_driver_hvc_put(const char *buf, int count)
	WASM_IMPORT(wasm_driver_hvc_put);
int wasm_driver_hvc_get(char *buf, int count) WASM_IMPORT(wasm_driver_hvc_get);
u32 wasm_console_winsize(void) WASM_IMPORT(wasm_console_winsize);

/* the end */
#define WASM_STOP_HALT		0
#define WASM_STOP_POWER_OFF	1
#define WASM_STOP_RESTART	2
void wasm_machine_stop(int how, const char *cmd) WASM_IMPORT(wasm_machine_stop);
void wasm_panic(const char *msg) WASM_IMPORT(wasm_panic);

/* backtraces: text of the caller's, text of a task that is switched out
 * (0: not possible), offsets in the code section of the caller's
 */
void wasm_dump_stacktrace(char *buf, unsigned long size)
	WASM_IMPORT(wasm_dump_stacktrace);
int wasm_dump_task(struct task_struct *task, char *buf, unsigned long size)
	WASM_IMPORT(wasm_dump_task);
int wasm_stack_save(u32 *entries, int max) WASM_IMPORT(wasm_stack_save);

#endif
