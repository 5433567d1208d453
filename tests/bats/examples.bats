#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every script in examples/ does what its head says.
load helpers

setup() {
	setup_memfs
	export MEMFS_BINARY=$MEMFS MEMFS=$MNT
}

teardown() {
	MEMFS=$MEMFS_BINARY
	teardown_memfs
}

# Names a process: its only argument is a number of seconds that outlives any test.
start_named() {
	[[ -e $BATS_TEST_TMPDIR/$1 ]] || cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/$1"
	start "$BATS_TEST_TMPDIR/$1" 1000
}

@test "each example says what it is for, and is tried here" {
	local script
	for script in "$TOP"/examples/*; do
		[[ -x $script ]] || fail "$script cannot be run"
		sed -n 3p "$script" | grep -qE "^# (sh )?examples/$(basename "$script")\>.*: " || fail "line 3 of $script does not say what it is for"
		grep -qF "examples/$(basename "$script")" "$BATS_TEST_FILENAME" || fail "$script is tried by no test"
	done
}

@test "by-name adds up the processes of one name" {
	start_named same-name
	start_named same-name
	retry_until 10 grep -qx 2 "$MNT/local/by-name/same-name/count"
	run -0 "$TOP/examples/by-name" 1000
	assert_line --regexp '^ +[0-9]+\.[0-9] MiB +2 +same-name$'
	run -0 "$TOP/examples/by-name" 3
	assert_equal "${#lines[@]}" 3
}

@test "growing lists the growing, the fastest first" {
	run -0 "$TOP/examples/growing" 5
	[[ ${#lines[@]} -le 5 ]] || fail "more than asked: $output"
	local line
	for line in "${lines[@]}"; do
		[[ $line =~ ^\ +[0-9]+\.[0-9]\ KiB/s\ +[0-9]+\ +. ]] || fail "not understood: $line"
	done
	# A table of our own in place of the mount's: what it takes from it is known.
	mkdir -p "$BATS_TEST_TMPDIR/fake/local"
	printf 'pid\tcomm\trate_1m\n1\tslow\t1024\n2\tyoung\t-\n3\tfast thing\t4096\n4\tshrinks\t-9\n' >"$BATS_TEST_TMPDIR/fake/local/processes"
	MEMFS=$BATS_TEST_TMPDIR/fake run -0 "$TOP/examples/growing"
	assert_output "$(printf '       4.0 KiB/s       3   fast thing\n       1.0 KiB/s       1   slow')"
}

@test "lowest names a moment and an amount of the last ten minutes" {
	retry_until 20 "$TOP/examples/lowest"
	run -0 "$TOP/examples/lowest"
	assert_output --regexp '^[0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]+ bytes$'
	local least
	least=$(awk '{ print $2 }' <<<"$output")
	[[ $least -le $(column "$MNT/local/history/10m" available | sort -n | tail -n 1) ]] || fail "$least is more than ever was"
}

@test "when-available runs its command when there is enough, and waits where there is not" {
	run -0 "$TOP/examples/when-available" 1 echo enough
	assert_output enough
	run -124 timeout 1 "$TOP/examples/when-available" 1000000000000000 echo enough
	assert_output ''
	run -0 "$TOP/examples/when-available" 1K echo enough
	run -2 "$TOP/examples/when-available" 1
	run -2 "$TOP/examples/when-available" much echo enough
}

@test "on-alert waits until its rule fires, and hands the event on" {
	start_named on-alert-test
	run -0 timeout 60 "$TOP/examples/on-alert" 'here each/on-alert-test rss > 4K for 1' sed 's/^/told: /'
	assert_output --regexp "^told: [0-9]+"$'\t'"[0-9.]+"$'\t'"alert"$'\t'"pid/$STARTED"$'\t'"here firing rss [0-9]+ > 4096$"
	run -2 "$TOP/examples/on-alert" rule
	run "$TOP/examples/on-alert" 'here node colour > 1' true
	assert_failure
}

@test "watch-growth tells of what grows, with its rate and command line" {
	run -0 "$TOP/examples/watch-growth" 1
	assert_output ''
	# A stream of our own in place of the mount's.
	local fake=$BATS_TEST_TMPDIR/fake/local
	mkdir -p "$fake/7"
	printf '1\t1763712345.1\tstart\tpid/7\tsh\n2\t1763712346.5\tgrowth\tpid/7\tsh grows steadily\n' >"$fake/events"
	printf 'rss_1s 9\nrss_1m 4096\n' >"$fake/7/rate"
	echo 'sh -c grow' >"$fake/7/args"
	MEMFS=$BATS_TEST_TMPDIR/fake run -0 "$TOP/examples/watch-growth"
	assert_output --regexp '^[0-9:]{8} 7 sh grows steadily \(now 4096 bytes/s\): sh -c grow$'
}

@test "memory-report writes a page with pictures" {
	local dir=$BATS_TEST_TMPDIR/report pages
	retry_until 20 sh -c "[ \$(wc -l <'$MNT/local/history/10m') -ge 4 ]"
	run -0 "$TOP/examples/memory-report" "$dir" 10m
	assert_output "$dir/index.html"
	pages=$(ls "$dir" | wc -l)
	((pages >= 3)) || fail "$pages files"
	python3 - "$dir" <<'PYTHON'
import html.parser, os, sys, xml.dom.minidom
class Page(html.parser.HTMLParser):
    images = []
    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes)["src"])
page = Page()
page.feed(open(f"{sys.argv[1]}/index.html").read())
assert len(page.images) >= 2, page.images
for image in page.images:
    xml.dom.minidom.parse(f"{sys.argv[1]}/{image}")
PYTHON
	run -2 "$TOP/examples/memory-report"
}

@test "bill shares the memory out to users and units" {
	start_named billed
	retry_until 10 grep -qx 1 "$MNT/local/by-name/billed/count"
	run -0 "$TOP/examples/bill"
	assert_line --index 0 --regexp 'pss MiB +swap MiB +count +who$'
	assert_line --regexp '^ +[0-9]+\.[0-9] +[0-9]+\.[0-9] +[0-9]+  user/root$'
}

@test "changed-since tells what came and grew" {
	recorded() { field "$MNT/local/at/last/stat" time; }
	retry_until 20 recorded
	local before
	before=$(field "$MNT/local/at/last/stat" time)
	retry_until 10 sh -c "[ \$(date +%s) -gt $((before + 1)) ]"
	start_named came-since
	retry_until 10 grep -q came-since "$MNT/local/processes"
	run -0 "$TOP/examples/changed-since" "$before"
	assert_line --regexp '^available +[-+][0-9]+\.[0-9] MiB$'
	run -1 "$TOP/examples/changed-since" -300d
	assert_output --partial 'nothing is recorded'
}

@test "when-calm runs its command while nobody waits, and waits where many do" {
	run -0 "$TOP/examples/when-calm" 101 echo calm
	assert_output calm
	mkdir -p "$BATS_TEST_TMPDIR/fake/local"
	echo 'pressure_memory_some_avg10 50.00' >"$BATS_TEST_TMPDIR/fake/local/stat"
	MEMFS=$BATS_TEST_TMPDIR/fake run -124 timeout 1 "$TOP/examples/when-calm" 10 echo calm
	assert_output ''
	run -2 "$TOP/examples/when-calm" often echo calm
}

@test "quickstart builds, mounts, shows numbers; and goes on where it is mounted already" {
	local dir=$BATS_TEST_TMPDIR/q/mnt options
	options=state=$BATS_TEST_TMPDIR/q/state,run=$BATS_TEST_TMPDIR/q/run,node=quick
	export BUILD
	BUILD=$(realpath "$MEMFS_BUILD")
	run -0 sh "$TOP/examples/quickstart" "$dir" "$options" 3>&-
	assert_line "memfs is mounted on $dir"
	assert_line "$dir/local/total:$(cat "$dir/local/total")"
	assert_line --regexp '^reason line 1: freshness_ms'
	assert_line "To unmount: $BUILD/memfs umount $dir"
	run -0 sh "$TOP/examples/quickstart" "$dir" "$options" 3>&-
	assert_line "memfs is mounted on $dir already"
	refute_line --partial 'To renew it'
}

@test "quickstart builds all that is installed" {
	local name
	run -0 meson introspect --targets "$MEMFS_BUILD"
	for name in $(python3 -c 'import json, sys
for target in json.load(sys.stdin):
    if target["installed"] and target["type"] in ("executable", "shared library", "shared module"):
        print(target["name"])' <<<"$output"); do
		grep -qE "^meson compile .* $name(:executable)?( |$)" "$TOP/examples/quickstart" || fail "$name is not built"
	done
}

@test "quickstart says how to renew a mount that is of another build" {
	local dir=$BATS_TEST_TMPDIR/q/mnt options other
	options=state=$BATS_TEST_TMPDIR/q/state,run=$BATS_TEST_TMPDIR/q/run,node=quick
	mkdir -p "$dir"
	other=$(MEMFS=$MEMFS_BINARY memfs_for_users)
	# A byte behind the program changes the file, not what it does.
	echo >>"$(dirname "$other")/memfs-collector"
	"$other" mount -o "$options" "$dir" 3>&-
	export BUILD
	BUILD=$(realpath "$MEMFS_BUILD")
	run -0 sh "$TOP/examples/quickstart" "$dir" "$options" 3>&-
	assert_line "memfs is mounted on $dir already"
	assert_line "What serves it is of another build than the one made now: $(dirname "$other")/memfs-collector. To renew it:"
	assert_line "  $BUILD/memfs umount $dir && sh examples/quickstart $dir $options"
	assert_line "$dir/local/total:$(cat "$dir/local/total")"
}

@test "quickstart tells an ordinary user all that is missing, and does nothing" {
	local checkout=$BATS_TEST_TMPDIR/checkout
	mkdir -p "$checkout/tests"
	cp -r "$TOP/examples" "$checkout"
	cp "$TOP/tests/setup.sh" "$checkout/tests"
	chmod 755 "$BATS_TEST_TMPDIR" "$checkout"
	# As if fuse3 were not installed.
	run -1 as_user sh -c 'command() { [ "$2" != fusermount3 ]; }; . "$0"' "$checkout/examples/quickstart"
	assert_line --partial 'which takes:'
	assert_line --partial 'fusermount3, of the package fuse3'
	assert_line --partial "$checkout/build-release is not yours: BUILD=FOLDER"
	assert_line --partial 'sh examples/quickstart DIR'
	refute_line --partial /dev/fuse
	assert_equal "$(ls "$checkout")" $'examples\ntests'
	run -1 setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/nonexistent sh "$checkout/examples/quickstart"
	[[ $(stat -c %a /dev/fuse) == 666 ]] || assert_line --partial 'a /dev/fuse that you may read and write'
}

@test "leak-watch finds what a server leaks, and no cache that is full" {
	cc -std=gnu17 -D_GNU_SOURCE -O1 -o "$BATS_TEST_TMPDIR/leaky-server" "$TOP/tests/programs/leaky-server.c"
	start env LD_PRELOAD="$(realpath "$MEMFS_BUILD")/libmemfs-preload.so" MEMFS_RUN="$RUN" MEMFS_TRACE=exact \
		"$BATS_TEST_TMPDIR/leaky-server"
	retry_until 10 test -d "$MNT/local/$STARTED/leaks"
	cached() { grep -qP "\tremember\t" "$MNT/local/$STARTED/leaks/callers"; }
	retry_until 10 cached
	run -0 "$TOP/examples/leak-watch" "$STARTED" 4 20000
	assert_line --regexp '^forget_answer holds [0-9]+ bytes, [0-9]+ more each second$'
	refute_output --partial remember
	start env LD_PRELOAD="$(realpath "$MEMFS_BUILD")/libmemfs-preload.so" MEMFS_RUN="$RUN" MEMFS_TRACE=exact sleep 1000
	retry_until 10 test -d "$MNT/local/$STARTED/leaks"
	run -1 "$TOP/examples/leak-watch" "$STARTED" 2
}

@test "redis-leak finds the leak of a real server while it runs, and not its cache, and proves it" {
	# The package of the tools has the server too, which goes by its name.
	ln -s "$(command -v redis-check-rdb)" "$BATS_TEST_TMPDIR/redis-server"
	PATH=$(realpath "$MEMFS_BUILD"):$PATH MEMFS_RUN=$RUN REDIS_SERVER=$BATS_TEST_TMPDIR/redis-server \
		run -0 timeout 120 "$TOP/examples/redis-leak"
	assert_line --regexp '^ +[0-9]+ +[0-9]+%  evalGenericCommand$'
	assert_line --regexp '^ +[0-9]+ +[0-9]+%  luaCreateFunction$'
	refute_line --regexp '%  (setCommand|dbAdd)$'
	[[ ${lines[-1]} =~ ^live_bytes:\ ([0-9]+)\ before\ redis-cli\ script\ flush,\ ([0-9]+)\ after$ ]]
	((BASH_REMATCH[2] < BASH_REMATCH[1] / 4))
	run pgrep -f "$BATS_TEST_TMPDIR/redis-server"
	assert_output ''
	MEMFS=$BATS_TEST_TMPDIR run -1 "$TOP/examples/redis-leak"
	assert_output "redis-leak: no memfs on $BATS_TEST_TMPDIR"
	PATH=$(realpath "$MEMFS_BUILD"):$PATH MEMFS_RUN=$RUN REDIS_SERVER=false run -1 "$TOP/examples/redis-leak"
	assert_output --partial 'the server has not come to it, or ended'
}

@test "leak-path finds nothing where nothing grows, and says how it is called" {
	start env LD_PRELOAD="$(realpath "$MEMFS_BUILD")/libmemfs-preload.so" MEMFS_RUN="$RUN" MEMFS_TRACE='stacks 4096' sleep 1000
	retry_until 10 test -d "$MNT/local/$STARTED/leaks"
	run -1 "$TOP/examples/leak-path" "$STARTED" 2
	assert_output ''
	for argument in redis 1.5 -3 0 ''; do
		run -2 "$TOP/examples/leak-path" "$STARTED" "$argument"
		assert_output --partial usage
		run -2 "$TOP/examples/leak-watch" "$STARTED" 2 "$argument"
		assert_output --partial usage
	done
	# Who is not there, who ends meanwhile, who has not the library.
	run -2 "$TOP/examples/leak-path" 4194303
	looked_once() { compgen -G "$BATS_TEST_TMPDIR/tmp.*/first" >/dev/null; }
	stop_meanwhile() { retry_until 10 looked_once; kill -KILL "$STARTED"; }
	stop_meanwhile 3>&- &
	TMPDIR=$BATS_TEST_TMPDIR run -2 "$TOP/examples/leak-path" "$STARTED" 4
	assert_output --partial 'leak-path: it is gone'
	wait $!
	start sleep 1000
	for example in leak-path leak-watch; do
		run -2 "$TOP/examples/$example" "$STARTED" 2
		assert_output --partial "$example: it cannot be traced: it was started without libmemfs-preload.so"
	done
	# By stacks from now on, which says nothing of what there is.
	start env LD_PRELOAD="$(realpath "$MEMFS_BUILD")/libmemfs-preload.so" MEMFS_RUN="$RUN" MEMFS_TRACE=exact sleep 1000
	retry_until 10 test -d "$MNT/local/$STARTED/leaks"
	run -2 "$TOP/examples/leak-path" "$STARTED" 2
	assert_output 'leak-path: it was traced by "exact", and is with stacks from now on: look again when what it has now was replaced'
	assert_equal "$(cat "$MNT/local/$STARTED/leaks/trace")" 'stacks 65536'
	run -1 "$TOP/examples/leak-path" "$STARTED" 2
}
