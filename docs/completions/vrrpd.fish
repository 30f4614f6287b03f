complete -c vrrpd -l config -d 'The configuration' -r -F
complete -c vrrpd -l socket -d 'The control socket' -r -F
complete -c vrrpd -l state-dir -d 'Demotions are kept here over a restart' -r -F
complete -c vrrpd -l log-format -d 'The form of log lines on standard error: text or json' -r
complete -c vrrpd -l check -d 'Check the configuration, say what is wrong with it, and exit: 0 valid, 1 it cannot be read, 2 it is wrong'
complete -c vrrpd -l strict -d 'With --check: let warnings count as failures (exit code 1), also those about this machine'
complete -c vrrpd -l clean-up -d 'After a crash: hand over and remove the addresses that a killed daemon left behind, and exit'
complete -c vrrpd -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vrrpd -s V -l version -d 'Print version'
