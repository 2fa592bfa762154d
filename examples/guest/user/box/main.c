// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The multi-call program: picks the applet that the program's name asks for. */
#include "box.h"

/*
 * Names and a switch rather than a table of structures: a table with pointers
 * would need relocations, see build.py.
 */
#define NAME(id, name)	name "\0"
static const char names[] = APPLETS(NAME);
#undef NAME

enum applet {
#define ID(id, name)	APPLET_##id,
	APPLETS(ID)
#undef ID
	APPLET_NONE
};

static enum applet find(const char *name)
{
	const char *p = names;
	int i;

	for (i = 0; i < APPLET_NONE; i++, p += strlen(p) + 1)
		if (!strcmp(p, name))
			break;
	return i;
}

int is_applet(const char *name)
{
	return find(name) != APPLET_NONE;
}

int run_applet(const char *name, int argc, char **argv)
{
	program = name;
	switch (find(name)) {
#define CASE(id, name)	case APPLET_##id: return id##_main(argc, argv);
	APPLETS(CASE)
#undef CASE
	default:
		return -1;
	}
}

int main(int argc, char **argv)
{
	const char *name = argc ? base_name(argv[0]) : "box", *p = names;
	int status;

	if (!strcmp(name, "box") && argc > 1) {
		argc--;
		argv++;
		name = argv[0];
	}
	if (*name == '-')		/* a login shell's name */
		name++;
	status = run_applet(name, argc, argv);
	if (status >= 0)
		return status;
	if (strcmp(name, "box")) {
		program = "box";
		warnx("%s: no such program", name);
		return 127;
	}
	for (int i = 0; i < APPLET_NONE; i++, p += strlen(p) + 1)
		puts(p);
	return 0;
}
