//! `${…}` inside values, by OmegaConf's grammar: keys, resolvers, one within another. `\${` stands for itself.

use crate::error::ConfigError;
use crate::files::Group;
use crate::grammar::{self, Element, Parsed};
use crate::launch::Launch;
use crate::resolvers;
use crate::schema::Schema;
use crate::suggest;
use crate::value::{Tree, Value, holds_reference, refers};

/// The longest text that references may add up to, in bytes: a few that each name the one before twice would fill the
/// memory.
const LONGEST: usize = 1 << 16;

/// How many references may lie in one another.
const DEEPEST: usize = 32;

/// Replaces every reference of every value, and those of the texts among Hydra's own settings, `settings`, which are
/// beside the values in what comes back. The others are read when they are asked for.
pub(crate) fn resolve(known: &Schema, tree: &Tree, settings: Tree, launch: &Launch) -> Result<Tree, ConfigError> {
    let mut all = settings;
    all.extend(tree.clone());
    let mut resolver = Resolver { known, tree: &all, launch, resolved: Tree::new() };
    tree.keys().try_for_each(|key| resolver.value(key, &mut Vec::new()).map(|_| ()))?;
    for text in Launch::texts() {
        let resolved = resolver.value(text, &mut Vec::new());
        if launch.folder().contains(&text) || text == "hydra.job.name" {
            resolved?; // the others matter to another mode
        }
    }
    Ok(resolver.resolved)
}

/// The option that a text with references to the options of other groups, and to the environment, names.
pub(crate) fn option(group: &str, text: &str, groups: &[Group], launch: &Launch) -> Result<String, ConfigError> {
    let chosen = |(group, option): &Group| Some((group.clone(), Value::from(option.as_deref()?)));
    let tree: Tree = groups.iter().filter(|(name, _)| name != group).filter_map(chosen).collect();
    let none = Schema::default();
    let mut resolver = Resolver { known: &none, tree: &tree, launch, resolved: Tree::new() };
    resolver.text(text, &mut Place { key: group, path: Vec::new(), depth: 0 }).map(|element| shown(&element))
}

pub(crate) struct Resolver<'a> {
    known: &'a Schema,
    tree: &'a Tree,
    pub launch: &'a Launch,
    /// What is done: each key is resolved once, however many name it.
    resolved: Tree,
}

/// Where a reference stands.
pub(crate) struct Place<'a> {
    /// The key it belongs to.
    pub key: &'a str,
    /// The keys that are being resolved, the outermost first.
    path: Vec<String>,
    /// How many references it lies in.
    depth: usize,
}

