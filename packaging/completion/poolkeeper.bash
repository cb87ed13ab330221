# bash completion for poolkeeper
#
# The program says what the last word may become: one candidate a line, its meaning behind a tab. If there is none, files
# are offered. A word that ends in = is not finished, so no blank follows it.

_poolkeeper() {
  local line=${COMP_LINE:0:COMP_POINT} current head candidate
  local -a words candidates
  # bash splits words at : and =, which stand in product names and filters: split at blanks alone.
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=${words[-1]}
  mapfile -t candidates < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
  # bash replaces only what stands behind the last character that it splits at.
  head=${current%"${current##*["${COMP_WORDBREAKS//[^:=]/}"]}"}
  [[ $COMP_WORDBREAKS == *[:=]* ]] || head=
  COMPREPLY=()
  for candidate in "${candidates[@]}"; do
    candidate=${candidate%%$'\t'*}
    COMPREPLY+=("${candidate#"$head"}")
  done
  if ((${#COMPREPLY[@]} > 0)) && [[ ${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace
  fi
}
complete -o default -F _poolkeeper poolkeeper
