/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The programs in this module: X(identifier, "name").  Each is a function
 * int identifier_main(int argc, char **argv).  build.py reads this list, too.
 */
#define APPLETS(X)		\
	X(bracket, "[")		\
	X(cat, "cat")		\
	X(chmod, "chmod")	\
	X(clear, "clear")	\
	X(cp, "cp")		\
	X(cut, "cut")		\
	X(date, "date")		\
	X(dd, "dd")			\
	X(dmesg, "dmesg")	\
	X(echo, "echo")		\
	X(env, "env")		\
	X(false, "false")	\
	X(free, "free")		\
	X(grep, "grep")		\
	X(halt, "halt")		\
	X(head, "head")		\
	X(hexdump, "hexdump")	\
	X(hostname, "hostname")	\
	X(id, "id")		\
	X(init, "init")		\
	X(kill, "kill")		\
	X(ln, "ln")		\
	X(ls, "ls")		\
	X(mkdir, "mkdir")	\
	X(mount, "mount")	\
	X(mv, "mv")		\
	X(nproc, "nproc")	\
	X(poweroff, "poweroff")	\
	X(printf, "printf")	\
	X(ps, "ps")		\
	X(pwd, "pwd")		\
	X(reboot, "reboot")	\
	X(rm, "rm")		\
	X(rmdir, "rmdir")	\
	X(seq, "seq")		\
	X(sh, "sh")		\
	X(sleep, "sleep")	\
	X(sort, "sort")		\
	X(stty, "stty")		\
	X(sync, "sync")		\
	X(tail, "tail")		\
	X(taskset, "taskset")		\
	X(tee, "tee")		\
	X(test, "test")		\
	X(time, "time")		\
	X(touch, "touch")	\
	X(tr, "tr")		\
	X(true, "true")		\
	X(tty, "tty")		\
	X(umount, "umount")	\
	X(uname, "uname")	\
	X(uptime, "uptime")	\
	X(wc, "wc")		\
	X(yes, "yes")		\
	/* workloads */		\
	X(fschurn, "fschurn")	\
	X(futexes, "futexes")	\
	X(pingpong, "pingpong")	\
	X(polls, "polls")	\
	X(selftest, "selftest")	\
	X(sigstorm, "sigstorm")	\
	X(spawnstorm, "spawnstorm") \
	X(timers, "timers")	\
	X(wild, "wild")
