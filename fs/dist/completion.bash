# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion for memfs(1). What there is to complete is asked of the program.

_memfs() {
	local line=${COMP_LINE:0:COMP_POINT} word candidate typed offer rest
	local -a words
	COMPREPLY=()
	read -ra words <<<"$line"
	[[ $line != *[[:space:]] ]] || words+=('')
	((${#words[@]} > 1)) || return 0
	word=${words[-1]}
	# Bash takes a word apart at `=`: what it has of it already is not to be said again.
	typed=${COMP_WORDS[COMP_CWORD]}
	[[ $typed != '=' ]] || typed=
	typed=${word%"$typed"}
	while IFS= read -r candidate; do
		if [[ $candidate == :directories* ]]; then
			rest=${candidate#:directories }
			compopt -o filenames
			while IFS= read -r offer; do
				COMPREPLY+=("${rest#"$typed"}$offer")
			done < <(compgen -d -- "${word#"$rest"}")
		else
			[[ $candidate != *= ]] || compopt -o nospace
			COMPREPLY+=("${candidate#"$typed"}")
		fi
	done < <("${words[0]}" complete "${words[@]:1}" 2>/dev/null)
}
complete -F _memfs memfs
