// SPDX-License-Identifier: GPL-2.0-only
#include <linux/console.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <asm/host.h>
#include <asm/sections.h>
#include <asm/setup.h>
#include "traps.h"

unsigned long empty_zero_page[PAGE_SIZE / sizeof(unsigned long)]
	__page_aligned_bss;
unsigned long memory_start, memory_end;

/*
 * Boundaries of sections that do not exist: code is not in memory, and init
 * data is neither gathered nor freed.  Those which are looped over come in
 * pairs that asm/toolchain.h makes one.
 */
#define NOWHERE(s)	char s[1]
NOWHERE(_text);
NOWHERE(_stext);
NOWHERE(_etext);
NOWHERE(_sinittext);
NOWHERE(_einittext);
NOWHERE(__init_begin);
NOWHERE(__init_end);
NOWHERE(_data);
NOWHERE(__start_rodata);
NOWHERE(__end_rodata);
NOWHERE(__start_ro_after_init);
NOWHERE(__end_ro_after_init);
NOWHERE(__sched_text_start);
NOWHERE(__sched_text_end);
NOWHERE(__lock_text_start);
NOWHERE(__lock_text_end);
NOWHERE(__cpuidle_text_start);
NOWHERE(__cpuidle_text_end);
NOWHERE(__irqentry_text_start);
NOWHERE(__irqentry_text_end);
NOWHERE(__softirqentry_text_start);
NOWHERE(__softirqentry_text_end);
NOWHERE(__kprobes_text_start);
NOWHERE(__kprobes_text_end);
NOWHERE(__noinstr_text_start);
NOWHERE(__noinstr_text_end);
NOWHERE(__entry_text_start);
NOWHERE(__entry_text_end);
NOWHERE(__start_once);
NOWHERE(__ctors_start);

static void early_write(struct console *con, const char *s, unsigned int n)
{
	while (n) {
		int done = wasm_driver_hvc_put(s, n);

		if (done <= 0)
			return;
		s += done;
		n -= done;
	}
}

static struct console early_console_wasm = {
	.name	= "wasmboot",
	.write	= early_write,
	.flags	= CON_PRINTBUFFER | CON_BOOT | CON_ANYTIME,
	.index	= -1,
};

/*
 * The host has given us enough for the kernel and the initramfs.  Take all
 * that it allows, but stay below the numbers that stand for code.
 */
static void __init grow_memory(void)
{
	unsigned long pages = __builtin_wasm_memory_size(0);
	unsigned long limit = WASM_CODE_BASE / WASM_PAGE_SIZE - 1;
	unsigned long step;

	for (step = limit; step && pages < limit; ) {
		step = min(step, limit - pages);
		if (__builtin_wasm_memory_grow(0, step) == ~0UL)
			step /= 2;
		else
			pages += step;
	}
	/* a host may have given us more than we can use, or all of 4 GiB */
	memory_end = min(pages, limit) * WASM_PAGE_SIZE;
}

#ifdef CONFIG_WASM_TORTURE_ON_DEMAND
/*
 * Keep a built-in test from starting, unless it is mentioned: by a parameter
 * that anybody can see in /proc/cmdline.
 */
static void __init torture_on_demand(const char *prefix, const char *initcall)
{
	if (!strstr(boot_command_line, prefix)) {
		strlcat(boot_command_line, " initcall_blacklist=", COMMAND_LINE_SIZE);
		strlcat(boot_command_line, initcall, COMMAND_LINE_SIZE);
	}
}
#endif

void __init setup_arch(char **cmdline_p)
{
	unsigned long max_zone_pfn[MAX_NR_ZONES] = { 0 };
	unsigned int cpu;

	wasm_panic_setup();
#ifdef CONFIG_WASM_TORTURE_ON_DEMAND
	torture_on_demand("locktorture.", "lock_torture_init");
	torture_on_demand("rcutorture.", "rcu_torture_init");
	torture_on_demand("ww_mutex_selftest.", "test_ww_mutex_init");
#endif
	*cmdline_p = boot_command_line;
	parse_early_param();
	/* not before "quiet" and its like are known; earlier lines are kept */
	register_console(&early_console_wasm);

	grow_memory();
	memory_start = PAGE_ALIGN((unsigned long)_end);
	if (memory_end < SZ_16M)
		panic("The host gives us %lu KiB of memory, we need 16 MiB",
		      memory_end / 1024);
	memblock_add(0, memory_end);
	memblock_reserve(0, memory_start);
	if (initrd_start)
		memblock_reserve(initrd_start, initrd_end - initrd_start);

	init_mm.start_code = init_mm.end_code = 0;
	init_mm.end_data = init_mm.brk = memory_start;
	min_low_pfn = 0;
	max_low_pfn = max_pfn = memory_end >> PAGE_SHIFT;
	max_mapnr = max_pfn;
	high_memory = (void *)memory_end;
	max_zone_pfn[ZONE_NORMAL] = max_pfn;
	free_area_init(max_zone_pfn);

	/* nr_cpus= has been seen */
	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		set_cpu_possible(cpu, true);
}

void __init mem_init(void)
{
	memblock_free_all();
}

/* Data of __init code lies amid other data. */
void free_initmem(void)
{
}

static int c_show(struct seq_file *m, void *v)
{
	unsigned long cpu = (unsigned long)v - 1;

	seq_printf(m, "processor\t: %lu\n", cpu);
	seq_puts(m, "vendor_id\t: WebAssembly\n");
	seq_puts(m, "model name\t: wasm32 virtual processor\n");
	seq_puts(m, "flags\t\t: atomics bulk-memory\n");
	seq_printf(m, "bogomips\t: %lu.%02lu\n", loops_per_jiffy / (500000 / HZ),
		   loops_per_jiffy / (5000 / HZ) % 100);
	seq_puts(m, "address sizes\t: 32 bits physical, 32 bits virtual\n\n");
	return 0;
}

static void *c_start(struct seq_file *m, loff_t *pos)
{
	*pos = cpumask_next(*pos - 1, cpu_online_mask);
	return *pos < nr_cpu_ids ? (void *)(unsigned long)(*pos + 1) : NULL;
}

static void *c_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return c_start(m, pos);
}

static void c_stop(struct seq_file *m, void *v)
{
}

const struct seq_operations cpuinfo_op = {
	.start	= c_start,
	.next	= c_next,
	.stop	= c_stop,
	.show	= c_show,
};
