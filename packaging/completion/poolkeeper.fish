# fish completion for poolkeeper
#
# The program says what the last word may become: one candidate a line, its meaning behind a tab. If there is none, files
# are offered.

function __poolkeeper_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l candidates ($words[1] __complete $words[2..] "$current" 2>/dev/null)
    if test (count $candidates) -gt 0
        printf '%s\n' $candidates
    else
        __fish_complete_path "$current"
    end
end

complete -c poolkeeper -f -a '(__poolkeeper_complete)'
