//! Completions for bash, from 3.2 on (macOS), without the package bash-completion.

use std::fmt::Write as _;

use super::prefixes::{groups, is_folder, prefixes, with_value};

/// Returns the script.
pub(super) fn script() -> String {
    let folders = with_value(is_folder);
    let mut cases = String::new();
    for prefix in prefixes() {
        let next: Vec<&str> = prefix.next.iter().map(|(word, _)| *word).collect();
        let options: Vec<String> = prefix
            .options
            .iter()
            .map(|option| option.flag.to_owned())
            .collect();
        let _ = writeln!(
            cases,
            "    '{}') next='{}' options='{}' ;;",
            prefix.words,
            next.join(" "),
            options.join(" ")
        );
    }
    TEMPLATE
        .replace("@GROUPS@", &groups().join(" | "))
        .replace("@VALUED@", &with_value(|_| true).join("|"))
        .replace("@FOLDERS@", &folders.join("|"))
        .replace("@CASES@", cases.trim_end())
}

const TEMPLATE: &str = r#"# Completions of hook-agent for bash: source this file, or save it as
# ~/.local/share/bash-completion/completions/hook-agent
_hook_agent() {
  local current=${COMP_WORDS[COMP_CWORD]} words='' next='' options='' valued='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ $valued ]]; then valued=''; continue; fi
    case $words/${COMP_WORDS[i]} in
      install*/--user | uninstall*/--user) continue ;;
      exec/-*) [[ ${COMP_WORDS[i]} != -- ]] || words='exec --' ;;
    esac
    case ${COMP_WORDS[i]} in
      @VALUED@) valued=${COMP_WORDS[i]} ;;
      -*) ;;
      *)
        case $words in
          '') words=${COMP_WORDS[i]} ;;
          @GROUPS@) words="$words ${COMP_WORDS[i]}" ;;
          exec | 'exec --') COMPREPLY=($(compgen -f -- "$current")); return ;;
        esac
        ;;
    esac
  done
  case $valued in
    '') ;;
    @FOLDERS@) COMPREPLY=($(compgen -d -- "$current")); return ;;
    *) return ;;
  esac
  case $words in
@CASES@
  esac
  if [[ $words == 'exec --' || $words == exec && $current != -* ]]; then
    COMPREPLY=($(compgen -c -- "$current"))
  elif [[ $current == -* || ! $next ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$next" -- "$current"))
  fi
}
complete -F _hook_agent hook-agent
"#;
