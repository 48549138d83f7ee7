# Tab completion of `sas` in bash: eval "$(sas completion bash)"
# Candidates are whole words; where '=' breaks words, readline replaces only what follows it.
_sas_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\n'
    local word="${line##*[[:space:]]}"
    COMPREPLY=($("$1" completion query "$line" 2>/dev/null))
    if [[ "$COMP_WORDBREAKS" == *=* && "$word" == *=* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
    fi
}
complete -o nospace -o default -F _sas_completion sas
