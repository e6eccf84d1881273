//! A program's settings as its users meet them: values, files, errors, help, hostile input.

// clippy.toml excuses the tests themselves, not their helpers.
#![allow(clippy::unwrap_used)]

mod errors;
mod files;
mod flags;
mod help;
mod hostile;
mod references;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hydra_conf::{
    Action, Checked, ConfigError, Interval, Job, Package, Program, Root, Schema, Section, Tree, Value, show,
};

const PROGRAM: Program = Program { name: "shop", about: "Sell things", flags: &[("quiet", "Print errors only")] };

hydra_conf::choice! {
    /// Where orders are kept.
    pub enum Storage {
        /// They are gone with the program.
        Memory = "memory",
        /// A database keeps them.
        Server = "server",
    }
}

const COLOUR: Checked =
    Checked { wanted: "a colour, as in #ff8800", accepts: |text| text.starts_with('#') && text.len() == 7 };

hydra_conf::section! {
    /// How the server is reached.
    pub struct Link {
        /// seconds before giving up
        timeout: f64 = 1.5, in Interval::POSITIVE;
        /// tries
        tries: u8 = 3;
    }
}

hydra_conf::section! {
    /// The database.
    pub struct Db {
        /// where orders are kept: memory or server
        kind: Storage = "memory";
        /// name of the machine
        host: String = "localhost";
        /// port it listens on
        port: u16 = 5432, in 1..;
        /// how it is reached
        #[section]
        link: Link;
    }
}

hydra_conf::section! {
    /// How the page looks.
    pub struct Look {
        /// colour of the page
        colour: String = "#ffffff", in COLOUR;
        /// sizes of pictures, in a line of help that is so long that it takes more than one line of the
        /// source
        sizes: Vec<i64> = vec![100, 200], in 1..=4000;
    }
}

hydra_conf::section! {
    /// The settings of the shop.
    pub struct Shop {
        /// the database
        #[section]
        db: Db;
        /// how the page looks
        #[flatten]
        look: Look;
        /// what the shop is called
        name: String = "shop at ${db.host}";
        /// share of the price that is tax
        tax: f64 = 0.19, in 0.0..1.0;
        /// most orders at a time; null is any number
        orders: Option<i64>, in 1..;
        /// folder of the goods
        goods: PathBuf = "goods";
        /// write what happens
        #[serde(default)]
        log: bool = false;
        /// changes the database of another shop
        #[open(Db)]
        other: BTreeMap<String, Value>;
    }
}

impl Root for Shop {
    const FILE: &'static str = "shop";
    const PACKAGE: Package = Package {
        version: "1.2.3",
        files: &[
            ("shop", "defaults:\n  - db: default # the database\n  - preset: null # settings that go together\n"),
            ("db/server", "defaults: [default]\nkind: server\nhost: db.example.org\nlink: {tries: 9}\n"),
            ("preset/big", "defaults:\n  - db: server\norders: 1000\nname: big shop\n"),
        ],
    };

    fn schema() -> Schema {
        Schema::of::<Self>().alias("vat", "tax").alias("db.name", "db.host").describe("goods", "folder of what is sold")
    }

    fn settle(typed: &mut Tree, _base: &Tree) -> Result<Vec<String>, ConfigError> {
        let Some(port) = typed.get("db.port").map(show) else { return Ok(Vec::new()) };
        if typed.contains_key("db.kind") {
            return Ok(Vec::new());
        }
        typed.insert("db.kind".to_owned(), "server".into());
        Ok(vec![format!("db.port={port} makes db.kind=server")])
    }

    fn relations(&self) -> Result<(), ConfigError> {
        match self.orders {
            Some(orders) if orders > 1 && self.tax == 0.0 => {
                Err(ConfigError::Relation(format!("orders={orders} needs a tax")))
            }
            _ => Ok(()),
        }
    }
}

hydra_conf::section! {
    /// Settings without any file, one of which must be given.
    pub struct Bare {
        /// what to do
        task: String;
        /// how it is reached
        #[section]
        link: Link;
    }
}

impl Root for Bare {
    const FILE: &'static str = "bare";
    const PACKAGE: Package = Package { version: "1", files: &[] };
}

fn parse<T: Root>(args: &[&str]) -> Result<Action<T>, ConfigError> {
    hydra_conf::parse(&PROGRAM, args.iter().map(|arg| (*arg).to_owned()))
}

fn jobs<T: Root>(args: &[&str]) -> Vec<Job<T>> {
    match parse(args) {
        Ok(Action::Run { jobs, .. }) => jobs,
        Ok(Action::Print(text)) => panic!("{args:?} printed {text}"),
        Err(error) => panic!("{args:?}: {error}"),
    }
}

fn shop(args: &[&str]) -> Shop {
    let mut jobs = jobs(args);
    assert_eq!(jobs.len(), 1);
    jobs.remove(0).config
}

fn printed<T: Root>(args: &[&str]) -> String {
    match parse::<T>(args) {
        Ok(Action::Print(text)) => text,
        Ok(Action::Run { .. }) => panic!("{args:?} printed nothing"),
        Err(error) => panic!("{args:?}: {error}"),
    }
}

fn error_of<T: Root>(args: &[&str]) -> String {
    match parse::<T>(args) {
        Ok(_) => panic!("{args:?} was accepted"),
        Err(error) => error.to_string(),
    }
}

/// Asserts that each command line fails with exactly this message.
fn refused(cases: &[(&[&str], &str)]) {
    for (args, message) in cases {
        assert_eq!(error_of::<Shop>(args), *message, "{args:?}");
    }
}

#[test]
fn a_section_can_be_checked_and_set_in_code() {
    let mut shop: Shop = hydra_conf::composed(&[]).unwrap();
    shop.validate().unwrap();
    shop.db.set("db", "port", &7.into()).unwrap();
    shop.db.set("db", "db.link.tries", &8.into()).unwrap();
    assert_eq!((shop.db.port, shop.db.link.tries), (7, 8));
    let error = shop.db.set("db", "db.prot", &7.into()).unwrap_err().to_string();
    assert_eq!(error, "unknown key `db.prot`; did you mean db.port?");
    let error = shop.db.set("db", "link.tries", &300.into()).unwrap_err().to_string();
    assert_eq!(error, "db.link.tries=300 is out of range: expected at most 255");
    shop.db.link.timeout = f64::NAN;
    let error = shop.validate().unwrap_err().to_string();
    assert_eq!(error, "db.link.timeout=.nan is out of range: expected a finite number above 0");
}
