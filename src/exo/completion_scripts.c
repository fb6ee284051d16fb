/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thin scripts: they hand the words to `exo __complete`, which prints one candidate a line, a tab and what it is
 * behind it; a first line ":files" says that file names fit. Also for `kubectl exo`, where the shell lets us.
 */
#include "exo/completion_scripts.h"

#include <stddef.h>

#include <ak/base/text.h>

static const char bash[] =
    "# bash completion for exo: source <(exo completion bash)\n"
    "_exo() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} line words=()\n"
    "    COMPREPLY=()\n"
    "    # --flag=value comes as three words, because '=' divides words in bash\n"
    "    local i w=()\n"
    "    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "        if [[ ${COMP_WORDS[i]} == = && ${#w[@]} -gt 0 ]]; then\n"
    "            w[${#w[@]}-1]+==\n"
    "        elif [[ ${#w[@]} -gt 0 && ${w[${#w[@]}-1]} == --*= && ${COMP_WORDS[i-1]} == = ]]; "
    "then\n"
    "            w[${#w[@]}-1]+=${COMP_WORDS[i]}\n"
    "        else\n"
    "            w+=(\"${COMP_WORDS[i]}\")\n"
    "        fi\n"
    "    done\n"
    "    [[ $cur == = ]] && cur=\n"
    "    while IFS= read -r line; do\n"
    "        if [[ $line == :files ]]; then\n"
    "            compopt -o default 2>/dev/null\n"
    "            return\n"
    "        fi\n"
    "        line=${line%%$'\\t'*}\n"
    "        [[ ${w[${#w[@]}-1]} == --*=* ]] && line=${line#*=}\n"
    "        [[ $line == \"$cur\"* ]] && words+=(\"$line\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" __complete \"${w[@]}\" 2>/dev/null)\n"
    "    COMPREPLY=(\"${words[@]}\")\n"
    "    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then\n"
    "        compopt -o nospace 2>/dev/null\n"
    "    fi\n"
    "}\n"
    "complete -F _exo exo kubectl-exo\n";

static const char zsh[] =
    "#compdef exo kubectl-exo\n"
    "# zsh completion for exo: source <(exo completion zsh)\n"
    "_exo() {\n"
    "    local -a lines names\n"
    "    local line\n"
    "    lines=(\"${(@f)$(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "    if [[ \"${lines[1]}\" == :files ]]; then\n"
    "        _files\n"
    "        return\n"
    "    fi\n"
    "    for line in \"${lines[@]}\"; do\n"
    "        [[ -z \"$line\" ]] && continue\n"
    "        names+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "    done\n"
    "    _describe 'exo' names\n"
    "}\n"
    "if [[ \"${funcstack[1]}\" == _exo ]]; then\n"
    "    _exo \"$@\"\n"
    "else\n"
    "    compdef _exo exo kubectl-exo\n"
    "fi\n";

static const char fish[] =
    "# fish completion for exo: exo completion fish | source\n"
    "function __exo_complete\n"
    "    set -l words (commandline -opc)\n"
    "    set -l answer ($words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null)\n"
    "    if test \"$answer[1]\" = :files\n"
    "        __fish_complete_path (commandline -ct)\n"
    "        return\n"
    "    end\n"
    "    printf '%s\\n' $answer\n"
    "end\n"
    "for name in exo kubectl-exo\n"
    "    complete -c $name -f -a '(__exo_complete)'\n"
    "end\n";

const char *ak_completion_script(const char *shell)
{
    static const struct {
        const char *shell, *script;
    } scripts[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

    for (size_t i = 0; i < AK_ARRAY_LEN(scripts); i++)
        if (ak_streq(scripts[i].shell, shell))
            return scripts[i].script;
    return NULL;
}
