//! Structs whose keys are declared once: type, value at the start, limit and line of help.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::ConfigError;
use crate::key::Key;
use crate::suggest;
use crate::value::Value;

/// A struct of keys, as [`section!`](crate::section!) declares it.
pub trait Section: Serialize + DeserializeOwned {
    /// Its keys, in the order of the struct.
    fn keys() -> Vec<Key>;

    /// Checks the kind and the limit of every value, which may come from code. `section` is what messages put before
    /// the names of the keys; the empty one stands for no section.
    fn check(&self, section: &str) -> Result<(), ConfigError> {
        let tree = serde_yaml::to_value(self)?;
        for key in Self::keys().iter().filter(|key| key.open.is_none()) {
            let (parents, leaf) = key.path();
            let map = parents.iter().try_fold(&tree, |map, parent| map.get(*parent));
            let value = map.and_then(|map| map.get(leaf)).unwrap_or(&Value::Null);
            key.check(&dotted(section, &key.name), value)?;
        }
        Ok(())
    }

    /// Sets one key by its name, with or without `section` before it, after checking kind and limit.
    fn set(&mut self, section: &str, key: &str, value: &Value) -> Result<(), ConfigError> {
        let name = key.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')).unwrap_or(key);
        let keys = Self::keys();
        let Some(known) = keys.iter().find(|known| known.name == name) else {
            let nearest = suggest::nearest(name, keys.iter().map(|known| known.name.as_str()));
            let nearest = nearest.iter().map(|name| dotted(section, name)).collect();
            return Err(ConfigError::UnknownKey { key: key.to_owned(), place: None, nearest });
        };
        let checked = known.check(&dotted(section, name), value)?;
        let mut tree = serde_yaml::to_value(&*self)?;
        let (parents, leaf) = known.path();
        let map = parents.iter().try_fold(&mut tree, |map, parent| map.get_mut(*parent));
        if let Some(map) = map.and_then(Value::as_mapping_mut) {
            map.insert(leaf.into(), checked);
        }
        *self = serde_yaml::from_value(tree)?;
        Ok(())
    }
}

pub(crate) fn dotted(section: &str, name: &str) -> String {
    if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
}

/// Declares a struct and its keys in one place: for each key its line of `--help`, name, type, value at the start, and
/// the limit of its values. Your crate needs `serde` with its feature `derive`.
///
/// ```
/// use hydra_conf::{Interval, Section};
///
/// hydra_conf::choice! {
///     /// How steps are taken.
///     pub enum Method {
///         /// Downhill.
///         Descent = "descent",
///         /// At random.
///         Walk = "walk",
///     }
/// }
///
/// hydra_conf::section! {
///     /// The search for a minimum.
///     pub struct Search {
///         /// how steps are taken: descent or walk
///         method: Method = "descent";
///         /// length of a step
///         step: f64 = 0.1, in Interval::POSITIVE;
///         /// most steps
///         steps: u32 = 100, in 1..=10_000;
///         /// steps between two lines of the log; null writes none
///         log: Option<u32>, in 1..;
///     }
/// }
///
/// let mut search = Search { method: Method::Descent, step: 0.1, steps: 100, log: None };
/// search.set("search", "steps", &50.into()).unwrap();
/// assert_eq!(search.steps, 50);
/// let error = search.set("search", "step", &0.into()).unwrap_err();
/// assert_eq!(error.to_string(), "search.step=0 is out of range: expected a finite number above 0");
/// ```
///
/// * **Types** are [`Setting`](crate::Setting)s: `bool`, integers, floats, `String`, `PathBuf`, lists of integers, what
///   [`choice!`](crate::choice!) declares, and `Option` of these.
/// * **The value at the start** is what one would write in YAML, references as in `"${other.key}"` included. Without
///   one, an `Option` starts as null, and any other key must be given by a file or on the command line.
/// * **The limit** after `in` is a range for numbers, and a [`Checked`](crate::Checked) form for text.
/// * `#[serde(…)]` after the line of help is passed on to serde. The struct itself derives `Debug`, `Clone`,
///   `PartialEq`, `Serialize` and `Deserialize`; other attributes of yours are kept.
/// * `#[section]` marks a field that is another section: its keys are called `field.key`.
/// * `#[flatten]` marks a field that is another section whose keys stand among those of the struct.
/// * `#[open(Section)]` marks a map (`BTreeMap<String, Value>`) that holds those keys of the section that somebody set.
///   `#[open]` does so for a section whose fields may be missing.
#[macro_export]
macro_rules! section {
    (@keys [] $help:expr, $field:ident: $type:ty $(= $default:expr)? $(, in $limit:expr)?) => {
        vec![
            $crate::Key::new::<$type>(stringify!($field), $help)
                $(.starts_as($default))?
                $(.within($crate::Limit::<$type>::kind($limit)))?
        ]
    };
    (@keys [section] $help:expr, $field:ident: $type:ty) => {
        $crate::Key::below(stringify!($field), <$type as $crate::Section>::keys())
    };
    (@keys [flatten] $help:expr, $field:ident: $type:ty) => {
        <$type as $crate::Section>::keys()
    };
    (@keys [open] $help:expr, $field:ident: $type:ty) => {
        $crate::Key::open(stringify!($field), $help, <$type as $crate::Section>::keys())
    };
    (@keys [open($of:ty)] $help:expr, $field:ident: $type:ty) => {
        $crate::Key::open(stringify!($field), $help, <$of as $crate::Section>::keys())
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident {$(
        $(#[doc = $help:literal])+
        $(#[serde($($serde:tt)*)])*
        $(#[section $($section:tt)?])?
        $(#[flatten $($flatten:tt)?])?
        $(#[open $(($of:ty))?])?
        $field:ident: $type:ty $(= $default:expr)? $(, in $limit:expr)?;
    )*}) => {
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        $(#[$meta])*
        $vis struct $name {$(
            $(#[doc = $help])+
            $(#[serde($($serde)*)])*
            $(#[serde(flatten $($flatten)?)])?
            pub $field: $type,
        )*}

        impl $crate::Section for $name {
            fn keys() -> Vec<$crate::Key> {
                let keys: Vec<Vec<$crate::Key>> = vec![$(
                    $crate::section!(@keys
                        [$(section $($section)?)? $(flatten $($flatten)?)? $(open $(($of))?)?]
                        concat!($($help),+), $field: $type $(= $default)? $(, in $limit)?
                    )
                ),*];
                keys.concat()
            }
        }
    };
}
