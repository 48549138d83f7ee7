#compdef sas
# Tab completion of `sas` in zsh, after compinit: eval "$(sas completion zsh)"
_sas_completion() {
    local -a all
    all=("${(@f)$("${words[1]}" completion query "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    compadd -- "${(@)${(M@)all:#* }% }"
    compadd -S '' -- "${(@)all:#* }"
    (( compstate[nmatches] )) || _files
}
compdef _sas_completion sas
