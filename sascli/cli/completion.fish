# Tab completion of `sas` in fish: sas completion fish | source
function __sas_completion
    set -l words (command sas completion query (commandline -cp | string collect) 2>/dev/null)
    if test -n "$words[1]"
        string trim --right $words
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c sas -f -a '(__sas_completion)'
