#compdef memfs
# SPDX-License-Identifier: MIT
# Completion for memfs(1). What there is to complete is asked of the program.

local candidate
for candidate in "${(@f)$("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
	case $candidate in
	(:directories*)
		# What stands before the directory in the word is kept as it is.
		compset -P "${(b)candidate#:directories }"
		_path_files -/
		;;
	(*=) compadd -S '' -- "$candidate" ;;
	(?*) compadd -- "$candidate" ;;
	esac
done
