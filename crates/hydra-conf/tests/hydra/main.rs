//! The judge is Hydra itself: `judge.py` wrote down what Hydra 1.3.2 makes of each command line, and ours must be the
//! same values, or refuse it too. Where we differ on purpose, the table below says so.

// clippy.toml excuses the tests themselves, not their helpers.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use hydra_conf::{Action, Package, Program, Root, Value};

hydra_conf::section! {
    /// As `Db` in judge.py.
    pub struct Db {
        /// a text
        host: String = "localhost";
        /// an integer
        port: i64 = 5432;
        /// an integer or null
        tries: Option<i64> = 3;
    }
}

hydra_conf::section! {
    /// As `Shop` in judge.py.
    pub struct Shop {
        /// a section
        #[section]
        db: Db;
        /// a text
        name: String = "shop at ${db.host}";
        /// a text or null
        motto: Option<String>;
        /// a number
        tax: f64 = 0.19;
        /// a number or null
        patience: Option<f64>;
        /// an integer
        orders: i64 = 10;
        /// a flag
        open: bool = true;
        /// integers
        sizes: Vec<i64> = vec![100, 200];
    }
}

impl Root for Shop {
    const FILE: &'static str = "shop";
    const PACKAGE: Package = Package {
        version: "1",
        files: hydra_conf::embed!(
            "tests/hydra/conf": "shop", "db/away", "db/server", "db/small", "preset/big", "preset/night"
        ),
    };
}

const PROGRAM: Program = Program { name: "shop", about: "Sell things", flags: &[] };

/// Who says yes where the other says no, or what differs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Differs {
    /// We accept what Hydra refuses.
    Kinder,
    /// We refuse what Hydra accepts.
    Stricter,
}

use Differs::{Kinder, Stricter};

/// Which way, why, and for which lines.
type Deviation = (Differs, &'static str, fn(&Line) -> bool);

/// The deviations. README.md has the same list in words.
const DEVIATIONS: &[Deviation] = &[
    (Kinder, "characters that Hydra has no use for, and = within a value, are text", |line| {
        line.any(|value| value.contains(|c: char| !c.is_ascii() || "~=#;!&<>^`'\"".contains(c)))
    }),
    (Kinder, "lists need no brackets", |line| line.sets("sizes")),
    (Kinder, "group=null leaves a preset out, as ~group does", |line| line.any(|value| value.starts_with("null"))),
    (Kinder, "+group=option chooses, though the program's file names the group already", |line| line.sets("+preset")),
    (Kinder, "~key sets any key to null that can be null", |line| line.sets("~motto") || line.sets("~db.tries")),
    (Stricter, "every key has a value, and every section its option", |line| {
        line.any_name(|name| name.starts_with('~'))
    }),
    (Stricter, "only known keys can be added", |line| line.any_name(|name| name.ends_with("nope"))),
    (Stricter, "infinity and NaN are no numbers to work with", |line| line.sets("tax")),
    (Stricter, "lists hold one integer or more, and are set as a whole", |line| {
        line.any_name(|name| name.starts_with("sizes"))
    }),
    (Stricter, "integers have 64 bits", |line| {
        line.sets("orders") && line.any(|value| value.len() > 18 || value == "int(1e30)")
    }),
    (Stricter, "a sweep without values is a mistake", |line| line.line[0] == "-m"),
    (Stricter, "settings of Hydra's that mean nothing here", |line| line.line[0].contains("hydra")),
];

/// A command line with Hydra's answer.
#[derive(Debug, serde::Deserialize)]
struct Line {
    line: Vec<String>,
    answer: Value,
}

impl Line {
    fn any(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.line.iter().filter_map(|arg| arg.split_once('=')).any(|(_, value)| holds(value))
    }

    fn any_name(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.line.iter().any(|arg| holds(arg.split('=').next().unwrap()))
    }

    fn sets(&self, key: &str) -> bool {
        self.any_name(|name| name.trim_start_matches("++") == key)
    }
}

#[derive(serde::Deserialize)]
struct Answers {
    hydra: String,
    answers: Vec<Line>,
}

/// The values of a job that are not those at the start, by dotted key.
fn changes(shop: &Shop) -> BTreeMap<String, Value> {
    let start = leaves(&serde_yaml::to_value(hydra_conf::composed::<Shop>(&[]).unwrap()).unwrap());
    let leaves = leaves(&serde_yaml::to_value(shop).unwrap());
    leaves.into_iter().filter(|(key, value)| start[key] != *value).collect()
}

fn leaves(tree: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in tree.as_mapping().unwrap() {
        let key = key.as_str().unwrap();
        match value {
            Value::Mapping(_) => found.extend(leaves(value).into_iter().map(|(k, v)| (format!("{key}.{k}"), v))),
            _ => drop(found.insert(key.to_owned(), value.clone())),
        }
    }
    found
}

fn ours(line: &Line) -> Result<Vec<BTreeMap<String, Value>>, String> {
    match hydra_conf::parse::<Shop>(&PROGRAM, &line.line) {
        Ok(Action::Run { jobs, .. }) => Ok(jobs.iter().map(|job| changes(&job.config)).collect()),
        Ok(Action::Print(text)) => panic!("{line:?} printed {text}"),
        Err(error) => Err(error.to_string()),
    }
}

fn hydras(line: &Line) -> Result<Vec<BTreeMap<String, Value>>, String> {
    match line.answer.get("refused") {
        Some(reason) => Err(reason.as_str().unwrap().to_owned()),
        None => Ok(serde_yaml::from_value(line.answer.clone()).unwrap()),
    }
}

/// A number is a number, whether it has a point or not.
fn same(a: &[BTreeMap<String, Value>], b: &[BTreeMap<String, Value>]) -> bool {
    let value = |a: &Value, b: &Value| a == b || a.is_number() && a.as_f64() == b.as_f64();
    let job = |a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>| {
        a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| value(a, b)))
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| job(a, b))
}

#[test]
fn command_lines_mean_what_they_mean_to_hydra() {
    let answers: Answers = serde_yaml::from_str(include_str!("answers.json")).unwrap();
    assert_eq!(answers.hydra, "1.3.2");
    assert!(answers.answers.len() > 700);
    let mut wrong = Vec::new();
    let mut used = vec![0; DEVIATIONS.len()];
    for line in &answers.answers {
        let (ours, hydras) = (ours(line), hydras(line));
        let differs = match (&ours, &hydras) {
            (Ok(_), Err(_)) => Kinder,
            (Err(_), Ok(_)) => Stricter,
            (Err(_), Err(_)) => continue,
            (Ok(ours), Ok(hydras)) if same(ours, hydras) => continue,
            (Ok(_), Ok(_)) => {
                wrong.push(format!("{}\n  Hydra {hydras:?}\n  ours  {ours:?}", line.line.join(" | ")));
                continue;
            }
        };
        match DEVIATIONS.iter().position(|(way, _, covers)| *way == differs && covers(line)) {
            Some(at) => used[at] += 1,
            None => wrong.push(format!("{}\n  Hydra {hydras:?}\n  ours  {ours:?}", line.line.join(" | "))),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), answers.answers.len(), wrong.join("\n"));
    for ((_, reason, _), used) in DEVIATIONS.iter().zip(used) {
        assert!(used > 0, "no line needs this deviation any more: {reason}");
    }
}
