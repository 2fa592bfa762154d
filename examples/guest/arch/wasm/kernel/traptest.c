// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traps of the kernel on demand, to see what becomes of them:
 *
 *	echo KIND > /sys/module/traptest/parameters/trap
 *
 * KIND is oob, unreachable, divide, call, stack, atomic (one for each kind of
 * trap in asm/host.h), bug, panic or warn.
 */
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/panic.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static volatile int zero;

static noinline void trap_oob(void)
{
	*(volatile int *)(0xfffffff0UL + zero) = 1;
}

static noinline void trap_unreachable(void)
{
	__builtin_trap();
}

static noinline void trap_divide(void)
{
	zero = 100 / zero;	/* of 1 / x, no division would be left */
}

/* Table entry 0 is empty. */
static noinline void trap_call(void)
{
	((void (*)(void))(unsigned long)zero)();
}

/* Without variables in memory: only the host's stack overflows. */
static noinline int recurse(int n)
{
	int result = recurse(n + 1);

	asm volatile("" : : "r" (result));
	return result + n;
}

static noinline void trap_stack(void)
{
	recurse(zero);
}

static noinline void trap_atomic(void)
{
	int *p = (int *)((char *)&zero + 1);

	OPTIMIZER_HIDE_VAR(p);
	__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
}

static noinline void trap_bug(void)
{
	BUG();
}

static noinline void trap_panic(void)
{
	panic("traptest");
}

static noinline void trap_warn(void)
{
	WARN(1, "traptest");
}

static const struct {
	const char	*name;
	void		(*fn)(void);
} kinds[] = {
	{ "oob",		trap_oob },
	{ "unreachable",	trap_unreachable },
	{ "divide",		trap_divide },
	{ "call",		trap_call },
	{ "stack",		trap_stack },
	{ "atomic",		trap_atomic },
	{ "bug",		trap_bug },
	{ "panic",		trap_panic },
	{ "warn",		trap_warn },
};

static int trap_set(const char *value, const struct kernel_param *kp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (sysfs_streq(value, kinds[i].name)) {
			kinds[i].fn();
			return 0;
		}
	}
	return -EINVAL;
}

static const struct kernel_param_ops trap_ops = {
	.set = trap_set,
};
module_param_cb(trap, &trap_ops, NULL, 0200);
MODULE_PARM_DESC(trap, "trap in the kernel in this way, now");
