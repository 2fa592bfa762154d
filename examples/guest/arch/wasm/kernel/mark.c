// SPDX-License-Identifier: GPL-2.0-only
/* Functions that do nothing: calls of them are what a host records. */
#include <linux/kcsan-checks.h>
#include <asm/wdbg.h>

void wdbg_mark(u32 value)
{
}

#ifndef CONFIG_KCSAN
/* ASSERT_EXCLUSIVE_WRITER() and the like. */
void __kcsan_check_access(const volatile void *ptr, size_t size, int type)
{
}

void kcsan_set_access_mask(unsigned long mask)
{
}

struct kcsan_scoped_access *
kcsan_begin_scoped_access(const volatile void *ptr, size_t size, int type,
			  struct kcsan_scoped_access *sa)
{
	return sa;
}

void kcsan_end_scoped_access(struct kcsan_scoped_access *sa)
{
}
#endif
