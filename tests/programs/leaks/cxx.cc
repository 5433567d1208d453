// SPDX-License-Identifier: MIT
// Cases of C++; leaks/truth.h says what a case is.
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "truth.h"

namespace
{
struct small {
	long a, b;
};

struct alignas(128) wide {
	char bytes[256];
};

struct base {
	virtual ~base() = default;
	int number = 1;
};

struct derived : base {
	std::string text = std::string(100, 'x');
};

void scalar()
{
	LEAK(touch(new small), sizeof(small));
	delete static_cast<small *>(touch(new small));
}

void array()
{
	LEAK(touch(new char[1000]), 1000);
	delete[] static_cast<char *>(touch(new char[1000]));
}

// An array of what has a destructor begins with its length.
void array_of_objects()
{
	auto *objects = static_cast<std::string *>(touch(new std::string[3]));
	LEAK(reinterpret_cast<char *>(objects) - sizeof(size_t), 3 * sizeof(std::string) + sizeof(size_t));
	delete[] static_cast<std::string *>(touch(new std::string[5]));
}

void nothrow()
{
	LEAK(touch(new (std::nothrow) small), sizeof(small));
	LEAK(touch(new (std::nothrow) char[77]), 77);
	delete[] static_cast<char *>(touch(new (std::nothrow) char[78]));
	// Kept from the compiler, which knows a size that cannot be.
	volatile size_t huge = static_cast<size_t>(std::numeric_limits<ptrdiff_t>::max()) - 100;
	check(!touch(new (std::nothrow) char[huge]), "nothrow gives null");
}

void aligned()
{
	auto *block = static_cast<wide *>(touch(new wide));
	check(reinterpret_cast<uintptr_t>(block) % 128 == 0, "aligned");
	LEAK(block, sizeof(wide));
	delete static_cast<wide *>(touch(new wide));
	delete[] static_cast<wide *>(touch(new wide[3]));
}

void by_name()
{
	LEAK(touch(::operator new(40)), 40);
	::operator delete(touch(::operator new(41)));
	::operator delete(touch(::operator new(42)), 42);
	::operator delete[](touch(::operator new[](43)), std::nothrow);
	::operator delete(touch(::operator new(44, std::align_val_t(64))), 44, std::align_val_t(64));
}

int handled;

void handle()
{
	if (++handled == 3)
		std::set_new_handler(nullptr);
}

void refused()
{
	volatile size_t huge = static_cast<size_t>(std::numeric_limits<ptrdiff_t>::max()) - 100;
	bool thrown = false;
	std::set_new_handler(handle);
	try {
		touch(new char[huge]);
	} catch (const std::bad_alloc &) {
		thrown = true;
	}
	check(thrown, "bad_alloc");
	check(handled == 3, "the new handler is asked until it gives up");
}

void exceptions()
{
	for (int i = 0; i < 100; i++) {
		try {
			throw std::string(100, 'x');
		} catch (const std::string &) {
		}
	}
	LEAK(touch(new small), sizeof(small));
}

void containers()
{
	std::map<int, std::string> map;
	for (int i = 0; i < 1000; i++)
		map[i] = std::string(static_cast<size_t>(i % 100), 'x');
	std::vector<int> vector;
	for (int i = 0; i < 100000; i++)
		vector.push_back(i);
}

void vector_leaked()
{
	auto *vector = static_cast<std::vector<int> *>(touch(new std::vector<int>));
	vector->reserve(100);
	LEAK(vector, sizeof(*vector));
	LEAK(vector->data(), 400);
}

void pointers()
{
	auto owned = std::make_unique<small>();
	auto shared = std::make_shared<derived>();
	auto also = shared;
	LEAK(touch(owned.release()), sizeof(small));
}

void virtual_destructor()
{
	delete static_cast<base *>(touch(static_cast<base *>(new derived)));
	LEAK(touch(new base), sizeof(base));
}

struct throws {
	throws()
	{
		throw 1;
	}
	char bytes[64];
};

// Of an object whose constructor throws, the memory is given back.
void constructor_throws()
{
	for (int i = 0; i < 10; i++) {
		try {
			delete new throws;
		} catch (int) {
		}
	}
}

void threads()
{
	std::vector<std::thread> threads;
	for (int i = 0; i < 4; i++)
		threads.emplace_back([] {
			for (int j = 0; j < 100; j++)
				delete static_cast<std::string *>(touch(new std::string(100, 'x')));
			LEAK(touch(new small), sizeof(small));
		});
	for (auto &thread : threads)
		thread.join();
}

void placed()
{
	char *memory = new char[sizeof(derived)];
	auto *object = new (memory) derived;
	object->~derived();
	LEAK(touch(memory), sizeof(derived));
}

void long_string()
{
	auto *text = static_cast<std::string *>(touch(new std::string(1000, 'x')));
	LEAK(text, sizeof(*text));
	leak_of(text->data(), 1001, "libstdc++.so.6"); // which has the constructor
}

void malloc_beside_new()
{
	LEAK(touch(malloc(33)), 33);
	LEAK(touch(new char[34]), 34);
	free(touch(malloc(35)));
}
} // namespace

#define CASE(name) { #name, name }

int main(int argc, char **argv)
{
	static const truth cases[] = { CASE(scalar), CASE(array), CASE(array_of_objects), CASE(nothrow), CASE(aligned),
		CASE(by_name), CASE(refused), CASE(exceptions), CASE(containers), CASE(vector_leaked), CASE(pointers),
		CASE(virtual_destructor), CASE(constructor_throws), CASE(threads), CASE(placed), CASE(long_string), CASE(malloc_beside_new) };

	return truth_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
