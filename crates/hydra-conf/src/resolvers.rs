//! What a reference can ask other than a key: OmegaConf's `oc.…`, Hydra's `now` and `hydra`.

use chrono::{DateTime, Local};

use crate::error::ConfigError;
use crate::grammar::Element;
use crate::interpolate::{Place, Resolver, error, shown};

/// The widest that a part of the time is written.
const WIDEST: usize = 1 << 10;

/// The value of `${name:arguments}`.
pub(crate) fn call(
    resolver: &mut Resolver,
    name: &str,
    arguments: Vec<Element>,
    at: &mut Place,
) -> Result<Element, ConfigError> {
    let fails = |at: &Place, problem: String| Err(error(at.key, format!("${{{name}:…}} {problem}")));
    match (name, arguments.as_slice()) {
        ("oc.env", [variable] | [variable, _]) => {
            let variable = shown(variable);
            match (std::env::var(&variable), arguments.get(1)) {
                (Ok(value), _) => Ok(Element::Text(value)),
                (Err(_), Some(Element::Null)) => Ok(Element::Null),
                (Err(_), Some(default)) => Ok(Element::Text(shown(default))),
                (Err(_), None) => {
                    fails(at, format!("needs the environment variable {variable}, or a default after a comma"))
                }
            }
        }
        ("oc.select", [Element::Text(key)] | [Element::Text(key), _]) => {
            let found = resolver.select(key, at)?;
            Ok(found.or_else(|| arguments.get(1).cloned()).unwrap_or(Element::Null))
        }
        ("oc.decode", [Element::Null]) => Ok(Element::Null),
        ("oc.decode", [Element::Text(text)]) if text.is_empty() => fails(at, "has nothing to read".to_owned()),
        // Blanks around it make it a text, unlike those around an argument.
        ("oc.decode", [Element::Text(text)]) if text.starts_with(' ') || text.ends_with(' ') => resolver.text(text, at),
        ("oc.decode", [Element::Text(text)]) => resolver.argument(text, at),
        ("oc.create", [value @ (Element::List(_) | Element::Dict(_) | Element::Null)]) => Ok(value.clone()),
        ("now", [format]) => Ok(Element::Text(now(&resolver.launch.now, &shown(format)))),
        ("oc.deprecated", [Element::Text(key)] | [Element::Text(key), _]) => match resolver.select(key, at)? {
            Some(value) => Ok(value),
            None => fails(at, format!("names no key: {key}")),
        },
        ("hydra", [Element::Text(key)]) => match resolver.hydras(key, at)? {
            Some(value) => Ok(value),
            None => fails(at, format!("knows no {key}; --hydra-help lists what it knows")),
        },
        (_, arguments) => fails(at, wrong(name, arguments.len())),
    }
}

/// What is wrong with a call that fits no resolver.
fn wrong(name: &str, given: usize) -> String {
    let (least, most, what) = match name {
        "oc.env" => (1, 2, "a variable, and a default where it may be unset"),
        "oc.select" => (1, 2, "a key, and a default where there may be none"),
        "oc.decode" => (1, 1, "a text that reads as a value"),
        "oc.create" => (1, 1, "a list or a map"),
        "oc.deprecated" => (1, 2, "a key, and a message"),
        "now" => (1, 1, "a format, as in %Y-%m-%d"),
        "hydra" => (1, 1, "a setting of Hydra's, as in job.name"),
        _ => {
            let known = "oc.env, oc.select, oc.decode, oc.create, oc.deprecated, now and hydra";
            return format!("is not known; there are {known}");
        }
    };
    match given {
        _ if given > most => format!("has too many arguments; it takes {what} (a comma in a text needs quotes)"),
        _ if given < least => format!("has no argument; it takes {what}"),
        _ => format!("takes {what}"),
    }
}

/// The time at which the command line was read, the same for all jobs, as Python writes it.
fn now(time: &DateTime<Local>, format: &str) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let (written, len) = directive(time, rest);
        text.push_str(&written);
        rest = &rest[len..];
    }
    text + rest
}

/// What the directive at the start of a format stands for, and its length. One that means nothing stands for itself, as
/// in the C library that Python asks.
fn directive(time: &DateTime<Local>, format: &str) -> (String, usize) {
    for (own, text) in [("%f", time.format("%6f").to_string()), ("%z", String::new()), ("%Z", String::new())] {
        if format.starts_with(own) {
            return (text, 2); // a time without a zone
        }
    }
    let inner = &format[1..];
    let flags = inner.len() - inner.trim_start_matches(['_', '-', '0', '^', '#']).len();
    let digits = inner[flags..].bytes().take_while(u8::is_ascii_digit).count();
    let after = &inner[flags + digits..];
    let modifier = match after.chars().next() {
        Some('E') if after[1..].starts_with(['c', 'C', 'x', 'X', 'y', 'Y']) => 1,
        Some('O') if after[1..].starts_with(|c| "BbdehHImMSuUVwWy".contains(c)) => 1,
        _ => 0,
    };
    let Some(letter) = after[modifier..].chars().next() else { return (format.to_owned(), format.len()) };
    let len = 1 + flags + digits + modifier + letter.len_utf8();
    if !"aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ%".contains(letter) {
        return (format[..len].to_owned(), len);
    }
    let text = time.format(&format!("%{letter}")).to_string();
    let width = inner[flags..flags + digits].parse().unwrap_or(0).min(WIDEST);
    (padded(&text, &inner[..flags], width), len)
}

/// A part of the time with the flags of the C library: `-` takes the padding off, `_` pads with blanks, `0` with zeros.
fn padded(text: &str, flags: &str, width: usize) -> String {
    let number = text.trim().bytes().all(|byte| byte.is_ascii_digit()) && !text.trim().is_empty();
    let last = flags.chars().rfind(|c| "_-0".contains(*c));
    let text = match flags.contains('^') {
        true => text.to_uppercase(),
        false => text.to_owned(),
    };
    let bare = if number && last.is_some() { text.trim_start_matches(['0', ' ']) } else { &text };
    let bare = if number && bare.is_empty() { "0" } else { bare };
    let width = if last == Some('-') { 0 } else { width.max(text.len()) };
    let pad = if last == Some('0') || number && last.is_none() && !text.starts_with(' ') { "0" } else { " " };
    pad.repeat(width.saturating_sub(bare.len())) + bare
}
