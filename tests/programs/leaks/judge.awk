# SPDX-License-Identifier: MIT
# The verdict on a case: reads what it said and what was on record when it had ended (shadow run), prints what does not
# agree. -v self=NAME: the program's. What the C++ library,
# the loader and the allocator take for themselves is no leak.
$1 == "expect" {
	size[$2] = $3
	module[$2] = $4 == "self" ? self : $4
	next
}
$1 == "failed:" {
	print
	next
}
$1 == "block" {
	site = $6 == "name" ? "name:" $7 ($8 ? "_" $8 : "") : $6
	found[$2] = $3
	by[$2] = $5 == "kept" ? "kept" : site
}
END {
	for (addr in size)
		if (!(addr in found))
			print "not on record: " addr " of " size[addr]
		else if (found[addr] != size[addr] || by[addr] != module[addr])
			print "on record as " found[addr] " of " by[addr] ", is " size[addr] " of " module[addr]
	for (addr in found)
		if (!(addr in size) && by[addr] !~ /^(ld-linux|libstdc\+\+|lib(je|tc|mi)malloc)/)
			print "no leak, on record: " addr " " found[addr] " of " by[addr]
}
