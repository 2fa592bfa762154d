/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_FUTEX_H
#define _ASM_WASM_FUTEX_H

#include <linux/futex.h>
#include <linux/uaccess.h>
#include <asm/errno.h>

/* User memory is kernel memory; a misaligned address would trap. */
static __always_inline bool wasm_futex_ok(u32 __user *uaddr)
{
	return access_ok(uaddr, sizeof(u32)) &&
	       IS_ALIGNED((unsigned long)uaddr, sizeof(u32));
}

static inline int arch_futex_atomic_op_inuser(int op, u32 oparg, int *oval,
					      u32 __user *uaddr)
{
	u32 *p = (__force u32 *)uaddr;

	if (!wasm_futex_ok(uaddr))
		return -EFAULT;
	switch (op) {
	case FUTEX_OP_SET:
		*oval = __atomic_exchange_n(p, oparg, __ATOMIC_SEQ_CST);
		break;
	case FUTEX_OP_ADD:
		*oval = __atomic_fetch_add(p, oparg, __ATOMIC_SEQ_CST);
		break;
	case FUTEX_OP_OR:
		*oval = __atomic_fetch_or(p, oparg, __ATOMIC_SEQ_CST);
		break;
	case FUTEX_OP_ANDN:
		*oval = __atomic_fetch_and(p, ~oparg, __ATOMIC_SEQ_CST);
		break;
	case FUTEX_OP_XOR:
		*oval = __atomic_fetch_xor(p, oparg, __ATOMIC_SEQ_CST);
		break;
	default:
		return -ENOSYS;
	}
	return 0;
}

static inline int futex_atomic_cmpxchg_inatomic(u32 *uval, u32 __user *uaddr,
						u32 oldval, u32 newval)
{
	if (!wasm_futex_ok(uaddr))
		return -EFAULT;
	__atomic_compare_exchange_n((__force u32 *)uaddr, &oldval, newval, 0,
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	*uval = oldval;
	return 0;
}

#endif
