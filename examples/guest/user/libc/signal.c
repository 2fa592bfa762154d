// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Running a signal handler: see <asm/sigframe.h>. */
#include "libc.h"
#include <asm/sigframe.h>

void __signal_c(const struct wasm_sigframe *frame);

/* Called by __libc_handle_signal in start.S, on top of what was running. */
void __signal_c(const struct wasm_sigframe *frame)
{
	/* A call through a pointer must have the callee's own signature. */
	if (frame->flags & SA_SIGINFO)
		((signal_action)frame->handler)(frame->signo, (siginfo_t *)frame->info,
						(void *)frame->uc);
	else
		((signal_handler)frame->handler)(frame->signo);
	my_syscall0(__NR_rt_sigreturn);		/* does not return */
}
