// SPDX-License-Identifier: MIT
// What leaks/loaded.h loads while it runs, with the C++ library.
#include <cstddef>
#include <string>

extern "C" void *plugin_leak_cxx(size_t size)
{
	delete new std::string(100, 'x');
	return new char[size];
}
