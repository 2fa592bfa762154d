// SPDX-License-Identifier: GPL-2.0-only
/* Assembly needs no offsets; Kbuild wants the file. */
int main(void)
{
	return 0;
}
