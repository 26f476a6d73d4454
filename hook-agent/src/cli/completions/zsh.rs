//! Completions for zsh.

use std::fmt::Write as _;

use super::prefixes::{groups, is_folder, prefixes, with_value};

/// Returns the script.
pub(super) fn script() -> String {
    let folders = with_value(is_folder);
    let mut cases = String::new();
    for prefix in prefixes() {
        let next: Vec<String> = prefix
            .next
            .iter()
            .map(|(word, about)| described(word, about))
            .collect();
        let options: Vec<String> = prefix
            .options
            .iter()
            .map(|option| described(option.flag, option.about))
            .collect();
        let _ = writeln!(
            cases,
            "    '{}')\n      next=({})\n      options=({})\n      ;;",
            prefix.words,
            next.join(" "),
            options.join(" ")
        );
    }
    TEMPLATE
        .replace("@GROUPS@", &groups().join("|"))
        .replace("@VALUED@", &with_value(|_| true).join("|"))
        .replace("@FOLDERS@", &folders.join("|"))
        .replace("@CASES@", cases.trim_end())
}

/// Returns a quoted pair for `_describe`.
fn described(word: &str, about: &str) -> String {
    format!("'{word}:{}'", about.replace('\'', r"'\''"))
}

const TEMPLATE: &str = r#"#compdef hook-agent
# Completions of hook-agent for zsh: save this file as _hook-agent in a folder of $fpath.
_hook-agent() {
  local prefix='' valued='' i
  local -a next options
  for ((i = 2; i < CURRENT; i++)); do
    if [[ -n $valued ]]; then valued=''; continue; fi
    case $prefix/${words[i]} in
      (install*/--user|uninstall*/--user) continue ;;
      (exec/--) prefix='exec --' ;;
    esac
    case ${words[i]} in
      (@VALUED@) valued=${words[i]} ;;
      (-*) ;;
      (*)
        case $prefix in
          ('') prefix=${words[i]} ;;
          (@GROUPS@) prefix="$prefix ${words[i]}" ;;
          (exec|'exec --') _files; return ;;
        esac
        ;;
    esac
  done
  case $valued in
    ('') ;;
    (@FOLDERS@) _files -/; return ;;
    (*) _message value; return ;;
  esac
  case $prefix in
@CASES@
  esac
  if [[ $prefix == 'exec --' || ( $prefix == exec && ${words[CURRENT]} != -* ) ]]; then
    _command_names -e
  elif [[ ${words[CURRENT]} == -* || ${#next} -eq 0 ]]; then
    _describe option options
  else
    _describe command next
  fi
}
if [[ $funcstack[1] == _hook-agent ]]; then
  _hook-agent "$@"
else
  compdef _hook-agent hook-agent
fi
"#;
