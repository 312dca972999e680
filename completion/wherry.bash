# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion of wherry(1).
#
# What is no option and no value of one is a domain of this host, by its name, or a file name.  Those
# are left to readline, which knows how to quote them: the function then gives no answer, and
# `-o default` does the rest.

# Answer with those of the words that begin so, and with nothing else if there are none.
_wherry_words()
{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
    compopt +o default 2>/dev/null
}

# The names of this host's domains: the table's lines without what follows the name.
_wherry_domains()
{
    local name tail=' +[0-9]+ +[0-9]+ +[0-9]+ +[-a-zA-Z]{6} +[0-9.]+$'

    while IFS= read -r name; do
        [[ $name == "$2"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done < <(command "$1" list 2>/dev/null | sed -nE "2,\$ s/$tail//p" | sed 's/ *$//')
    compopt +o default 2>/dev/null
}

_wherry_options()
{
    case $1 in
    inspect) echo '-d --digest -j --json -p --page -m --pages -r --records' ;;
    verify)  echo '-d --digest -j --json -P --pedantic -q --quiet' ;;
    convert) echo '--compress -c --config -g --guest -j --json --no-trailer -t --to -w --width' ;;
    extract) echo '-c --config -k --core -e --emulator -o --output -p --page' ;;
    create)  echo '-c --console -e --no-monitor -f --defconfig -j --json -n --dryrun -p --paused
                   -q --quiet' ;;
    save)    echo '-c --checkpoint --compress --downtime -j --json --live --max-rounds
                   --no-room-check --no-sparse --no-trailer --on-timeout -p --paused --timeout' ;;
    restore) echo '-c --console -j --json --no-verify -p --paused' ;;
    migrate) echo '--bandwidth -C --config --compress --debug --downtime --dry-run -e --no-monitor
                   --force -j --json --live --max-rounds --on-timeout -p --paused --protocol -s --ssh
                   --timeout' ;;
    migrate-receive)
             echo '-d --debug -e --no-monitor -j --json --listen -p --paused' ;;
    recover) echo '--fenced -j --json -n --dry-run' ;;
    list)    echo '-c --cpupool -j --json -l --long -v --verbose' ;;
    console) echo '-n --num -t --type' ;;
    dmesg)   echo '-c --clear -j --json' ;;
    cancel)  echo '-j --json -w --wait' ;;
    jobs | info | destroy | domid | domname | rename | pause | unpause | vcpu-list | mem-set | mem-max | \
    cd-insert | cd-eject)
             echo '-j --json' ;;
    shutdown | reboot)
             echo '-F --acpi -a --all -j --json -w --wait' ;;
    esac
}

_wherry_verbs='inspect verify convert extract
    create destroy save restore migrate migrate-receive recover
    jobs cancel
    list info domid domname rename pause unpause shutdown reboot console vcpu-list mem-set mem-max
    cd-insert cd-eject dmesg'

# What may be forced; of several, with commas between, the last.
_wherry_checks()
{
    local done= name

    [[ $1 == *,* ]] && done=${1%,*},
    _wherry_words "$(for name in config xen memory name uuid cpu disks network devicemodel clock guest \
                                 passthrough nestedhvm logdirty; do echo "$done$name"; done)" "$1"
}

# Whether the next word is the value of this option.
_wherry_takes()
{
    case $1:$2 in
    cancel:-w | cancel:--wait | console:-[nt] | console:--num | console:--type | recover:--fenced | migrate:-[Cs] | \
    migrate:--bandwidth | migrate:--config | migrate:--force | migrate:--protocol | migrate:--ssh | \
    migrate:--downtime | migrate:--max-rounds | migrate:--on-timeout | migrate:--timeout | \
    save:--downtime | save:--max-rounds | save:--on-timeout | save:--timeout) ;;
    *) return 1 ;;
    esac
}

# How many arguments stand between the verb and the word: options and their values are none.
_wherry_argument()
{
    local i n=0

    for (( i = 2; i < COMP_CWORD; i++ )); do
        case ${COMP_WORDS[i]} in
        -*) if [[ ${COMP_WORDS[i+1]} == = ]]; then
                (( i += 2 ))
            elif _wherry_takes "$1" "${COMP_WORDS[i]}"; then
                (( i++ ))
            fi ;;
        *)  (( n++ )) ;;
        esac
    done
    echo "$n"
}

_wherry()
{
    local verb=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}
    local before=${COMP_WORDS[COMP_CWORD-1]} equals= i

    COMPREPLY=()
    if (( COMP_CWORD == 1 )); then
        _wherry_words "$_wherry_verbs --help --version" "$word"
        return
    fi
    for (( i = 2; i < COMP_CWORD; i++ )); do
        [[ ${COMP_WORDS[i]} == -- ]] && return
    done

    # readline makes three words of --to=xl.
    if [[ $word == = ]]; then
        word= equals='='
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]} equals='='
    fi
    # Values that need not be there stand behind a = only.
    case $verb:$before$equals in
    migrate:--compress=)
        _wherry_words 'auto no' "$word"
        return 0 ;;
    migrate:--live=)
        _wherry_words 'auto require no' "$word"
        return 0 ;;
    *:--compress=)
        _wherry_words '' "$word"
        return 0 ;;
    esac
    case $verb:$before in
    convert:-g | convert:--guest)
        _wherry_words 'pv hvm' "$word" ;;
    convert:-t | convert:--to)
        _wherry_words 'xl libxl libxc' "$word" ;;
    convert:-w | convert:--width)
        _wherry_words '32 64' "$word" ;;
    console:-t | console:--type)
        _wherry_words 'pv serial' "$word" ;;
    migrate:--protocol)
        _wherry_words 'auto native stock' "$word" ;;
    migrate:--force)
        _wherry_checks "$word" ;;
    migrate:--on-timeout | save:--on-timeout)
        _wherry_words 'cancel force' "$word" ;;
    migrate-receive:--listen)
        _wherry_words 'unix: tcp:' "$word"
        compopt -o nospace 2>/dev/null ;;
    inspect:-p | inspect:--page | extract:-p | extract:--page | console:-n | console:--num | \
    migrate:--bandwidth | migrate:--downtime | migrate:--max-rounds | migrate:--timeout | \
    save:--downtime | save:--max-rounds | save:--timeout | cancel:-w | cancel:--wait)
        _wherry_words '' "$word" ;;             # a number
    recover:--fenced)
        _wherry_words "$(compgen -A hostname)" "$word" ;;
    migrate:-C | migrate:--config | migrate:-s | migrate:--ssh)
        ;;
    *)
        if [[ $word == -* ]]; then
            _wherry_words "$(_wherry_options "$verb") -? --help --usage" "$word"
            return 0
        fi
        case $verb:$(_wherry_argument "$verb") in
        vcpu-list:* | list:0 | domid:0 | rename:0 | pause:0 | unpause:0 | shutdown:0 | reboot:0 | \
        console:0 | mem-set:0 | mem-max:0 | cd-insert:0 | cd-eject:0 | destroy:0 | save:0 | \
        migrate:0 | recover:0)
            _wherry_domains "${COMP_WORDS[0]}" "$word" ;;
        cancel:0)
            _wherry_words "$(command "${COMP_WORDS[0]}" jobs 2>/dev/null | sed -n '2,$s/ .*//p')" \
                          "$word" ;;
        migrate:1)
            _wherry_words "$(compgen -A hostname)" "$word" ;;
        esac ;;
    esac
    return 0
}

complete -o default -F _wherry wherry
