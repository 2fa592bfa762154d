// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Running a signal handler. */
#include "libc.h"

__attribute__((export_name("__libc_handle_signal"))) void __libc_handle_signal(void);
void __libc_handle_signal(void)
{
	my_syscall0(__NR_rt_sigreturn);
}
