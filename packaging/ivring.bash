# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Bash completion for ivring(1): commands, options, links, and names on the other side,
# which "ivring ls" tells. Works with and without the package bash-completion.

# _ivring_options COMMAND: those that its help has
_ivring_options()
{
	ivring "$1" --help 2>/dev/null |
		sed -nE 's/^ +((-[A-Za-z0-9], )?--[a-z-]+(, --[a-z-]+)*).*/\1/p' | tr -s ', ' '\n'
}

_ivring_commands()
{
	ivring --help 2>/dev/null | sed -nE '/^Commands/,/^$/s/^  ([a-z-]+) .*/\1/p'
}

# Links have a number, and most have a label.
_ivring_links()
{
	local line

	ivring ls-links 2>/dev/null | tail -n +2 | while IFS= read -r line; do
		echo "${line%% *}"
		line=${line:11:16}
		line=${line%%+( )}
		[ -z "$line" ] || echo "$line"
	done
}

# _ivring_far LINK:PATH: adds what it may become
_ivring_far()
{
	local link=${1%%:*} path=${1#*:} dir='' name

	[[ $path != */* ]] || dir=${path%/*}/
	while IFS= read -r -d '' name; do
		[[ $name == "$path"* && $name != *[[:cntrl:]]* ]] || continue
		[[ ${name#"$dir"} != .* || ${path#"$dir"} == .* ]] || continue
		found+=("$link:$name")
	done < <(ivring ls -ap0 -t 3 --connect-timeout 1 -- "$link:$dir" 2>/dev/null)
}

# _ivring_local PATH
_ivring_local()
{
	local name

	while IFS= read -r name; do
		[ ! -d "$name" ] || name+=/
		found+=("$name")
	done < <(compgen -f -- "$1")
}

# _ivring_words WORD...: those that begin like the current one
_ivring_words()
{
	local word

	for word; do
		[[ $word != "$cur"* ]] || found+=("$word")
	done
}

# What stands behind an option; fails where that is not known.
_ivring_value()
{
	case $1 in
	--hash) _ivring_words xxh3 xxh64 sha256 blake3 none ;;
	--io) _ivring_words buffered direct drop-cache ;;
	--sandbox) _ivring_words auto require off ;;
	--audit) _ivring_words off syslog stderr both ;;
	--root | -r | --manifest | --socket-dir | --html) _ivring_local "$cur" ;;
	--link | -l)
		[ "$command" = agent ] || return
		# shellcheck disable=SC2046
		_ivring_words $(_ivring_links)
		;;
	*) return 1 ;;
	esac
}

_ivring_arguments()
{
	local link

	case $command in
	info | stat | bench | tune)
		# shellcheck disable=SC2046
		_ivring_words $(_ivring_links)
		return
		;;
	verify) _ivring_local "$cur" ;;
	push | pull | cat | ls | sync | watch)
		if [[ $cur == *:* && ${cur%%:*} != */* ]]; then
			_ivring_far "$cur"
			return
		fi
		for link in $(_ivring_links); do
			_ivring_words "$link:"
		done
		case $command in
		push | pull | sync | watch) _ivring_local "$cur" ;;
		esac
		;;
	esac
}

# Bash breaks words at colons; what stands before the last one is not to be repeated.
_ivring()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i=$COMP_CWORD raw command=${COMP_WORDS[1]} quote=
	local found=() name
	local prefix=

	shopt -q extglob || { shopt -s extglob && local -r extglob_was_off=1; }
	COMPREPLY=()
	while ((i > 2)) && [[ $cur == :* || ${COMP_WORDS[i - 1]} == : ]]; do
		i=$((i - 1))
		cur=${COMP_WORDS[i]}$cur
	done
	raw=$cur
	case $cur in
	[\'\"]*)
		quote=${cur:0:1}
		cur=${cur:1}
		;;
	*)
		cur=${cur//\\\\/$'\1'}
		cur=${cur//\\/}
		cur=${cur//$'\1'/\\}
		;;
	esac

	# shellcheck disable=SC2046
	if ((COMP_CWORD == 1)); then
		_ivring_words $(_ivring_commands) --help --version
	elif [[ $cur == -* ]]; then
		_ivring_words $(_ivring_options "$command")
	elif ! _ivring_value "${COMP_WORDS[i - 1]}"; then
		_ivring_arguments
	fi

	[[ -n $quote || $raw != *:* || $COMP_WORDBREAKS != *:* ]] || prefix=${cur%"${cur##*:}"}
	for name in "${found[@]}"; do
		name=${name#"$prefix"}
		[ -n "$quote" ] || printf -v name %q "$name"
		COMPREPLY+=("${name/%\\:/:}")
	done
	if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[/:] ]]; then
		compopt -o nospace 2>/dev/null
	fi
	[ -z "${extglob_was_off:-}" ] || shopt -u extglob
}

complete -F _ivring ivring
