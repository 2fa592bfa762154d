// SPDX-License-Identifier: GPL-2.0-only
/*
 * Position-independent Wasm programs: shared modules (wasm-ld -shared) with a
 * "dylink.0" section, which tells how much memory they want.  A program lives
 * in the memory that the kernel lives in.  The kernel allocates its data and
 * stack; the host compiles the module and places its code.
 */
#include <linux/binfmts.h>
#include <linux/elf.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/personality.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/host.h>

/* besides arguments and environment; nothing is there to grow it on demand */
#define WASM_USER_STACK	(128 * 1024)

struct dylink {
	u32 mem_size, mem_align;	/* bytes; power of two */
	u32 table_size;			/* function table entries */
};

static int read_leb(const u8 **p, const u8 *end, u32 *out)
{
	unsigned int shift;

	*out = 0;
	for (shift = 0; *p < end && shift < 35; shift += 7) {
		u8 byte = *(*p)++;

		*out |= (u32)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return 0;
	}
	return -ENOEXEC;
}

/*
 * dylink.0 must be the first section and WASM_DYLINK_MEM_INFO (1) the first of
 * its subsections, as the tool conventions demand and wasm-ld does.
 */
static int parse_dylink(const u8 *p, const u8 *end, struct dylink *dl)
{
	static const char name[] = "dylink.0";
	u32 size, len;

	if (memcmp(p, "\0asm\1\0\0\0", 8))
		return -ENOEXEC;
	p += 8;
	if (*p++ != 0 || read_leb(&p, end, &size) || read_leb(&p, end, &len))
		return -ENOEXEC;
	if (len != strlen(name) || end - p <= len || memcmp(p, name, len))
		return -ENOEXEC;
	p += len;
	if (*p++ != 1 || read_leb(&p, end, &size) ||
	    read_leb(&p, end, &dl->mem_size) ||
	    read_leb(&p, end, &dl->mem_align) ||
	    read_leb(&p, end, &dl->table_size))
		return -ENOEXEC;
	if (dl->mem_size > TASK_SIZE || dl->mem_align > PAGE_SHIFT)
		return -ENOEXEC;
	return 0;
}

/* argc, argv, envp and auxiliary vector, as every Linux has them. */
static unsigned long make_stack(struct linux_binprm *bprm, unsigned long sp)
{
	struct mm_struct *mm = current->mm;
	unsigned long str = sp, rnd = (sp & ~15UL) - 16, *p;
	const unsigned long aux[] = {
		AT_PAGESZ, PAGE_SIZE,
		AT_SECURE, bprm->secureexec,
		AT_RANDOM, rnd,
		AT_NULL, 0,
	};
	int i;

	get_random_bytes((void *)rnd, 16);
	sp = rnd - ALIGN((bprm->argc + bprm->envc + 3) * sizeof(long) +
			 sizeof(aux), 16);
	p = (unsigned long *)sp;
	*p++ = bprm->argc;
	mm->arg_start = str;
	for (i = 0; i < bprm->argc; i++) {
		*p++ = str;
		str += strlen((char *)str) + 1;
	}
	*p++ = 0;
	mm->arg_end = mm->env_start = str;
	for (i = 0; i < bprm->envc; i++) {
		*p++ = str;
		str += strlen((char *)str) + 1;
	}
	*p++ = 0;
	mm->env_end = str;
	memcpy(p, aux, sizeof(aux));
	return sp;
}

static struct linux_binfmt wasm_format;

static int load_wasm_binary(struct linux_binprm *bprm)
{
	struct thread_struct *thread = &current->thread;
	unsigned long bin, data, sp, stack, total;
	struct mm_struct *mm;
	struct dylink dl;
	loff_t size;
	int ret;

	ret = parse_dylink(bprm->buf, bprm->buf + sizeof(bprm->buf), &dl);
	if (ret)
		return ret;
	size = i_size_read(file_inode(bprm->file));
	if (size > TASK_SIZE)
		return -ENOEXEC;

	ret = begin_new_exec(bprm);
	if (ret)
		return ret;
	set_personality(PER_LINUX);
	setup_new_exec(bprm);
	mm = current->mm;

	/* Kept for as long as the program runs: threads are made from it. */
	bin = vm_mmap(bprm->file, 0, size, PROT_READ, MAP_PRIVATE, 0);
	if (IS_ERR_VALUE(bin))
		return bin;
	/* strings, and the vectors of make_stack() */
	stack = WASM_USER_STACK + PAGE_SIZE * MAX_ARG_PAGES - bprm->p +
		(bprm->argc + bprm->envc + 32) * sizeof(long);
	total = PAGE_ALIGN(dl.mem_size) + PAGE_ALIGN(stack);
	data = vm_mmap(NULL, 0, total, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(data))
		return data;

	mm->start_code = bin;
	mm->end_code = bin + size;
	mm->start_data = data;
	mm->end_data = data + dl.mem_size;
	mm->start_brk = mm->brk = data + PAGE_ALIGN(dl.mem_size);
	mm->context.end_brk = mm->brk;

	sp = data + total;
	ret = transfer_args_to_stack(bprm, &sp);
	if (ret)
		return ret;
	sp = make_stack(bprm, sp);
	mm->start_stack = sp;

	thread->bin_start = bin;
	thread->bin_end = bin + size;
	thread->data_start = data;
	thread->table_start = 0;

	set_binfmt(&wasm_format);
	finalize_exec(bprm);
	start_thread(current_pt_regs(), 0, sp);
	wasm_load_executable(bin, bin + size, data, 0);
	return 0;
}

static struct linux_binfmt wasm_format = {
	.module		= THIS_MODULE,
	.load_binary	= load_wasm_binary,
};

static int __init init_wasm_binfmt(void)
{
	register_binfmt(&wasm_format);
	return 0;
}
core_initcall(init_wasm_binfmt);
