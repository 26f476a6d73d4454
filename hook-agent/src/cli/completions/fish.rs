//! Completions for fish.

use std::fmt::Write as _;

use super::prefixes::{groups, is_folder, prefixes, with_value};

/// Returns the script.
pub(super) fn script() -> String {
    let mut lines = String::new();
    for prefix in prefixes() {
        let at = format!("-n \"__hook_agent_at '{}'\"", prefix.words);
        for (word, about) in &prefix.next {
            let _ = writeln!(
                lines,
                "complete -c hook-agent -f {at} -a {word} -d {}",
                quoted(about)
            );
        }
        for option in &prefix.options {
            let value = match option.value {
                "" => "",
                folder if is_folder(folder) => "-x -a '(__fish_complete_directories)' ",
                _ => "-x ",
            };
            let _ = writeln!(
                lines,
                "complete -c hook-agent {at} -l {} {value}-d {}",
                option.flag.trim_start_matches('-'),
                quoted(option.about)
            );
        }
    }
    TEMPLATE
        .replace("@GROUPS@", &groups().join(" "))
        .replace("@VALUED@", &with_value(|_| true).join(" "))
        .replace("@LINES@", lines.trim_end())
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

const TEMPLATE: &str = r#"# Completions of hook-agent for fish: save this file as ~/.config/fish/completions/hook-agent.fish
function __hook_agent_place
    set -l prefix ''
    set -l valued ''
    for word in (commandline -opc)[2..-1]
        if test -n "$valued"
            set valued ''
            continue
        end
        switch "$prefix/$word"
            case 'install*/--user' 'uninstall*/--user'
                continue
            case 'exec/--'
                set prefix 'exec --'
        end
        switch $word
            case @VALUED@
                set valued $word
            case '-*'
            case '*'
                switch $prefix
                    case ''
                        set prefix $word
                    case @GROUPS@
                        set prefix "$prefix $word"
                    case exec 'exec --'
                        set prefix 'exec program'
                end
        end
    end
    echo $prefix
end
function __hook_agent_at
    test (__hook_agent_place) = "$argv[1]"
end
complete -c hook-agent -f
complete -c hook-agent -n "__hook_agent_at exec; or __hook_agent_at 'exec --'" -a '(__fish_complete_command)'
complete -c hook-agent -F -n "__hook_agent_at 'exec program'"
@LINES@
"#;
