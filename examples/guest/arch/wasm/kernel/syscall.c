// SPDX-License-Identifier: GPL-2.0-only
#include <linux/syscalls.h>
#include <asm/syscall.h>

#define __SYSCALL_WITH_COMPAT(nr, native, compat) __SYSCALL(nr, native)

#undef __SYSCALL
#define __SYSCALL(nr, call)	asmlinkage long call(const struct pt_regs *);
#define sys_ni_syscall __wasm_unused_ni
#include <asm/syscall_table_32.h>

/* sys_ni_syscall() has another signature, which call_indirect would reject */
static long wasm_ni_syscall(const struct pt_regs *regs)
{
	return -ENOSYS;
}
#undef sys_ni_syscall
#define sys_ni_syscall wasm_ni_syscall

#undef __SYSCALL
#define __SYSCALL(nr, call)	[nr] = call,
const syscall_fn_t sys_call_table[__NR_syscalls] = {
	[0 ... __NR_syscalls - 1] = sys_ni_syscall,
#include <asm/syscall_table_32.h>
};

SYSCALL_DEFINE6(mmap2, unsigned long, addr, unsigned long, len,
		unsigned long, prot, unsigned long, flags,
		unsigned long, fd, unsigned long, pgoff)
{
	return ksys_mmap_pgoff(addr, len, prot, flags, fd, pgoff);
}
