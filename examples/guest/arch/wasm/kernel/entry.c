// SPDX-License-Identifier: GPL-2.0-only
/*
 * Into the kernel and out again.
 *
 * On other machines, user mode and kernel mode are two contexts that the CPU
 * switches between, and the kernel may return to any user context it likes.
 * Here, user code calls the kernel as a function and the kernel can only
 * return to its caller.  Whatever else has to happen in user mode before (a
 * signal handler) is called from the kernel, on top of the stack.
 */
#include <linux/entry-common.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <asm/host.h>
#include <asm/irqflags.h>
#include <asm/syscall.h>
#include "entry.h"

/* Interrupts are off from the first instruction: as if the hardware did it. */
static __always_inline void enter_kernel(void)
{
	wasm_irqs_off = 1;
	barrier();
	current->thread.user_mode = false;
}

/*
 * The last steps to user mode.  The generic code has done its work and told
 * lockdep and RCU that user mode has been reached; interrupts are still off.
 */
void wasm_exit_to_user(struct pt_regs *regs)
{
	struct thread_struct *thread = &current->thread;

	for (;;) {
		if (thread->sigframe) {
			wasm_run_signal_handler(regs);
			continue;
		}
		if (unlikely(test_and_clear_thread_flag(TIF_RELOAD_PROGRAM))) {
			/* drops all frames of this task and starts the program */
			thread->user_mode = true;
			wasm_global_set(__stack_pointer, thread->ksp);
			wasm_irqs_off = 0;
			wasm_user_mode_tail(WASM_TAIL_EXEC);
			unreachable();
		}
		thread->user_mode = true;
		barrier();
		wasm_irqs_off = 0;
		barrier();
		/*
		 * What came in with interrupts off has nobody else to notice
		 * it.  From here to the return there is no tick, hence no
		 * interrupt that could leave more work.
		 */
		if (likely(!wasm_irq_pending() &&
			   !(read_thread_flags() & EXIT_TO_USER_MODE_WORK)))
			return;
		enter_kernel();
		wasm_do_irq(regs);
	}
}

static __always_inline long
do_syscall(unsigned long sp, unsigned long tls, long nr, unsigned long a,
	   unsigned long b, unsigned long c, unsigned long d, unsigned long e,
	   unsigned long f)
{
	struct pt_regs *regs = current_pt_regs();

	enter_kernel();
	*regs = (struct pt_regs){
		.args	= { a, b, c, d, e, f },
		.nr	= nr,
		.sp	= sp,
		.tls	= tls,
		.user	= 1,
	};
	for (;;) {
		regs->ret = -ENOSYS;
		nr = syscall_enter_from_user_mode(regs, regs->nr);
		if ((unsigned long)nr < NR_syscalls)
			regs->ret = sys_call_table[nr](regs);
		syscall_exit_to_user_mode(regs);
		wasm_exit_to_user(regs);
		/* set by signal.c, maybe through a handler's saved state */
		if (likely(!regs->restart))
			return regs->ret;
		enter_kernel();
		regs->restart = 0;
	}
}

/* long wasm_syscall_N(sp, tls, nr, ...): what programs import */
#define WASM_SYSCALL(n, params, ...)					\
	WASM_EXPORT(wasm_syscall_##n) long wasm_syscall_##n params;	\
	long wasm_syscall_##n params					\
	{								\
		return do_syscall(sp, tls, nr, __VA_ARGS__);		\
	}
#define P	unsigned long sp, unsigned long tls, long nr
#define U	unsigned long
WASM_SYSCALL(0, (P), 0, 0, 0, 0, 0, 0)
WASM_SYSCALL(1, (P, U a), a, 0, 0, 0, 0, 0)
WASM_SYSCALL(2, (P, U a, U b), a, b, 0, 0, 0, 0)
WASM_SYSCALL(3, (P, U a, U b, U c), a, b, c, 0, 0, 0)
WASM_SYSCALL(4, (P, U a, U b, U c, U d), a, b, c, d, 0, 0)
WASM_SYSCALL(5, (P, U a, U b, U c, U d, U e), a, b, c, d, e, 0)
WASM_SYSCALL(6, (P, U a, U b, U c, U d, U e, U f), a, b, c, d, e, f)
#undef P
#undef U

/*
 * For the host: user code has been interrupted between two ticks.  sp is its
 * stack pointer less the red zone, 0 if the program has none.
 */
WASM_EXPORT(wasm_user_irq) void wasm_user_irq(unsigned long sp);
void wasm_user_irq(unsigned long sp)
{
	struct pt_regs *regs = current_pt_regs();

	enter_kernel();
	regs->nr = -1;		/* nothing to restart */
	regs->ret = 0;
	regs->restart = 0;
	regs->user = 1;
	if (sp)
		regs->sp = sp + WASM_RED_ZONE;
	wasm_do_irq(regs);
	wasm_exit_to_user(regs);
}

WASM_EXPORT(get_user_stack_pointer) unsigned long get_user_stack_pointer(void);
unsigned long get_user_stack_pointer(void)
{
	return current_pt_regs()->sp;
}

WASM_EXPORT(get_user_tls_base) unsigned long get_user_tls_base(void);
unsigned long get_user_tls_base(void)
{
	return current_pt_regs()->tls;
}
