/* What the tests of the shadow ELF look at with GDB. */

typedef unsigned long long u64;
typedef long long s64;

struct item {
	struct item *next;
	int id;
	unsigned flags : 3;
	const char *name;
	s64 weight;
};

static struct item pool[4];
struct item *head;
s64 total = -5;
static int calls;
volatile int sink;
volatile s64 wide_sink;

__attribute__((noinline)) static int twice(int x)
{
	calls++;
	return 2 * x;
}

__attribute__((noinline)) static int square(int x)
{
	calls++;
	return x * x;
}

int (*operations[2])(int) = { twice, square };

static inline int clamp(int value, int limit)
{
	int bounded = value > limit ? limit : value;

	sink = bounded;
	return bounded;
}

__attribute__((noinline)) s64 weigh(s64 scale, int id, signed char grade)
{
	static int weighed;
	s64 moved = scale + 0x123456789aLL;
	s64 widened = id;
	s64 constant = -2;
	u64 large = 0xfedcba9876543210ULL;

	weighed++;
	sink = clamp(id, 1000);
	wide_sink = scale;
	sink = grade;
	(void)moved;
	(void)widened;
	(void)constant;
	(void)large;
	return scale * grade;
}

__attribute__((noinline)) int fill(int count)
{
	int local[8];
	int i;

	for (i = 0; i < count; i++) {
		struct item *item = &pool[i & 3];

		local[i & 7] = operations[i & 1](i);
		item->id = local[i & 7];
		item->weight = weigh(item->id, i, (signed char)-i);
		item->next = head;
		head = item;
		total += item->weight;
	}
	sink = local[count & 7];
	return count;
}

__attribute__((noinline)) int never_called(int x)
{
	return x + 1;
}

__attribute__((visibility("default"), export_name("start"))) int start(int n)
{
	return fill(n);
}
