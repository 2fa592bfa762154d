// SPDX-License-Identifier: MIT
/*
 * Work in the manner of a kernel, for a comparison of debug modes: linked
 * lists in hash buckets, a treap, sorting through a callback, text.
 */
typedef unsigned int u32;

#define NODES 4096
#define BUCKETS 512

struct node {
	u32 key, priority, hits;
	struct node *left, *right, *next;
};

static struct node nodes[NODES];
static struct node *buckets[BUCKETS];
static u32 used, state;
static char text[256];

static u32 random32(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static struct node *new_node(u32 key)
{
	struct node *node = &nodes[used++ % NODES];

	node->key = key;
	node->priority = random32();
	node->hits = 0;
	node->left = node->right = node->next = 0;
	return node;
}

__attribute__((noinline)) static struct node *rotate(struct node *top, int left)
{
	struct node *up = left ? top->right : top->left;

	if (left) {
		top->right = up->left;
		up->left = top;
	} else {
		top->left = up->right;
		up->right = top;
	}
	return up;
}

__attribute__((noinline)) static struct node *insert(struct node *top, struct node *node)
{
	if (!top)
		return node;
	if (node->key < top->key) {
		top->left = insert(top->left, node);
		if (top->left->priority > top->priority)
			top = rotate(top, 0);
	} else {
		top->right = insert(top->right, node);
		if (top->right->priority > top->priority)
			top = rotate(top, 1);
	}
	return top;
}

__attribute__((noinline)) static struct node *find_bucket(u32 key)
{
	struct node *node;

	for (node = buckets[key % BUCKETS]; node; node = node->next)
		if (node->key == key)
			break;
	return node;
}

static int by_key(const struct node *a, const struct node *b)
{
	return a->key < b->key ? -1 : a->key > b->key;
}

typedef int (*compare_fn)(const struct node *, const struct node *);

__attribute__((noinline)) static void sort(struct node **items, int count, compare_fn compare)
{
	int i, j;

	for (i = 1; i < count; i++) {
		struct node *item = items[i];

		for (j = i; j > 0 && compare(items[j - 1], item) > 0; j--)
			items[j] = items[j - 1];
		items[j] = item;
	}
}

__attribute__((noinline)) static u32 format(char *to, u32 value)
{
	char digits[12];
	u32 count = 0, size = 0;

	do {
		digits[count++] = '0' + value % 10;
		value /= 10;
	} while (value);
	while (count)
		to[size++] = digits[--count];
	to[size] = 0;
	return size;
}

__attribute__((noinline)) static u32 walk(struct node *top)
{
	return top ? walk(top->left) + top->hits + walk(top->right) : 0;
}

__attribute__((visibility("default"), export_name("work"))) u32 work(u32 rounds)
{
	struct node *items[64];
	u32 sum = 0, round, i;

	state = 2463534242u;
	for (round = 0; round < rounds; round++) {
		struct node *top = 0;

		for (i = 0; i < BUCKETS; i++)
			buckets[i] = 0;
		used = 0;
		for (i = 0; i < 1024; i++) {
			u32 key = random32() % 2048;
			struct node *node = find_bucket(key);

			if (node) {
				node->hits++;
				continue;
			}
			node = new_node(key);
			node->next = buckets[key % BUCKETS];
			buckets[key % BUCKETS] = node;
			top = insert(top, node);
		}
		for (i = 0; i < 64; i++)
			items[i] = &nodes[random32() % used];
		sort(items, 64, by_key);
		for (i = 0; i < 64; i++)
			sum += format(text, items[i]->key);
		sum += walk(top);
	}
	return sum;
}
