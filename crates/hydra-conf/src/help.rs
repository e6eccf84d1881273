//! `--help`: the flags, the groups with their options, and every key with its value and the comment it has in its file.

use clap::Command;

use crate::compose::{Composed, compose};
use crate::error::ConfigError;
use crate::files::{Files, Group};
use crate::launch::Launch;
use crate::overrides::{Override, quote};
use crate::root::Root;
use crate::schema::Schema;
use crate::value::{Tree, show};

/// Width of a page that goes to no terminal.
const PLAIN_WIDTH: usize = 100;

/// The widest first column.
const MAX_LEFT: usize = 44;

/// What overrides look like.
const FORMS: &[(&str, &str)] = &[
    ("key=value", "set a key: a number, true or false, text, null, or another key's value, ${key}"),
    ("+key=value", "add a key, where keys can be added"),
    ("~key", "drop a value that is optional"),
    ("group=option", "choose an option of a group"),
];

/// The flags that are about keys and their values.
const SETTING: [&str; 7] = ["hydra-help", "cfg", "package", "info", "multirun", "config-dir", "config-name"];

const GRAMMAR: &str = r#"PROGRAM reads overrides as Hydra 1.3 does (https://hydra.cc).

Values:
  name='a, b'               quotes around a text with commas, brackets or blanks at its ends; \' is a quote
  name=a\,b                 or a backslash before each such character
  list=[1,2]                a list
  section={a:1,b:2}         several keys of a section
  name=null                 nothing, where that is possible
  int(x) float(x) str(x) bool(x)

Sweeps, each value a job under -m; the last key changes fastest:
  key=1,2,3                 these values, also choice(1,2,3)
  key=range(1,10,3)         1, 4, 7
  group=glob(*)             every option of a group; glob([a*,b*],exclude=*c)
  sort(…) shuffle(…) tag(…)

References:
  ${section.key} ${.key}    another key; a dot in front is the section of this one
  ${oc.env:HOME,default}    an environment variable
  ${oc.select:key,default}  a key that may not be there
  ${oc.decode:text}         a text read as a value
  ${oc.create:[1,2]}        a list or a map
  ${now:%Y-%m-%d}           the time
  ${hydra:job.name}         also job.num, job.id, job.override_dirname, job.config_name, mode, run.dir, sweep.dir,
                            sweep.subdir, runtime.cwd, runtime.output_dir, runtime.version, runtime.choices.GROUP

Hydra's own settings:
  hydra.run.dir=DIR         folder of the run
  hydra.sweep.dir=DIR       folder of a multirun, in which each job has a folder
  hydra.sweep.subdir=NAME   that folder, by its number if not named
  hydra.job.name=NAME       what ${hydra:job.name} stands for
"#;

/// The page, with the values that the overrides lead to.
pub(crate) fn page<T: Root>(
    command: Command,
    files: &Files,
    overrides: &[Override],
    launch: &Launch,
) -> Result<String, ConfigError> {
    // A mistake in an override must not keep the page from whoever looks for the right name.
    let Composed { tree, groups, .. } =
        compose::<T>(files, overrides, launch).or_else(|_| compose::<T>(files, &[], launch))?;
    let width = width();
    let known = &files.known.keys;
    // Nothing can be set in a program without keys, nor printed.
    let usage = if known.is_empty() { "[FLAGS]" } else { "[FLAGS] [OVERRIDE]..." };
    let about_keys = SETTING.iter().filter(|_| known.is_empty());
    let command = about_keys.fold(command, |command, flag| command.mut_arg(*flag, |arg| arg.hide(true)));
    let mut text = command
        .term_width(width)
        .override_usage(usage)
        .help_template("{about}\n\nUsage: {name} {usage}\n\nFlags:\n{options}\n")
        .render_help()
        .to_string();
    let forms = FORMS.iter().filter(|(form, _)| match *form {
        "group=option" => !groups.is_empty(),
        "+key=value" => known.iter().any(|key| key.open.is_some()),
        "~key" => known.iter().any(|key| key.optional || key.open.is_some()),
        _ => !known.is_empty(),
    });
    let forms: Vec<_> = forms.map(|(form, help)| (form.to_string(), help.to_string())).collect();
    table(&mut text, "Overrides", &forms, width);
    table(&mut text, "Groups", &group_rows::<T>(&groups, files), width);
    table(&mut text, "Keys", &key_rows(files.known, &tree), width);
    Ok(text)
}

