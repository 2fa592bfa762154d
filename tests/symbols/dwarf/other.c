#include "sample.h"

static int counter = 4;

__attribute__((noinline)) static int weigh(int n)
{
	counter += n;
	outside(&counter, n);
	return counter;
}

__attribute__((weak)) int replaced(int n)
{
	return -38;
}

int helper(int n)
{
	return weigh(n) + weigh(n + 1) + replaced(n);
}
