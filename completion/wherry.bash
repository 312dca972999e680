# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion of wherry(1).
#
# What is no option and no value of one is a file name.  Those are left to readline, which knows
# how to quote them: the function then gives no answer, and `-o default` does the rest.

# Answer with those of the words that begin so, and with nothing else if there are none.
_wherry_words()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
    compopt +o default 2>/dev/null
}

_wherry_options()
{
    case $1 in
    inspect) echo '-d --digest -j --json -p --page -m --pages -r --records' ;;
    verify)  echo '-d --digest -j --json -P --pedantic -q --quiet' ;;
    convert) echo '--compress -c --config -g --guest -j --json --no-trailer -t --to -w --width' ;;
    extract) echo '-c --config -k --core -e --emulator -o --output -p --page' ;;
    esac
}

_wherry()
{
    local verb=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}
    local before=${COMP_WORDS[COMP_CWORD-1]} i

    COMPREPLY=()
    if (( COMP_CWORD == 1 )); then
        _wherry_words 'inspect verify convert extract --help --version' "$word"
        return
    fi
    for (( i = 2; i < COMP_CWORD; i++ )); do
        [[ ${COMP_WORDS[i]} == -- ]] && return
    done

    # readline makes three words of --to=xl.
    if [[ $word == = ]]; then
        word=
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case $verb:$before in
    convert:-g | convert:--guest)
        _wherry_words 'pv hvm' "$word" ;;
    convert:-t | convert:--to)
        _wherry_words 'xl libxl libxc' "$word" ;;
    convert:-w | convert:--width)
        _wherry_words '32 64' "$word" ;;
    inspect:-p | inspect:--page | extract:-p | extract:--page)
        _wherry_words '' "$word" ;;             # a number
    *)
        [[ $word == -* ]] && _wherry_words "$(_wherry_options "$verb") -? --help --usage" "$word" ;;
    esac
    return 0
}

complete -o default -F _wherry wherry
