#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# libmemfs-preload.so by itself: what is on record, to the byte, and that its host does not notice. tests/programs/shadow
# plays the collector.
load helpers
load programs

setup_file() {
	SHIM=$MEMFS_BUILD/libmemfs-preload.so
	export SHIM
	build_programs guest own-malloc || return 1
	cc -std=gnu17 -D_GNU_SOURCE -O1 -I"$TOP" -o "$BATS_FILE_TMPDIR/shadow" "$TOP/tests/programs/shadow.c" -lm || return 1
	cc -std=gnu17 -D_GNU_SOURCE -O1 -w -I"$TOP" -o "$BATS_FILE_TMPDIR/c" "$TOP/tests/programs/leaks/c.c" -pthread || return 1
	c++ -std=c++17 -O1 -w -o "$BATS_FILE_TMPDIR/cxx" "$TOP/tests/programs/leaks/cxx.cc" -pthread || return 1
	cc -shared -fPIC -O1 -o "$BATS_FILE_TMPDIR/plugin.so" "$TOP/tests/programs/leaks/plugin.c" || return 1
	c++ -shared -fPIC -O1 -o "$BATS_FILE_TMPDIR/plugin_cxx.so" "$TOP/tests/programs/leaks/plugin_cxx.cc" || return 1
}

setup() {
	PATH=$BATS_FILE_TMPDIR:$PATH
	export PLUGIN=$BATS_FILE_TMPDIR/plugin.so PLUGIN_CXX=$BATS_FILE_TMPDIR/plugin_cxx.so
	# Nobody is to hear of these processes.
	export MEMFS_RUN=$BATS_TEST_TMPDIR
}

teardown() {
	teardown_memfs
}

# with_shim CMD...: CMD with the shim.
with_shim() {
	env LD_PRELOAD="$SHIM" "$@"
}

# judge PROGRAM CASE [ALLOCATOR]: runs a case of known leaks; prints what does not agree.
judge() {
	local mode=exact verdict
	[[ $2 != region_of_code ]] || mode=off
	env LD_PRELOAD="$SHIM${3:+ $3}" "$BATS_FILE_TMPDIR/shadow" run "$mode" -- "$BATS_FILE_TMPDIR/$1" "$2" >"$BATS_TEST_TMPDIR/said" 2>&1
	verdict=$(awk -v self="$1" -f "$TOP/tests/programs/leaks/judge.awk" "$BATS_TEST_TMPDIR/said")
	# Each leaks something, but for those that are about leaving nothing.
	grep -q ^block "$BATS_TEST_TMPDIR/said" || grep -qx "$2" <<<$'realloc_freed\nkeys\nmemory_stream\ndirectory' ||
		verdict+=$'\n'"nothing on record: $(cat "$BATS_TEST_TMPDIR/said")"
	[[ -z $verdict ]] || printf '%s %s: %s\n' "$1" "$2" "$verdict"
}

# judge_all PROGRAM [ALLOCATOR [EXCEPT...]]
judge_all() {
	local program=$1 allocator=${2:-} name
	shift; shift || true
	for name in $("$program" --list); do
		[[ " $* " == *" $name "* ]] || judge "$program" "$name" "$allocator"
	done
}

# start_told [VARIABLE=VALUE...]: a guest with the shim that does what `tell` says; sets PID.
start_told() {
	local pipe
	pipe=$(mktemp -u "$BATS_TEST_TMPDIR/told.XXXXXX")
	mkfifo "$pipe"
	SAID=$pipe.out
	start env LD_PRELOAD="$SHIM" "$@" sh -c 'exec "$0" told <"$1" >"$2"' "$BATS_FILE_TMPDIR/guest" "$pipe" "$SAID"
	PID=$STARTED
	exec 4>"$pipe"
	retry_until 10 said_lines 1
	TOLD=1
}

# tell WORD...: and waits until it is done.
tell() {
	echo "$*" >&4
	TOLD=$((TOLD + 1))
	retry_until 10 said_lines "$TOLD" >/dev/null
}

# on_record SIZE [PID]: how many blocks of that size are.
on_record() {
	shadow blocks "${2:-$PID}" | awk -v size="$1" '$1 == "block" && $3 == size { n++ } END { print n + 0 }'
}

header() {
	shadow header "${2:-$PID}" | awk -v key="$1" '$1 == key { print $2 }'
}

beacon() {
	shadow beacon "$1" | awk '$1 == "reason" { print $2 }'
}

