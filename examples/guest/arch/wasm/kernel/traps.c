// SPDX-License-Identifier: GPL-2.0-only
/* Traps, oopses, panics and backtraces. */
#include <linux/entry-common.h>
#include <linux/init.h>
#include <linux/kdebug.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/panic_notifier.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/debug.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <asm/bug.h>
#include <asm/host.h>
#include "entry.h"
#include "traps.h"

/* The host writes the kind of a trap here before it calls raise_exception(). */
u32 wasm_trap_code;

/* debug.exception-trace: say so when a program traps */
int show_unhandled_signals = 1;

static const struct {
	const char	*name;
	int		sig;
} wasm_traps[] = {
	[0] = { "unknown trap",				SIGILL },
	[1] = { "memory access out of bounds",		SIGSEGV },
	[2] = { "unreachable code reached",		SIGILL },
	[3] = { "integer division or conversion",	SIGFPE },
	[4] = { "bad indirect call",			SIGSEGV },
	[5] = { "stack overflow",			SIGSEGV },
	[6] = { "trap",					SIGBUS },
};

void __init trap_init(void)
{
}

void show_regs(struct pt_regs *regs)
{
	show_regs_print_info(KERN_DEFAULT);
}

/* One at a time; a trap of the CPU that is reporting one goes no further. */
static arch_spinlock_t die_lock = __ARCH_SPIN_LOCK_UNLOCKED;
static int die_cpu = -1;

__noreturn void die(const char *str, struct pt_regs *regs, long err)
{
	static int die_counter;
	int cpu;

	oops_enter();
	local_irq_disable();
	cpu = raw_smp_processor_id();
	if (READ_ONCE(die_cpu) == cpu)
		wasm_panic("trapped while reporting a trap");
	arch_spin_lock(&die_lock);
	WRITE_ONCE(die_cpu, cpu);
	console_verbose();
	bust_spinlocks(1);

	pr_emerg("Oops: %s [#%d]\n", str, ++die_counter);
	notify_die(DIE_OOPS, str, regs, err, 0, SIGSEGV);
	print_modules();
	show_regs_print_info(KERN_EMERG);
	show_stack(NULL, NULL, KERN_EMERG);

	bust_spinlocks(0);
	add_taint(TAINT_DIE, LOCKDEP_NOW_UNRELIABLE);
	WRITE_ONCE(die_cpu, -1);
	arch_spin_unlock(&die_lock);
	oops_exit();

	if (in_interrupt())
		panic("Fatal exception in interrupt: %s", str);
	if (panic_on_oops)
		panic("Fatal exception: %s", str);
	make_task_dead(SIGSEGV);
}

__noreturn void wasm_bug(const char *file, int line, const char *func)
{
	char buf[128];

	snprintf(buf, sizeof(buf), "kernel BUG at %s:%d in %s()", file, line, func);
	die(buf, NULL, 0);
}

/* The program's frames are gone: there is nothing that a handler could do. */
static __noreturn void user_trap(const char *name, int sig)
{
	struct pt_regs *regs = current_pt_regs();

	wasm_irqs_off = 1;
	current->thread.user_mode = false;
	irqentry_enter_from_user_mode(regs);
	local_irq_enable();
	regs->nr = -1;
	if (show_unhandled_signals && printk_ratelimit())
		pr_info("%s[%d]: wasm trap: %s\n", current->comm,
			task_pid_nr(current), name);
	force_fatal_sig(sig);
	local_irq_disable();
	irqentry_exit_to_user_mode(regs);
	BUG();
}

/*
 * For the host: this task has trapped, and its Wasm frames are gone.  The host
 * has kept a copy of them for wasm_dump_stacktrace().
 */
WASM_EXPORT(raise_exception) void raise_exception(void);
void raise_exception(void)
{
	unsigned long base = (unsigned long)task_stack_page(current);
	unsigned long sp = wasm_global_get(__stack_pointer);
	u32 code = wasm_trap_code;

	wasm_trap_code = 0;
	if (code >= ARRAY_SIZE(wasm_traps))
		code = 0;
	/*
	 * Leave the variables of the lost frames to debuggers, if the stack
	 * has room below them.
	 */
	if (sp < base + THREAD_SIZE / 4 || sp > current->thread.ksp)
		sp = current->thread.ksp;
	else
		sp = (sp - WASM_RED_ZONE) & ~15UL;
	wasm_global_set(__stack_pointer, sp);

	if (current->thread.user_mode)
		user_trap(wasm_traps[code].name, wasm_traps[code].sig);
	die(wasm_traps[code].name, NULL, code);
}

static char trace_buf[4096];
static DEFINE_RAW_SPINLOCK(trace_lock);

void show_stack(struct task_struct *task, unsigned long *sp, const char *loglvl)
{
	unsigned long flags;
	char *p, *line;
	bool ok = true;

	raw_spin_lock_irqsave(&trace_lock, flags);
	trace_buf[0] = 0;
	if (!task || task == current)
		wasm_dump_stacktrace(trace_buf, sizeof(trace_buf));
	else
		ok = !task_curr(task) &&
		     wasm_dump_task(task, trace_buf, sizeof(trace_buf));
	trace_buf[sizeof(trace_buf) - 1] = 0;
	if (ok) {
		p = trace_buf;
		printk("%sCall Trace:\n", loglvl);
		while ((line = strsep(&p, "\n")))
			if (*line)
				printk("%s %s\n", loglvl, line);
	} else {
		printk("%sCall Trace: not available\n", loglvl);
	}
	raw_spin_unlock_irqrestore(&trace_lock, flags);
}

/*
 * The host hears of a panic when all of it has been printed: panic() calls
 * panic_blink() over and over as its last act.
 */
static const char *panic_message;

void wasm_report_panic(void)
{
	if (panic_message)
		wasm_panic(panic_message);
}

static long wasm_panic_blink(int state)
{
	wasm_report_panic();
	return 0;
}

static int wasm_panic_notify(struct notifier_block *nb, unsigned long event,
			     void *message)
{
	/* panic() itself does it where CONFIG_DEBUG_BUGVERBOSE can be had */
	if (!test_taint(TAINT_DIE))
		dump_stack();
	panic_message = message;
	panic_blink = wasm_panic_blink;
	return NOTIFY_DONE;
}

static struct notifier_block wasm_panic_nb = {
	.notifier_call = wasm_panic_notify,
};

void __init wasm_panic_setup(void)
{
	atomic_notifier_chain_register(&panic_notifier_list, &wasm_panic_nb);
}

/* Debuggers are the host's business. */
void ptrace_disable(struct task_struct *child)
{
}

long arch_ptrace(struct task_struct *child, long request, unsigned long addr,
		 unsigned long data)
{
	return -EIO;
}
