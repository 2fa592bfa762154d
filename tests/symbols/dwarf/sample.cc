// C++: namespaces, references, methods, templates, inheritance.
extern "C" int outside(int *p, int n);
namespace space {
struct base { int b; virtual ~base() {} };
template <typename T> struct box : base {
	T content;
	T &get() { return content; }
	static int made;
};
template <typename T> int box<T>::made = 3;
class hidden { int secret = 5; public: int tell(int n) { return outside(&secret, n); } };
}
void operator delete(void *, unsigned long) {}
extern "C" int entry(int n, char **)
{
	space::box<long> b;
	b.content = n;
	space::hidden h;
	auto lambda = [&](int k) { return outside(&n, k) + h.tell(k); };
	return int(b.get()) + lambda(n) + space::box<long>::made;
}