has_beacon() {
	[[ $(beacon "$1") == "$2" ]]
}

# For who cannot look into root's folders.
guest_for_users() {
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	cp "$BATS_FILE_TMPDIR/guest" "$BATS_TEST_TMPDIR/bin"
	echo "$BATS_TEST_TMPDIR/bin/guest"
}

shim_for_users() {
	mkdir -p "$BATS_TEST_TMPDIR/bin"
	cp "$SHIM" "$BATS_TEST_TMPDIR/bin"
	echo "$BATS_TEST_TMPDIR/bin/${SHIM##*/}"
}

# as_nobody BYTES CMD...: without rights, and allowed to lock so much.
as_nobody() {
	prlimit --memlock="$1" setpriv --reuid=nobody --regid=nogroup --clear-groups --bounding-set=-all "${@:2}"
}

@test "C: leaks known to the byte are on record, and nothing else" {
	run -0 judge_all c
	assert_output ''
}

@test "C++: the same, and who wrote new is the caller" {
	run -0 judge_all cxx
	assert_output ''
}

# bats test_tags=slow
@test "the same with jemalloc, tcmalloc and mimalloc behind the shim" {
	local allocator
	# What these do differently by themselves: refusals, realloc to 0, pvalloc, new handlers.
	for allocator in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
		run -0 judge_all c "$allocator" calloc_plain realloc_freed realloc_refused pages
		assert_output ''
		run -0 judge_all cxx "$allocator" refused
		assert_output ''
	done
}

@test "granules are as small as the blocks of the allocator that serves" {
	local allocator
	start_told
	assert_equal "$(header granule)" 32
	assert_equal "$(header allocator)" libc.so.6
	for allocator in libjemalloc.so.2 libtcmalloc_minimal.so.4 libmimalloc.so.2; do
		exec 4>&-
		start_told LD_PRELOAD="$SHIM $allocator"
		assert_equal "$(header granule)" 8
		assert_regex "$(header allocator)" "^${allocator%.so*}"
	done
}

@test "the malloc family answers as without the shim, in every mode" {
	local mode
	guest api >"$BATS_TEST_TMPDIR/plain"
	for mode in off exact 'sample 1000' 'stacks 1000'; do
		MEMFS_TRACE=$mode with_shim guest api >"$BATS_TEST_TMPDIR/shim"
		run -0 diff "$BATS_TEST_TMPDIR/plain" "$BATS_TEST_TMPDIR/shim"
	done
}

@test "a double free still aborts" {
	run guest double-free
	local plain=$status
	MEMFS_TRACE=exact run with_shim guest double-free
	assert_equal "$status" "$plain"
	assert_output --partial 'double free'
}

@test "dormant until told, attached and detached at will; older blocks are not on record" {
	start_told
	tell alloc 10 100
	assert_equal "$(on_record 100)" 0
	shadow set "$PID" exact
	tell alloc 5 101
	tell free 3
	assert_equal "$(on_record 100)" 0
	assert_equal "$(on_record 101)" 5
	# The blocks of before that were freed since; stdio's may be among them.
	assert [ "$(header older_freed)" -ge 3 ]
	shadow set "$PID" off
	tell free 9 # 7 older ones, 2 on record
	tell alloc 4 102
	shadow set "$PID" exact
	assert_equal "$(on_record 101)" 0
	assert_equal "$(on_record 102)" 0
	tell alloc 6 103
	assert_equal "$(on_record 103)" 6
	shadow set "$PID" follow
	tell alloc 7 104
	tell free 9 # 3 of 101, 4 of 102, 2 of 103
	assert_equal "$(on_record 103)" 4
	assert_equal "$(on_record 104)" 0
}

@test "samples weigh what was allocated, and go when their blocks do" {
	local sum
	start_told MEMFS_TRACE='sample 10000'
	tell alloc 100000 400
	# 40 MB at 10 kB a sample: 4,000 samples, a deviation of 1.6 %; 8 % is five.
	sum=$(shadow blocks "$PID" | awk '$1 == "block" && $3 == 400 { sum += $6 } END { printf "%d", sum }')
	assert [ "$sum" -gt 36800000 ]
	assert [ "$sum" -lt 43200000 ]
	tell free 50000
	sum=$(shadow blocks "$PID" | awk '$1 == "block" && $3 == 400 { sum += $6 } END { printf "%d", sum }')
	assert [ "$sum" -gt 17600000 ]
	assert [ "$sum" -lt 22400000 ]
	tell free 50000
	assert_equal "$(on_record 400)" 0
}

