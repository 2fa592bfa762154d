// SPDX-License-Identifier: GPL-2.0-only
/*
 * Only the host can walk the Wasm stack.  An entry is WASM_CODE_BASE plus the
 * offset in the code section, see asm/sections.h.
 */
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <asm/host.h>
#include <asm/sections.h>

noinline void arch_stack_walk(stack_trace_consume_fn consume_entry,
			      void *cookie, struct task_struct *task,
			      struct pt_regs *regs)
{
	u32 entries[64];
	int i, n;

	if (task && task != current)
		return;
	n = wasm_stack_save(entries, ARRAY_SIZE(entries));
	/* the first is this function */
	for (i = 1; i < n; i++)
		if (!consume_entry(cookie, WASM_CODE_BASE + entries[i]))
			break;
}
