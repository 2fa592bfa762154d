// SPDX-License-Identifier: GPL-2.0-only
/*
 * An empty symbol table for the first link; tools/gen_kallsyms.py makes the
 * real one of the result, for the second.
 */
#include <linux/compiler.h>
#include <linux/types.h>
#include "kallsyms_internal.h"

const __weak int kallsyms_offsets[1] = { 0 };
const __weak u8 kallsyms_names[1] = { 0 };
const __weak unsigned int kallsyms_num_syms = 0;
const __weak unsigned long kallsyms_relative_base = 0;
const __weak char kallsyms_token_table[1] = { 0 };
const __weak u16 kallsyms_token_index[256] = { 0 };
const __weak unsigned int kallsyms_markers[1] = { 0 };
const __weak u8 kallsyms_seqs_of_names[3] = { 0 };
