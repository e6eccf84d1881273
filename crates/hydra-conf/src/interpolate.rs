//! `${key}` inside values: replaced by the value of that key. `\${` stands for itself.

use crate::error::ConfigError;
use crate::schema::Schema;
use crate::suggest;
use crate::value::{Tree, Value, refers, show};

/// The longest text that references may add up to, in bytes: a few that each name the one before twice would fill the
/// memory.
const LONGEST: usize = 1 << 16;

/// Replaces every reference of every value.
pub(crate) fn resolve(known: &Schema, tree: &Tree) -> Result<Tree, ConfigError> {
    let mut resolver = Resolver { known, tree, resolved: Tree::new() };
    tree.keys().try_for_each(|key| resolver.value(key, &mut Vec::new()).map(|_| ()))?;
    Ok(resolver.resolved)
}

struct Resolver<'a> {
    known: &'a Schema,
    tree: &'a Tree,
    /// What is done: each key is resolved once, however many name it.
    resolved: Tree,
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
        let Some(text) = value.as_str().filter(|text| refers(text)) else {
            return Ok(value.clone());
        };
        if path.iter().any(|open| open == key) {
            path.push(key.to_owned());
            let problem = format!("a circle of references: {}", path.join(" -> "));
            return Err(error(&path[0], problem));
        }
        path.push(key.to_owned());
        let resolved = self.text(key, text, path)?;
        path.pop();
        let textual = self.known.key(key).is_some_and(|known| known.kind.is_textual());
        Ok(match resolved {
            Value::Null | Value::String(_) => resolved,
            other if textual => Value::String(show(&other)),
            other => other,
        })
    }

    /// A text with its references replaced; one that is a single reference keeps the type of what it names.
    fn text(&mut self, key: &str, text: &str, path: &mut Vec<String>) -> Result<Value, ConfigError> {
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, reference) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('\\') {
                plain.push_str(before);
                plain.push_str("${");
                rest = &reference[2..];
                continue;
            }
            let close = reference.find('}').ok_or_else(|| {
                error(key, format!("`{reference}` has no closing brace; write \\${{ for the characters themselves"))
            })?;
            let value = self.named(key, &reference[2..close], path)?;
            rest = &reference[close + 1..];
            if plain.is_empty() && before.is_empty() && rest.is_empty() {
                return Ok(value);
            }
            plain.push_str(before);
            plain.push_str(&show(&value));
            if plain.len() > LONGEST {
                return Err(error(key, format!("its references add up to more than {LONGEST} bytes")));
            }
        }
        plain.push_str(rest);
        Ok(Value::String(plain))
    }

    fn named(&mut self, key: &str, name: &str, path: &mut Vec<String>) -> Result<Value, ConfigError> {
        let name = name.trim();
        if self.tree.contains_key(name) {
            return self.value(name, path);
        }
        let nearest = suggest::nearest(name, self.tree.keys().map(String::as_str));
        let meant = suggest::did_you_mean(&nearest);
        Err(error(key, format!("${{{name}}} names no key{meant} (\\${{ stands for the characters themselves)")))
    }
}

fn error(key: &str, problem: String) -> ConfigError {
    ConfigError::Interpolation { key: key.to_owned(), problem }
}