impl Resolver<'_> {
    /// The value of a key; `path` holds the keys that are being resolved, the outermost first.
    fn value(&mut self, key: &str, path: &mut Vec<String>) -> Result<Value, ConfigError> {
        if let Some(value) = self.resolved.get(key) {
            return Ok(value.clone());
        }
        let value = self.resolve(key, path)?;
        self.resolved.insert(key.to_owned(), value.clone());
        Ok(value)
    }

    fn resolve(&mut self, key: &str, path: &mut Vec<String>) -> Result<Value, ConfigError> {
        let tree = self.tree;
        let value = &tree[key];
        if !holds_reference(value) {
            return Ok(value.clone());
        }
        if path.iter().any(|open| open == key) {
            path.push(key.to_owned());
            let problem = format!("a circle of references: {}", path.join(" -> "));
            return Err(error(&path[0], problem));
        }
        path.push(key.to_owned());
        let mut at = Place { key, path: std::mem::take(path), depth: 0 };
        let element = match value {
            Value::Sequence(items) => {
                let item = |item: &Value| match item.as_str() {
                    Some(text) => self.text(text, &mut at),
                    None => Ok(element(item)),
                };
                Element::List(items.iter().map(item).collect::<Result<_, _>>()?)
            }
            other => self.text(other.as_str().unwrap_or_default(), &mut at)?,
        };
        *path = at.path;
        path.pop();
        match self.known.key(key) {
            // What only came to look like a reference is text by now.
            Some(known) => known.convert(key, &element, &shown(&element)),
            None => match element.python_str().filter(|_| element != Element::Null) {
                Some(text) => Ok(Value::from(text)),
                None => Err(error(key, format!("it is a text, and not {}", shown(&element)))),
            },
        }
    }

    /// A text with its references replaced; one that is a single reference keeps the type of what it names.
    pub fn text(&mut self, text: &str, at: &mut Place) -> Result<Element, ConfigError> {
        let mut plain = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, reference) = rest.split_at(start);
            let backslashes = before.len() - before.trim_end_matches('\\').len();
            plain.push_str(&before[..before.len() - backslashes.div_ceil(2)]);
            if backslashes % 2 == 1 {
                plain.push_str("${");
                rest = &reference[2..];
                continue;
            }
            let close = closing(reference).ok_or_else(|| {
                error(at.key, format!("`{reference}` has no closing brace; write \\${{ for the characters themselves"))
            })?;
            let value = self.reference(&reference[2..close], at)?;
            rest = &reference[close + 1..];
            if plain.is_empty() && before.is_empty() && rest.is_empty() {
                return Ok(value);
            }
            plain.push_str(&shown(&value));
            if plain.len() > LONGEST {
                return Err(error(at.key, format!("its references add up to more than {LONGEST} bytes")));
            }
        }
        plain.push_str(rest);
        Ok(Element::Text(plain))
    }

    /// What stands between the braces: a key, or a resolver and its arguments.
    fn reference(&mut self, inner: &str, at: &mut Place) -> Result<Element, ConfigError> {
        at.depth += 1;
        if at.depth > DEEPEST {
            return Err(error(at.key, format!("more than {DEEPEST} references lie in one another")));
        }
        let (name, arguments) = match top_level(inner, ':').next() {
            Some(colon) => (&inner[..colon], Some(&inner[colon + 1..])),
            None => (inner, None),
        };
        let name = shown(&self.text(name.trim(), at)?);
        let value = match arguments {
            None => self.named(&name, at),
            Some(arguments) => {
                let arguments = self.arguments(arguments, at)?;
                resolvers::call(self, name.trim(), arguments, at)
            }
        };
        at.depth -= 1;
        value
    }

    fn arguments(&mut self, text: &str, at: &mut Place) -> Result<Vec<Element>, ConfigError> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let mut start = 0;
        let mut arguments = Vec::new();
        for end in top_level(text, ',').chain([text.len()]) {
            arguments.push(self.argument(&text[start..end], at)?);
            start = end + 1;
        }
        Ok(arguments)
    }

    /// One argument, or the text that `oc.decode` reads.
    pub fn argument(&mut self, text: &str, at: &mut Place) -> Result<Element, ConfigError> {
        let text = text.trim_matches([' ', '\t']);
        let quoted = text.starts_with(['\'', '"']);
        if refers(text) && !quoted && !text.starts_with(['[', '{']) {
            return self.text(text, at);
        }
        match grammar::value(text) {
            Ok(Parsed::One(element)) if quoted || !text.contains('(') => self.within(element, at),
            _ => Err(error(at.key, format!("`{text}` in a reference is read as no value; put it in quotes"))),
        }
    }

    /// A value with the references within it replaced; what quotes stand around stays text.
    fn within(&mut self, element: Element, at: &mut Place) -> Result<Element, ConfigError> {
        Ok(match element {
            Element::Quoted(text, _) => Element::Text(shown(&self.text(&text, at)?)),
            Element::Text(text) if refers(&text) => self.text(&text, at)?,
            Element::List(items) => {
                Element::List(items.into_iter().map(|item| self.within(item, at)).collect::<Result<_, _>>()?)
            }
            Element::Dict(pairs) => {
                let pairs = pairs.into_iter().map(|(key, value)| Ok((key, self.within(value, at)?)));
                Element::Dict(pairs.collect::<Result<_, ConfigError>>()?)
            }
            plain => plain,
        })
    }

    /// The value of the key of this name.
    fn named(&mut self, name: &str, at: &mut Place) -> Result<Element, ConfigError> {
        if let Some(value) = self.select(name, at)? {
            return Ok(value);
        }
        if self.known.key(name).is_some() {
            return Err(ConfigError::NotGiven { key: self.known.own_name(name).to_owned() });
        }
        let keys = self.tree.keys().map(String::as_str).filter(|key| !is_hydras(key) || is_hydras(at.key));
        let nearest = suggest::nearest(name, keys);
        let meant = suggest::did_you_mean(&nearest);
        Err(error(at.key, format!("${{{name}}} names no key{meant} (\\${{ stands for the characters themselves)")))
    }

    /// The value of a key, if there is such a key. A dot in front stands for the section of the key that asks, each
    /// further one for the section around; `a[b]` is `a.b`.
    pub fn select(&mut self, name: &str, at: &mut Place) -> Result<Option<Element>, ConfigError> {
        let name = name.replace(']', "").replace('[', ".");
        let own = name.trim_start_matches('.');
        let mut section = Some(at.key);
        for _ in 0..name.len() - own.len() {
            section = section.filter(|section| !section.is_empty());
            section = section.map(|section| section.rsplit_once('.').map_or("", |(outer, _)| outer));
        }
        let absolute = match section {
            Some(section) if own.len() < name.len() && !section.is_empty() => format!("{section}.{own}"),
            Some(_) => own.to_owned(),
            None => {
                let problem = format!("${{{name}}} names no key: it has more dots than there are sections around");
                return Err(error(at.key, problem));
            }
        };
        if self.known.has_section(&absolute) {
            return Err(error(at.key, format!("{absolute} is a section, and a reference names one of its keys")));
        }
        let key = self.known.own_name(&absolute).to_owned();
        // Hydra takes its own section away before a program sees its keys.
        if is_hydras(&key) && !is_hydras(at.key) {
            return Ok(None);
        }
        self.held(&key, at)
    }

    /// The value of a key by its full name, if there is such a key.
    fn held(&mut self, key: &str, at: &mut Place) -> Result<Option<Element>, ConfigError> {
        match self.tree.contains_key(key) {
            true => Ok(Some(element(&self.value(key, &mut at.path)?))),
            false => Ok(None),
        }
    }

    /// What `${hydra:key}` stands for, if it stands for anything.
    pub fn hydras(&mut self, key: &str, at: &mut Place) -> Result<Option<Element>, ConfigError> {
        if key != "runtime.output_dir" {
            return self.held(&format!("hydra.{key}"), at);
        }
        let mut dir = std::env::current_dir().unwrap_or_default();
        for name in self.launch.folder() {
            dir.push(self.held(name, at)?.as_ref().and_then(Element::text).unwrap_or_default());
        }
        Ok(Some(Element::Text(dir.components().as_path().display().to_string())))
    }
}

