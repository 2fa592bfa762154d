// SPDX-License-Identifier: GPL-2.0-only
/* Tasks: each runs in a module instance of its own, which the host switches. */
#include <linux/cpu.h>
#include <linux/entry-common.h>
#include <linux/console.h>
#include <linux/init_task.h>
#include <linux/ptrace.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/uaccess.h>
#include <asm/host.h>
#include <asm/switch_to.h>
#include "traps.h"

/* INIT_TASK_DATA() of vmlinux.lds, as there is no linker script */
unsigned long init_stack[THREAD_SIZE / sizeof(unsigned long)]
	__aligned(THREAD_SIZE);

asmlinkage void schedule_tail(struct task_struct *prev);
int wasm_ret_from_fork(struct task_struct *prev, struct task_struct *new);
unsigned long wasm_task_ksp(struct task_struct *t);

/* Called by head.S before there is a stack: must stay a leaf. */
unsigned long wasm_task_ksp(struct task_struct *t)
{
	return t->thread.ksp;
}

int copy_thread(struct task_struct *p, const struct kernel_clone_args *args)
{
	struct pt_regs *regs = task_pt_regs(p);

	/* There is no memory but the one: it cannot be copied. */
	if (!args->fn && !(args->flags & CLONE_VM))
		return -EINVAL;

	p->thread.ksp = (unsigned long)regs;
	p->thread.fn = args->fn;
	p->thread.fn_arg = args->fn_arg;
	p->thread.user_mode = false;
	p->thread.sigframe = NULL;
	p->thread.sigdepth = 0;
	task_thread_info(p)->irqs_off = 1;
	set_tsk_thread_flag(p, TIF_NEVER_RUN);
	clear_tsk_thread_flag(p, TIF_RELOAD_PROGRAM);

	if (args->fn) {
		memset(regs, 0, sizeof(*regs));
	} else {
		*regs = *current_pt_regs();
		regs->ret = 0;
		if (args->stack)
			regs->sp = args->stack;
		if (args->flags & CLONE_SETTLS)
			regs->tls = args->tls;
	}
	return 0;
}

/* Returns when prev runs again, with the task that ran before. */
struct task_struct *__switch_to(struct task_struct *prev,
				struct task_struct *next)
{
	if (test_and_clear_tsk_thread_flag(next, TIF_NEVER_RUN))
		return wasm_create_and_run_task(prev, next, next->comm,
						next->thread.bin_start,
						next->thread.bin_end,
						next->thread.data_start,
						next->thread.table_start);
	return wasm_serialize_tasks(prev, next);
}

/*
 * The first run of a task.  Returning is the way to user mode: 1 to the
 * program's __libc_clone_callback(), 0 to the start of the program that a
 * kernel thread has executed.
 *
 * No signal is delivered on this way, as there is no instance of the program
 * yet that could run a handler; pending ones wait for the first way back.
 */
int wasm_ret_from_fork(struct task_struct *prev, struct task_struct *new)
{
	struct thread_struct *thread = &new->thread;
	int clone = 1;

	schedule_tail(prev);
	if (thread->fn) {
		thread->fn(thread->fn_arg);
		/* a kernel thread that returns has done kernel_execve() */
		clear_thread_flag(TIF_RELOAD_PROGRAM);
		thread->fn = NULL;
		clone = 0;
	}
	local_irq_disable();
	exit_to_user_mode();
	current_pt_regs()->user = 1;
	thread->user_mode = true;
	barrier();
	wasm_irqs_off = 0;
	return clone;
}

void start_thread(struct pt_regs *regs, unsigned long pc, unsigned long sp)
{
	memset(regs, 0, sizeof(*regs));
	regs->sp = sp;
	regs->user = 1;
	regs->nr = -1;
	current->thread.sigframe = NULL;
	current->thread.sigdepth = 0;
	set_thread_flag(TIF_RELOAD_PROGRAM);
}

void flush_thread(void)
{
}

/* Also comes for tasks that never ran, which the host does not know. */
void arch_release_task_struct(struct task_struct *tsk)
{
	wasm_release_task(tsk);
}

static void __noreturn machine_stop(int how, const char *cmd)
{
	local_irq_disable();
	smp_send_stop();
	/* a stopped CPU may have been about to print */
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	wasm_machine_stop(how, cmd);
	unreachable();
}

/* After a panic, which "panic=" on the command line may lead to here, too. */
void machine_restart(char *cmd)
{
	wasm_report_panic();
	machine_stop(WASM_STOP_RESTART, cmd);
}

void machine_halt(void)
{
	machine_stop(WASM_STOP_HALT, NULL);
}

void machine_power_off(void)
{
	machine_stop(WASM_STOP_POWER_OFF, NULL);
}

void (*pm_power_off)(void) = machine_power_off;
