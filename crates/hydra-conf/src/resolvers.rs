//! What a reference can ask other than a key: OmegaConf's `oc.…`, Hydra's `now` and `hydra`.

use std::fmt::Write;

use crate::error::ConfigError;
use crate::grammar::Element;
use crate::interpolate::{Place, Resolver, error, shown};

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
        // Blanks around it make it a text, unlike those around an argument.
        ("oc.decode", [Element::Text(text)]) if text.starts_with(' ') || text.ends_with(' ') => resolver.text(text, at),
        ("oc.decode", [Element::Text(text)]) => resolver.argument(text, at),
        ("oc.create", [value @ (Element::List(_) | Element::Dict(_) | Element::Null)]) => Ok(value.clone()),
        ("now", [format]) => now(resolver, &shown(format)).map_or_else(|problem| fails(at, problem), Ok),
        ("hydra", [Element::Text(key)]) => match resolver.launch.known(key) {
            Some(value) => Ok(value),
            None => fails(
                at,
                format!(
                    "knows no {key}, but job.name, job.num, mode, run.dir, sweep.dir, sweep.subdir, \
                     runtime.cwd and runtime.choices.GROUP"
                ),
            ),
        },
        ("oc.env" | "oc.select" | "oc.decode" | "oc.create" | "now" | "hydra", _) => {
            fails(at, "has too many or too few arguments, or no text where one is needed".to_owned())
        }
        _ => fails(at, "is not known; there are oc.env, oc.select, oc.decode, oc.create, now and hydra".to_owned()),
    }
}

/// The time at which the command line was read, the same for all jobs.
fn now(resolver: &Resolver, format: &str) -> Result<Element, String> {
    let mut text = String::new();
    match write!(text, "{}", resolver.launch.now.format(format)) {
        Ok(()) => Ok(Element::Text(text)),
        Err(_) => Err(format!("cannot write the time as {format}; %Y-%m-%d_%H-%M-%S is one way")),
    }
}
