// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals.  A handler is not returned to but called, by the host for us, on
 * top of the stack; what the program was doing waits below.  The frame on the
 * user stack is described in <uapi/asm/sigframe.h>.
 */
#include <linux/entry-common.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/signal.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <asm/host.h>
#include <asm/sigframe.h>
#include <asm/ucontext.h>
#include "entry.h"

/* Each handler running on top of another takes kernel stack. */
#define MAX_SIGDEPTH	16

struct rt_sigframe {
	struct wasm_sigframe	head;
	struct siginfo		info;
	struct ucontext		uc;
};

static int setup_frame(struct ksignal *ksig, sigset_t *set,
		       struct pt_regs *regs)
{
	struct rt_sigframe __user *frame;
	unsigned long sp;
	struct rt_sigframe f = {
		.head.handler		= (u32)ksig->ka.sa.sa_handler,
		.head.signo		= ksig->sig,
		.head.flags		= ksig->ka.sa.sa_flags,
		.uc.uc_mcontext.regs	= {
			.nr	= regs->nr,
			.ret	= regs->ret,
			.sp	= regs->sp,
			.tls	= regs->tls,
		},
		.uc.uc_mcontext.restart	= regs->restart,
		.uc.uc_sigmask		= *set,
	};

	/* the generic check against overflow of the alternate stack */
	sp = regs->sp - WASM_RED_ZONE;
	if (on_sig_stack(regs->sp) && !on_sig_stack(sp - sizeof(f)))
		return -EFAULT;
	sp = (sigsp(sp, ksig) - sizeof(f)) & ~15UL;
	frame = (struct rt_sigframe __user *)sp;
	if (!access_ok(frame, sizeof(*frame)))
		return -EFAULT;

	memcpy(f.uc.uc_mcontext.regs.args, regs->args, sizeof(regs->args));
	f.head.info = (u32)&frame->info;
	f.head.uc = (u32)&frame->uc;
	if (copy_to_user(frame, &f, sizeof(f)) ||
	    copy_siginfo_to_user(&frame->info, &ksig->info) ||
	    __save_altstack(&frame->uc.uc_stack, regs->sp))
		return -EFAULT;

	regs->sp = sp;
	regs->restart = 0;
	current->thread.sigframe = &frame->head;
	return 0;
}

static int restore_frame(struct wasm_sigframe *head, struct pt_regs *regs)
{
	struct rt_sigframe __user *frame =
		container_of((struct wasm_sigframe __user *)head,
			     struct rt_sigframe, head);
	struct ucontext uc;

	/* Always make any pending restarted system call return -EINTR */
	current->restart_block.fn = do_no_restart_syscall;

	if (copy_from_user(&uc, &frame->uc, sizeof(uc)))
		return -EFAULT;
	set_current_blocked(&uc.uc_sigmask);
	memcpy(regs->args, uc.uc_mcontext.regs.args, sizeof(regs->args));
	regs->nr = uc.uc_mcontext.regs.nr;
	regs->ret = uc.uc_mcontext.regs.ret;
	regs->sp = uc.uc_mcontext.regs.sp;
	regs->tls = uc.uc_mcontext.regs.tls;
	regs->restart = uc.uc_mcontext.restart;
	return restore_altstack(&frame->uc.uc_stack);
}

static void handle_signal(struct ksignal *ksig, struct pt_regs *regs)
{
	int failed;

	if (regs->nr >= 0) {
		switch (regs->ret) {
		case -ERESTART_RESTARTBLOCK:
		case -ERESTARTNOHAND:
			regs->ret = -EINTR;
			break;
		case -ERESTARTSYS:
			if (!(ksig->ka.sa.sa_flags & SA_RESTART)) {
				regs->ret = -EINTR;
				break;
			}
			fallthrough;
		case -ERESTARTNOINTR:
			regs->ret = 0;
			regs->restart = 1;
			break;
		}
	}

	failed = current->thread.sigdepth >= MAX_SIGDEPTH ||
		 setup_frame(ksig, sigmask_to_save(), regs);
	signal_setup_done(failed, ksig, 0);
}

void arch_do_signal_or_restart(struct pt_regs *regs)
{
	struct ksignal ksig;

	/*
	 * Another handler is about to be called.  Further signals are taken
	 * on the way to it, see wasm_run_signal_handler().
	 */
	if (current->thread.sigframe) {
		if (test_thread_flag(TIF_NOTIFY_SIGNAL)) {
			clear_notify_signal();
			if (task_work_pending(current))
				task_work_run();
		}
		clear_thread_flag(TIF_SIGPENDING);
		return;
	}

	if (get_signal(&ksig)) {
		handle_signal(&ksig, regs);
		return;
	}

	/* no handler: have do_syscall() make the call again */
	if (regs->nr >= 0) {
		switch (regs->ret) {
		case -ERESTART_RESTARTBLOCK:
			regs->nr = __NR_restart_syscall;
			fallthrough;
		case -ERESTARTNOHAND:
		case -ERESTARTSYS:
		case -ERESTARTNOINTR:
			regs->ret = 0;
			regs->restart = 1;
			break;
		}
	}
	restore_saved_sigmask();
}

/*
 * Call the handler whose frame has been set up.  Entered and left as
 * wasm_exit_to_user() is in between its steps: user mode as far as the generic
 * code is concerned, interrupts off.
 */
void wasm_run_signal_handler(struct pt_regs *regs)
{
	struct thread_struct *thread = &current->thread;
	struct wasm_sigframe *frame = thread->sigframe;
	unsigned long sp = wasm_global_get(__stack_pointer);

	thread->sigframe = NULL;
	thread->sigdepth++;
	/* Signals that came meanwhile interrupt this handler at its start. */
	irqentry_enter_from_user_mode(regs);
	spin_lock(&current->sighand->siglock);
	recalc_sigpending();
	spin_unlock(&current->sighand->siglock);
	irqentry_exit_to_user_mode(regs);
	wasm_exit_to_user(regs);

	wasm_user_mode_tail(WASM_TAIL_SIGNAL);

	/*
	 * It either returned, in user mode, or rt_sigreturn() unwound the
	 * stack up to here; then we are in the kernel already, and the stack
	 * pointer is still where that was.
	 */
	wasm_global_set(__stack_pointer, sp);
	if (thread->user_mode) {
		wasm_irqs_off = 1;
		barrier();
		thread->user_mode = false;
		irqentry_enter_from_user_mode(regs);
		local_irq_enable();
	}
	thread->sigdepth--;
	if (restore_frame(frame, regs))
		force_sig(SIGSEGV);
	local_irq_disable();
	irqentry_exit_to_user_mode(regs);
}

/* The state is restored where the handler was called from. */
SYSCALL_DEFINE0(rt_sigreturn)
{
	if (!current->thread.sigdepth) {
		force_sig(SIGSEGV);
		return 0;
	}
	wasm_user_mode_tail(WASM_TAIL_SIGRETURN);
	unreachable();
}
