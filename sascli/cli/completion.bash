# Tab completion of `sas` in bash: eval "$(sas completion bash)"
# Candidates are whole words; where '=' or ':' breaks words, readline replaces only what follows it.
_sas_completion() {
    local line="${COMP_LINE:0:COMP_POINT}" IFS=$'\n' separator
    local word="${line##*[[:space:]]}"
    COMPREPLY=($("$1" completion query "$line" 2>/dev/null))
    for separator in = :; do
        if [[ "$COMP_WORDBREAKS" == *$separator* && "$word" == *$separator* ]]; then
            COMPREPLY=("${COMPREPLY[@]#"${word%$separator*}$separator"}")
            word="${word##*$separator}"
        fi
    done
}
complete -o nospace -o default -F _sas_completion sas
