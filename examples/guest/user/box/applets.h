/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The programs in this module: X(identifier, "name").  Each is a function
 * int identifier_main(int argc, char **argv).  build.py reads this list, too.
 */
#define APPLETS(X)	\
	X(bracket, "[")	\
	X(cat, "cat")	\
	X(echo, "echo")	\
	X(init, "init")	\
	X(kill, "kill")	\
	X(pwd, "pwd")	\
	X(sh, "sh")	\
	X(test, "test")
