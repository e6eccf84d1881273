//! `--shell-completion`: the words that can stand next on a command line, for bash, zsh and fish.

use clap::Command;

use crate::error::ConfigError;
use crate::files::{Files, Group};
use crate::help::shown;
use crate::kind::Kind;
use crate::value::Tree;

/// What is asked for: `install=bash` and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Install(Shell),
    Uninstall(Shell),
    Query,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Request {
    /// Reads the word after `--shell-completion`.
    pub fn parse(word: Option<&str>) -> Result<Self, ConfigError> {
        let (verb, shell) = word.and_then(|word| word.split_once('=')).unwrap_or_default();
        let shell = match shell {
            "bash" => Some(Shell::Bash),
            "zsh" => Some(Shell::Zsh),
            "fish" => Some(Shell::Fish),
            _ => None,
        };
        match (verb, shell) {
            ("install", Some(shell)) => Ok(Self::Install(shell)),
            ("uninstall", Some(shell)) => Ok(Self::Uninstall(shell)),
            ("query", Some(_)) => Ok(Self::Query),
            _ => {
                let usage =
                    "--shell-completion takes install=SHELL or uninstall=SHELL, where SHELL is bash, zsh or fish";
                Err(ConfigError::Usage(usage.to_owned()))
            }
        }
    }
}

/// The lines that a shell runs to complete the arguments of a program, or to forget about it.
pub(crate) fn script(program: &str, request: Request) -> String {
    let text = match request {
        Request::Install(Shell::Bash) => BASH,
        Request::Install(Shell::Zsh) => ZSH,
        Request::Install(Shell::Fish) => FISH,
        Request::Uninstall(Shell::Bash) => "complete -r PROGRAM; unset -f _PROGRAM_words\n",
        Request::Uninstall(Shell::Zsh) => "compdef -d PROGRAM; unfunction _PROGRAM_words\n",
        Request::Uninstall(Shell::Fish) => "complete -e -c PROGRAM; functions -e _PROGRAM_words\n",
        Request::Query => "",
    };
    text.replace("PROGRAM", program)
}

// Each asks the program itself, by the name it was called by, with the line up to the cursor.
const BASH: &str = r#"_PROGRAM_words() {
    local line="${COMP_LINE:0:$COMP_POINT}"
    COMPREPLY=($("${COMP_WORDS[0]}" --shell-completion query=bash "$line" 2>/dev/null))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _PROGRAM_words PROGRAM
"#;

const ZSH: &str = r#"_PROGRAM_words() {
    local -a found
    found=("${(@f)$("${words[1]}" --shell-completion query=zsh "$LBUFFER" 2>/dev/null)}")
    compadd -S '' -- $found
}
compdef _PROGRAM_words PROGRAM
"#;

const FISH: &str = r#"function _PROGRAM_words
    set -l program (commandline -cpo)[1]
    $program --shell-completion query=fish (commandline -cp) 2>/dev/null
end
complete -c PROGRAM -x -a '(_PROGRAM_words)'
"#;

/// The words that can stand where the line ends, one a line.
pub(crate) fn words(line: &str, command: &Command, files: &Files, tree: &Tree, groups: &[Group]) -> String {
    let word = line.rsplit([' ', '\t']).next().unwrap_or_default();
    let mut found = if word.starts_with('-') { flags(command) } else { overrides(word, files, tree, groups) };
    found.retain(|next| next.starts_with(word));
    found.sort();
    found.dedup();
    found.iter().map(|next| format!("{next}\n")).collect()
}

fn flags(command: &Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|flag| !flag.is_hide_set());
    shown.filter_map(|flag| flag.get_long().map(|long| format!("--{long}"))).collect()
}

/// Keys up to their next dot, groups, and after the `=` what a key or a group can be.
fn overrides(word: &str, files: &Files, tree: &Tree, groups: &[Group]) -> Vec<String> {
    let name = word.trim_start_matches(['+', '~']);
    let sign = &word[..word.len() - name.len()];
    let Some((key, _)) = name.split_once('=') else {
        let keys = files.known.keys.iter().map(|key| {
            let rest = key.name.get(name.len()..).unwrap_or_default();
            match rest.find('.').filter(|_| key.name.starts_with(name)) {
                Some(dot) => key.name[..name.len() + dot + 1].to_owned(),
                None => format!("{}=", key.name),
            }
        });
        let groups = groups.iter().map(|(group, _)| format!("{group}="));
        return keys.chain(groups).map(|next| format!("{sign}{next}")).collect();
    };
    let values = if groups.iter().any(|(group, _)| group == key) {
        files.options(key)
    } else {
        match files.known.key(key).map(|key| key.kind) {
            Some(Kind::Choice(words)) => words.iter().map(|word| (*word).to_owned()).collect(),
            Some(Kind::Bool) => vec!["true".to_owned(), "false".to_owned()],
            _ => tree.get(files.known.own_name(key)).map(shown).into_iter().collect(),
        }
    };
    values.into_iter().map(|value| format!("{sign}{key}={value}")).collect()
}
