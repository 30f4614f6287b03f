# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vrrpctl_global_optspecs
    string join \n socket= json h/help V/version
end

function __fish_vrrpctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vrrpctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vrrpctl_using_subcommand
    set -l cmd (__fish_vrrpctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -s V -l version -d 'Print version'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "status" -d 'A table of all virtual routers, or of one'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "show" -d 'Everything about one virtual router'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "demote" -d 'Take virtual routers out of service on this node, until they are promoted'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "promote" -d 'Put demoted virtual routers back into service on this node'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "take" -d 'Become Active here: ask the node that is Active to hand over'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "events" -d 'What happened, and why'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "health" -d 'Tell in one line how well this node is, for monitoring'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "is-active" -d 'Tell by the exit code alone whether a virtual router is Active here'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "wait" -d 'Wait until a virtual router has settled, and print its state'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "reload" -d 'Have the daemon read its configuration again'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "check" -d 'Check a configuration file, without a daemon'
complete -c vrrpctl -n "__fish_vrrpctl_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand status" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand status" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand show" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand show" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand show" -s h -l help -d 'Print help'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l reason -d 'Why: shown by status, show and events' -r
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l for -d 'How long, such as 90s, 30m or 1d12h; the demotion then ends by itself' -r
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l drain -d 'Keep open connections for so long, such as 90s, 10m or 1h, while the other node serves new ones; what is left then is reset (exit code 5). 0s: do not keep them. Default: as configured' -r
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l all -d 'All virtual routers of this node'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l last-resort -d 'Stay a Backup at priority 1: it serves if, and as long as, nobody else does'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l no-wait -d 'Do not wait until the last open connection has ended'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l force -d 'Release the addresses even if nobody takes over: they are then served by nobody'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand demote" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand promote" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand promote" -l all -d 'All virtual routers of this node'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand promote" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand promote" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand take" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand take" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand take" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand events" -s n -d 'Show the last N' -r
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand events" -l since -d 'Only events since then: a time such as 2026-11-28T03:00:00Z, or an age such as 90s, 30m or 1d12h' -r
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand events" -l severity -d 'Only events of this severity or a greater one: error, warning or info' -r
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand events" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand events" -s f -l follow -d 'Keep printing new events'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand events" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand events" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand health" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand health" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand health" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand is-active" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand is-active" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand is-active" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand wait" -l for -d 'What to wait for: that it is Active here, that it is Backup here, or that it is not starting, hands nothing over, and knows an Active, here or elsewhere' -r -f -a "active\t''
backup\t''
settled\t''"
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand wait" -l timeout -d 'How long to wait, such as 500ms, 30s or 5m' -r
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand wait" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand wait" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand reload" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand reload" -l dry-run -d 'Print what would change, and change nothing'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand reload" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand check" -l socket -d 'The daemon\'s control socket' -r -F
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand check" -l strict -d 'Let warnings count as failures, also those about this machine: exit code 1 if there is one'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand check" -l json -d 'Print JSON, for programs'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand check" -s h -l help -d 'Print help'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "status" -d 'A table of all virtual routers, or of one'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "show" -d 'Everything about one virtual router'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "demote" -d 'Take virtual routers out of service on this node, until they are promoted'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "promote" -d 'Put demoted virtual routers back into service on this node'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "take" -d 'Become Active here: ask the node that is Active to hand over'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "events" -d 'What happened, and why'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "health" -d 'Tell in one line how well this node is, for monitoring'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "is-active" -d 'Tell by the exit code alone whether a virtual router is Active here'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "wait" -d 'Wait until a virtual router has settled, and print its state'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "reload" -d 'Have the daemon read its configuration again'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "check" -d 'Check a configuration file, without a daemon'
complete -c vrrpctl -n "__fish_vrrpctl_using_subcommand help; and not __fish_seen_subcommand_from status show demote promote take events health is-active wait reload check help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