/// What `--hydra-help` prints: the values and references that can be written.
pub(crate) fn grammar(program: &str) -> String {
    GRAMMAR.replace("PROGRAM", program)
}

/// A row for each group: the choice, the options, what the group is for.
fn group_rows<T: Root>(groups: &[Group], files: &Files) -> Vec<(String, String)> {
    let row = |(group, option): &Group| {
        let chosen = option.as_deref().unwrap_or("null");
        let options = files.options(group).join(", ");
        let help = comment(files.embedded(T::FILE).unwrap_or_default(), group);
        (format!("{group}={chosen}"), format!("one of {options}: {help}"))
    };
    groups.iter().map(row).collect()
}

/// A row for each key; an open section has one, then those of its keys that are set.
fn key_rows(known: &Schema, tree: &Tree) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut described = None;
    for key in &known.keys {
        let section = key.sections().last();
        if let (Some(help), Some(name), true) = (key.open, section, described != section) {
            described = section;
            rows.push((format!("{name}.KEY=VALUE"), help.to_owned()));
        }
        let value = match tree.get(&key.name) {
            Some(value) => shown(value),
            None if key.open.is_none() && key.default.is_none() => "???".to_owned(), // as in Hydra: it must be given
            None => continue,
        };
        rows.push((format!("{}={value}", key.name), key.help.to_owned()));
    }
    rows
}

/// A value as one would type it.
pub(crate) fn shown(value: &serde_yaml::Value) -> String {
    match value.as_str() {
        Some(text) if text.contains(char::is_whitespace) || text.is_empty() || text == "null" => {
            format!("{text:?}")
        }
        Some(text) => quote(text),
        None => show(value),
    }
}

/// The line of help of a key, by its dotted name; empty if there is no such key.
pub fn help_of<T: Root>(key: &str) -> &'static str {
    T::schema().key(key).map_or("", |key| key.help)
}

/// The comment after a group in the defaults list of a file; empty if there is none.
fn comment(file: &str, group: &str) -> String {
    let groups = file.lines().filter_map(|line| line.trim_start().strip_prefix("- "));
    let line = groups.filter_map(|line| line.strip_prefix(group)).find_map(|line| line.strip_prefix(':'));
    line.and_then(|line| line.split_once(" # ")).map_or_else(String::new, |(_, help)| help.to_owned())
}

fn width() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.map(|(width, _)| usize::from(width.0)).or_else(columns).unwrap_or(PLAIN_WIDTH).max(20)
}

/// Appends two aligned columns, the second wrapped to the width.
fn table(text: &mut String, title: &str, rows: &[(String, String)], width: usize) {
    if rows.is_empty() {
        return;
    }
    let widest = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    let column = widest.min(MAX_LEFT).min(width / 2) + 4;
    text.push_str(&format!("\n{title}:\n"));
    for (left, right) in rows {
        let mut line = format!("  {left}");
        if line.chars().count() + 2 > column {
            text.push_str(&(std::mem::take(&mut line) + "\n"));
        }
        for word in right.split_whitespace() {
            let used = line.chars().count();
            if used > column && used + 1 + word.chars().count() > width {
                text.push_str(&(std::mem::take(&mut line) + "\n"));
            }
            let used = line.chars().count();
            let gap = column.checked_sub(used).filter(|gap| *gap > 0).unwrap_or(1);
            line.push_str(&" ".repeat(gap));
            line.push_str(word);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_wrapped() {
        let rows = [("a=1", "one two three four five six"), ("longest=2", "seven"), ("much.longer=3", "eight")];
        let rows: Vec<(String, String)> =
            rows.iter().map(|(left, right)| (left.to_string(), right.to_string())).collect();
        let mut text = String::new();
        table(&mut text, "Keys", &rows, 26);
        let expected = [
            "",
            "Keys:",
            "  a=1            one two",
            "                 three",
            "                 four five",
            "                 six",
            "  longest=2      seven",
            "  much.longer=3  eight",
            "",
        ];
        assert_eq!(text, expected.join("\n"));
        text.clear();
        table(&mut text, "Keys", &rows[2..], 20);
        assert_eq!(text, "\nKeys:\n  much.longer=3\n              eight\n");
    }
}