# bats test_tags=slow
@test "a sample of every block, its stack copied wherever it is: nothing ends otherwise than by itself" {
	local program name
	for program in c cxx; do
		for name in $("$program" --list); do
			[[ $name != many ]] || continue # 100,000 stacks for nobody
			[[ $name != region_of_code && $name != kept ]] || continue # these ask whether they are traced
			run "$program" "$name"
			local plain=$status
			MEMFS_TRACE='stacks 1' run with_shim "$program" "$name"
			assert_equal "$name $status" "$name $plain"
		done
	done
}

@test "from exact to sample nothing on record is lost, and it still goes when freed" {
	start_told MEMFS_TRACE=exact
	tell alloc 1000 500
	shadow set "$PID" sample 1000000000
	assert_equal "$(on_record 500)" 1000
	tell free 999
	assert_equal "$(on_record 500)" 1
}

@test "stacks are copied with the samples, in threads too" {
	start_told MEMFS_TRACE='stacks 100'
	tell alloc 10 5000
	run -0 shadow stacks "$PID"
	# Number, size, bytes, module of the pc: the shim, from where the unwinder begins.
	assert_line --regexp '^stack [0-9]+ 5000 [0-9]{3,5} libmemfs-preload.so$'
	tell threads 5 6000
	run -0 shadow stacks "$PID"
	assert_line --regexp '^stack [0-9]+ 6000 [0-9]{3,5} libmemfs-preload.so$'
	tell alloc 1000 7000
	assert [ "$(header stacks_dropped)" -gt 0 ]
	shadow stacks "$PID" >/dev/null
	tell fork
	tell alloc 10 5001
	run -0 shadow stacks "$(awk 'END { print $1 }' "$SAID")"
	assert_line --regexp '^stack [0-9]+ 5001 [0-9]{3,5} libmemfs-preload.so$'
}

@test "a child of fork has a region of its own and leaves its parent's alone" {
	local child
	start_told MEMFS_TRACE=exact
	tell alloc 10 800
	tell fork
	child=$(awk 'END { print $1 }' "$SAID")
	assert_not_equal "$child" "$PID"
	tell free 5
	tell alloc 3 801
	assert_equal "$(on_record 800)" 10
	assert_equal "$(on_record 801)" 0
	assert_equal "$(on_record 800 "$child")" 0
	assert_equal "$(on_record 801 "$child")" 3
	assert_equal "$(header origin "$child")" 1
	assert_equal "$(header mode "$child")" exact
}

@test "a child by clone(2), past the handlers of fork, writes nothing into its parent's region" {
	run -0 with_shim shadow run -- guest cloned
	assert_line 'child 0'
	assert_equal "$(awk '$1 == "block" && $3 == 777' <<<"$output" | wc -l)" 1
	refute_line --regexp '^block [^ ]+ 778 '
}

@test "300 forks beside four allocating threads: nothing hangs" {
	local mode
	for mode in off exact 'sample 1000' 'stacks 1000'; do
		MEMFS_TRACE=$mode run -0 with_shim timeout 100 guest forks 300
		assert_output 'forks done'
	done
}

@test "no descriptor is kept: a program that closes all loses nothing" {
	run -0 with_shim shadow run -- guest closed
	assert_equal "$(awk '$1 == "block" && $3 == 100000' <<<"$output" | wc -l)" 2000
	start_told
	run -0 find "/proc/$PID/fd" -lname '*memfs-shadow*'
	assert_output ''
}

@test "no system call after the start: a filter that kills for one is never met" {
	local mode
	run -0 guest filtered
	for mode in off exact 'sample 1000' 'stacks 1000'; do
		MEMFS_TRACE=$mode run -0 with_shim guest filtered
		assert_output 'child 0'
	done
}

@test "mlockall locks what there is, and not what the shim reserved" {
	run -0 guest locked
	MEMFS_TRACE=exact run -0 with_shim guest locked
	assert [ "$(awk '$1 == "RssShmem:" { print $2 }' <<<"$output")" -lt 1000 ]
}

@test "mlockall without rights: the limit is the program's alone" {
	run -0 as_nobody 8000000 env LD_PRELOAD="$(shim_for_users)" MEMFS_TRACE=exact "$(guest_for_users)" locked
	assert_line --partial VmLck
	run as_nobody 4096 env LD_PRELOAD="$(shim_for_users)" MEMFS_TRACE=exact "$(guest_for_users)" locked
	assert_failure
	assert_output 'mlockall ENOMEM'
}

