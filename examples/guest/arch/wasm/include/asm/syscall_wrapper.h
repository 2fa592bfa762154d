/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * call_indirect checks the signature, so all entries of sys_call_table have one
 * type: long (*)(const struct pt_regs *).
 *
 * A 64-bit argument takes two argument slots, the low half first, without
 * padding for alignment.  The slots of a call are therefore laid out as a
 * packed structure of its arguments, which is how they are taken out.
 */
#ifndef _ASM_WASM_SYSCALL_WRAPPER_H
#define _ASM_WASM_SYSCALL_WRAPPER_H

#include <asm/ptrace.h>

/* __MAP() of <linux/syscalls.h> without the commas */
#define __WASM_MAP1(m, t, a)		m(t, a)
#define __WASM_MAP2(m, t, a, ...)	m(t, a) __WASM_MAP1(m, __VA_ARGS__)
#define __WASM_MAP3(m, t, a, ...)	m(t, a) __WASM_MAP2(m, __VA_ARGS__)
#define __WASM_MAP4(m, t, a, ...)	m(t, a) __WASM_MAP3(m, __VA_ARGS__)
#define __WASM_MAP5(m, t, a, ...)	m(t, a) __WASM_MAP4(m, __VA_ARGS__)
#define __WASM_MAP6(m, t, a, ...)	m(t, a) __WASM_MAP5(m, __VA_ARGS__)
#define __WASM_SLOT(t, a)		__SC_LONG(t, a);
#define __WASM_ARG(t, a)		__slots->a

#define __SYSCALL_DEFINEx(x, name, ...)					\
	asmlinkage long sys##name(const struct pt_regs *regs);		\
	ALLOW_ERROR_INJECTION(sys##name, ERRNO);			\
	static long __se_sys##name(__MAP(x,__SC_LONG,__VA_ARGS__));	\
	static inline long __do_sys##name(__MAP(x,__SC_DECL,__VA_ARGS__)); \
	asmlinkage long sys##name(const struct pt_regs *regs)		\
	{								\
		const struct {						\
			__WASM_MAP##x(__WASM_SLOT, __VA_ARGS__)		\
		} __packed *__slots = (const void *)regs->args;		\
									\
		BUILD_BUG_ON(sizeof(*__slots) > sizeof(regs->args));	\
		return __se_sys##name(__MAP(x,__WASM_ARG,__VA_ARGS__));	\
	}								\
	static long __se_sys##name(__MAP(x,__SC_LONG,__VA_ARGS__))	\
	{								\
		long ret = __do_sys##name(__MAP(x,__SC_CAST,__VA_ARGS__)); \
		__MAP(x,__SC_TEST,__VA_ARGS__);				\
		__PROTECT(x, ret,__MAP(x,__SC_ARGS,__VA_ARGS__));	\
		return ret;						\
	}								\
	static inline long __do_sys##name(__MAP(x,__SC_DECL,__VA_ARGS__))

#define SYSCALL_DEFINE0(name)						\
	SYSCALL_METADATA(_##name, 0);					\
	asmlinkage long sys_##name(const struct pt_regs *__unused);	\
	ALLOW_ERROR_INJECTION(sys_##name, ERRNO);			\
	asmlinkage long sys_##name(const struct pt_regs *__unused)

#define COND_SYSCALL(name)						\
	asmlinkage long __weak sys_##name(const struct pt_regs *regs);	\
	asmlinkage long __weak sys_##name(const struct pt_regs *regs)	\
	{								\
		return -ENOSYS;						\
	}

#endif
