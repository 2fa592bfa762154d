/* Everything that the index knows, in one unit; `truth` is what the compiler says of the types. */
#include "sample.h"

enum color { RED, GREEN = 5, BLUE };
enum wide { MINUS = -3, PLUS = 100000 };
typedef enum color paint;
typedef union { int i; float f; unsigned char raw[8]; } value_t;
typedef int (*callback)(struct point *, const char *restrict, ...);

struct inner { short s; };
struct everything {
	char c;
	struct { int a; union { long long b; char text[3][4]; }; };
	unsigned one : 1, five : 5, : 0, next : 7;
	long long wide : 33;
	struct inner named[2];
	const volatile struct everything *self;
	callback call;
	value_t value;
	paint colour;
	enum wide far;
	_Bool flag;
	double d;
	struct unknown *opaque;
	int tail[];
};
typedef struct everything everything_t;

#define AT(path) __builtin_offsetof(struct everything, path)
__attribute__((used)) const unsigned truth[] = {
	sizeof(struct everything), AT(c), AT(a), AT(b), AT(text), AT(named), AT(self), AT(call),
	AT(value), AT(colour), AT(far), AT(flag), AT(d), AT(opaque), AT(tail), AT(named[1].s),
};

everything_t thing = { .a = 7, .five = 9, .wide = 5 };
enum wide distance = PLUS;
static int counter = 1;
static struct point *volatile last;
int matrix[3][4];

static inline __attribute__((always_inline)) int twice(int v)
{
	int w = v * 2;
	counter += w;
	return w;
}

static inline __attribute__((always_inline)) int four_times(int v)
{
	return twice(twice(v) + 1);
}

__attribute__((noinline)) static int weigh(struct point *p, int n)
{
	static int calls = 3;
	int sum = 0;
	for (int i = 0; i < n; i++) {
		int k = four_times(p[i].x);
		sum += k ^ i;
		if (sum & 1)
			outside(&sum, k);
	}
	calls += sum;
	last = p;
	return sum + calls;
}

__attribute__((noinline)) static long long factorial(int n)
{
	return n <= 1 ? 1 : n * factorial(n - 1);
}

__attribute__((noinline)) int left_out(int q)
{
	int r = q * 3;
	return outside(&r, q);
}

__attribute__((noinline)) static double floats(float f, double d)
{
	double sum = f * d;
	{
		float inner = sum > 2 ? f : 1.5f;
		sum += inner;
		outside((int *)&inner, 1);
	}
	return sum;
}

__attribute__((noinline)) int replaced(int n)
{
	int twice = n * 2;
	outside(&twice, n);
	return twice + n;
}

int entry(int n, char **words)
{
	int array[n];
	struct point points[2] = { { n, 2 }, { 3, 4 } };
	for (int i = 0; i < n; i++)
		array[i] = (int)factorial(i) + words[i][0];
	outside(array, n);
	return weigh(points, 2) + array[0] + (int)floats(n, 2.5) + helper(n) + replaced(n) + distance + thing.a
		+ matrix[1][n];
}