@test "RLIMIT_AS: set before or while it runs, the program has its room" {
	run -0 with_shim env MEMFS_TRACE=exact guest limited 500000000
	assert_output 'half of it is there'
	run -0 prlimit --as=1000000000 env LD_PRELOAD="$SHIM" MEMFS_TRACE=exact python3 -c 'x = bytearray(700000000)'
	run -0 prlimit --as=100000000 env LD_PRELOAD="$SHIM" MEMFS_TRACE=exact sh -c 'echo fine'
	assert_output fine
}

@test "RLIMIT_FSIZE: nobody is killed for the size of the region" {
	run -0 prlimit --fsize=1000000 env LD_PRELOAD="$SHIM" MEMFS_TRACE=exact sh -c 'echo fine'
	assert_output fine
	start prlimit --fsize=1000000 env LD_PRELOAD="$SHIM" sleep 1000
	retry_until 5 has_beacon "$STARTED" 7
	# Enough for a small one.
	start prlimit --fsize=1000000000 env LD_PRELOAD="$SHIM" sleep 1000
	retry_until 5 has_beacon "$STARTED" 0
}

@test "a core is no larger, and a page of slots is a page" {
	start_told
	run -0 awk '/memfd:memfs-shadow/ { here = 1 } here && /^VmFlags/ { print; here = 0 }' "/proc/$PID/smaps"
	assert_equal "${#lines[@]}" 2
	assert_line --index 0 --partial ' dd '
	assert_line --index 1 --partial ' dd '
	assert_line --index 0 --partial ' nh '
	assert_line --index 1 --partial ' nh '
}

@test "the memory of the region: a page while off, a quarter of small blocks" {
	local off
	start_told
	off=$(header region_bytes)
	tell alloc 100000 24
	assert_equal "$(header region_bytes)" "$off"
	assert [ "$off" -le 20480 ]
	shadow set "$PID" exact
	tell alloc 500000 24
	# 16 MB of chunks.
	assert [ "$(header region_bytes)" -lt $((16000000 / 4 + 200000)) ]
	assert_equal "$(on_record 24)" 500000
}

@test "the memory of the region: where samples alone are, only theirs, also under realloc" {
	local before
	start_told
	tell alloc 500000 24
	# There is a leaf then.
	shadow set "$PID" sample 100000
	tell alloc 10000 100
	shadow set "$PID" sample 1000000000000
	before=$(header region_bytes)
	tell resize 500000 20
	assert [ "$(header region_bytes)" -lt $((before + 200000)) ]
}

@test "why there is no region can be read" {
	mkfifo "$BATS_TEST_TMPDIR/open"
	start sh -c 'exec env LD_PRELOAD="$SHIM" own-malloc <"$0"' "$BATS_TEST_TMPDIR/open"
	exec 5>"$BATS_TEST_TMPDIR/open"
	retry_until 5 has_beacon "$STARTED" 4
	exec 5>&-
	start env LD_PRELOAD="$SHIM" guest behind-filter sleep 1000
	retry_until 5 has_beacon "$STARTED" 5
	start env LD_PRELOAD="$SHIM" MEMFS_FOLLOW=no sleep 1000
	retry_until 5 has_beacon "$STARTED" 9
	start env LD_PRELOAD="$SHIM" sleep 1000
	retry_until 5 has_beacon "$STARTED" 0
}

@test "beside a sanitizer the shim is not there" {
	local source='#include <unistd.h>
		int main(void) { return pause(); }'
	cc -fsanitize=address -o "$BATS_TEST_TMPDIR/sanitized" -x c - <<<"$source"
	start env LD_PRELOAD="$(cc -print-file-name=libasan.so) $SHIM" MEMFS_TRACE=exact "$BATS_TEST_TMPDIR/sanitized"
	retry_until 10 has_beacon "$STARTED" 3
	# Linked in, it is an allocator of the program's own.
	cc -fsanitize=address -static-libasan -o "$BATS_TEST_TMPDIR/static" -x c - <<<"$source"
	start env LD_PRELOAD="$SHIM" ASAN_OPTIONS=verify_asan_link_order=0 MEMFS_TRACE=exact "$BATS_TEST_TMPDIR/static"
	retry_until 10 has_beacon "$STARTED" 4
}

