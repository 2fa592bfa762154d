/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_ASM_WASM_SETUP_H
#define _UAPI_ASM_WASM_SETUP_H

/* with the terminating NUL; the host writes it to boot_command_line */
#define COMMAND_LINE_SIZE	4096

#endif