/// Whether a key is one of Hydra's own settings.
fn is_hydras(key: &str) -> bool {
    key.starts_with("hydra.")
}

/// A value of the tree as the grammar has it.
pub(crate) fn element(value: &Value) -> Element {
    match value {
        Value::Bool(flag) => Element::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Element::Int(int.into()),
            None => Element::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Element::Text(text.clone()),
        Value::Sequence(items) => Element::List(items.iter().map(element).collect()),
        _ => Element::Null,
    }
}

/// A value within a text, as Python writes it.
pub(crate) fn shown(element: &Element) -> String {
    element.python_str().unwrap_or_else(|| within(element))
}

/// A value within a list or a map, as Python writes it.
fn within(element: &Element) -> String {
    match element {
        Element::List(items) => {
            let items: Vec<String> = items.iter().map(within).collect();
            format!("[{}]", items.join(", "))
        }
        Element::Dict(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| format!("{}: {}", within(key), within(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Element::Text(text) | Element::Quoted(text, _) => {
            let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
            let text = text.replace('\\', r"\\");
            format!("{quote}{}{quote}", if quote == '\'' { text.replace('\'', r"\'") } else { text })
        }
        plain => plain.python_str().unwrap_or_default(),
    }
}

/// Where the brace is that closes the reference at the start.
fn closing(reference: &str) -> Option<usize> {
    top_level(&reference[2..], '}').next().map(|at| at + 2)
}

/// The places of a character outside of quotes and brackets.
fn top_level(text: &str, wanted: char) -> impl Iterator<Item = usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().filter_map(move |(at, c)| {
        let plain = !escaped;
        escaped = c == '\\' && plain;
        match quote {
            Some(open) => {
                if c == open && plain {
                    quote = None;
                }
                return None;
            }
            None if c == wanted && depth == 0 && plain => return Some(at),
            None if !plain => {}
            None => match c {
                '\'' | '"' => quote = Some(c),
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            },
        }
        None
    })
}

pub(crate) fn error(key: &str, problem: String) -> ConfigError {
    ConfigError::Interpolation { key: key.to_owned(), problem }
}