@test "a region is offered once, sealed, also by children of fork and by what is run next" {
	local socket=$BATS_TEST_TMPDIR/shim.sock
	SAID=$BATS_TEST_TMPDIR/offers
	start sh -c 'exec shadow listen "$0" 3 >"$1"' "$socket" "$SAID"
	retry_until 5 said_lines 1
	with_shim sh -c '(read x </dev/null; true); exec true'
	retry_until 5 said_lines 4
	run -0 cat "$SAID"
	assert_line --index 1 --regexp '^offer [0-9]+ 0 [0-9]+ ready$'
	assert_line --index 2 --regexp '^offer [0-9]+ 1 [0-9]+ ready$'
	assert_line --index 3 --regexp '^offer [0-9]+ 0 [0-9]+ ready$'
	rm "$socket"
}

@test "the table of what was killed is whole" {
	run -137 with_shim shadow run -- c killed
	assert_line --regexp '^block [^ ]+ 98 '
}

@test "real programs: the same output, traced" {
	local mode
	sqlite3 :memory: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, hex(i * 7919 % 10007) AS h FROM n ORDER BY h, i" >"$BATS_TEST_TMPDIR/sqlite"
	git -C "$TOP" log --stat -n 5 >"$BATS_TEST_TMPDIR/git"
	python='import json, threading
def run(): json.loads(json.dumps([{str(i): [i] * 3} for i in range(5000)]))
threads = [threading.Thread(target=run) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sum(len(str(i)) for i in range(100000)))'
	PYTHONMALLOC=malloc /usr/bin/python3 -c "$python" >"$BATS_TEST_TMPDIR/python"
	for mode in off exact 'sample 10000' 'stacks 10000'; do
		export MEMFS_TRACE=$mode
		with_shim sqlite3 :memory: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i, hex(i * 7919 % 10007) AS h FROM n ORDER BY h, i" | cmp - "$BATS_TEST_TMPDIR/sqlite"
		with_shim git -C "$TOP" log --stat -n 5 | cmp - "$BATS_TEST_TMPDIR/git"
		with_shim env PYTHONMALLOC=malloc /usr/bin/python3 -c "$python" | cmp - "$BATS_TEST_TMPDIR/python"
	done
}

# serve_redis [VARIABLE=VALUE...]: sets PID, SOCKET. The package of the tools has the server too, which goes by its name.
serve_redis() {
	SOCKET=$BATS_TEST_TMPDIR/redis.sock
	# shellcheck disable=SC2016
	start env "$@" bash -c 'exec -a redis-server redis-check-rdb --port 0 --unixsocket "$0" --save "" --dir "$1" \
		--enable-debug-command local >"$1/log"' "$SOCKET" "$BATS_TEST_TMPDIR"
	PID=$STARTED
	retry_until 20 redis_lives
}

redis_lives() {
	[[ $(redis-cli -s "$SOCKET" ping 2>/dev/null) == PONG ]]
}

# What all its data come to after the same requests.
redis_digest() {
	redis-benchmark -s "$SOCKET" -q -c 1 -n 2000 -r 500 --seed 7 -t set,incr,lpush,rpop,sadd,hset,zadd >/dev/null
	redis-benchmark -s "$SOCKET" -q -c 20 -n 4000 -r 500 -t get,lrange_100 >/dev/null
	redis-cli -s "$SOCKET" debug digest
}

@test "a server with an allocator of its own under load: redis has the same data, and all its blocks are on record" {
	local mode expected used recorded
	used() { redis-cli -s "$SOCKET" info memory | awk -F: '$1 == "used_memory" { print $2 + 0 }'; }
	recorded() { shadow blocks "$PID" | awk '$1 == "block" { sum += $3 } END { printf "%d", sum }'; }
	serve_redis
	expected=$(redis_digest)
	stop "$PID"
	[[ $expected =~ [1-9] ]]
	for mode in off exact 'sample 10000' 'stacks 10000'; do
		serve_redis LD_PRELOAD="$SHIM" MEMFS_TRACE="$mode"
		used=$(used) recorded=$(recorded)
		assert_equal "$(redis_digest)" "$expected"
		# What the server counts itself has its allocator's rounding, and no scripts.
		used=$(($(used) - used)) recorded=$(($(recorded) - recorded))
		[[ $mode != exact ]] || ((recorded < used && recorded > used * 7 / 10)) || fail "recorded $recorded of $used"
		stop "$PID"
	done
	rm -f "$SOCKET"
}
