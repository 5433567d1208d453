// SPDX-License-Identifier: MIT
// As symbols-subject.c, in C++: names with namespaces, templates and arguments, their blanks as `~`.
#include <cstdio>
#include <string>
#include <vector>

__attribute__((noinline)) void tell(const char *function)
{
	printf("%p %s 0 -\n", __builtin_return_address(0), function);
}
#define TELL(name)                                                                                           \
	do {                                                                                                 \
		tell(name);                                                                                  \
		__asm__ volatile("" ::: "memory");                                                           \
	} while (0)

namespace shop {
template <typename T> class Shelf {
      public:
	__attribute__((noinline)) void put(const T &, int)
	{
		TELL("shop::Shelf<int>::put(int~const&,~int)");
	}
};

__attribute__((noinline)) int count(const std::vector<int> &list, char)
{
	TELL("shop::count(std::vector<int,~std::allocator<int>~>~const&,~char)");
	return (int)list.size();
}
} // namespace shop

extern "C" __attribute__((noinline)) void plain()
{
	TELL("plain");
}

int main()
{
	shop::Shelf<int> shelf;
	shelf.put(1, 2);
	shop::count({ 1 }, 'x');
	plain();
	puts(".");
	fflush(stdout);
	return getchar() == EOF ? 0 : 1;
}
