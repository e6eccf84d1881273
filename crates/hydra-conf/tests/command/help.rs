//! The pages that are printed.

use hydra_conf::{Action, Package, Root, help_of};

use crate::{Bare, Shop, parse, printed};

hydra_conf::section! {
    /// No settings at all.
    pub struct Keyless {}
}

impl Root for Keyless {
    const FILE: &'static str = "keyless";
    const PACKAGE: Package = Package { version: "1", files: &[] };
}

/// The help page with every gap one space wide: terminals differ in width.
fn help(args: &[&str]) -> String {
    let page = printed::<Shop>(&[&["--help"], args].concat());
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn help_lists_flags_groups_and_keys() {
    let page = help(&[]);
    let parts = [
        "Sell things Usage: shop [FLAGS] [OVERRIDE]...",
        "--config-dir <DIR>",
        "--quiet Print errors only",
        "group=option choose an option of a group",
        "db=default one of default, server: the database",
        "preset=null one of big: settings that go together",
        "Keys: db.kind=memory where orders are kept: memory or server",
        "db.link.tries=3 tries colour=#ffffff colour of the page",
        "sizes=[100, 200] sizes of pictures, in a line of help that is so long that it takes more than one line of the source",
        "name=\"shop at localhost\" what the shop is called",
        "orders=null most orders",
        "goods=goods folder of what is sold",
        "other.KEY=VALUE changes the database of another shop",
    ];
    for part in parts {
        assert!(page.contains(part), "{part:?} is not in {page}");
    }
}

#[test]
fn help_shows_what_the_overrides_lead_to() {
    assert!(help(&["db=server"]).contains("db.link.tries=9 tries"));
    assert!(
        help(&["other.port=1"]).contains("other.KEY=VALUE changes the database of another shop other.port=1 port it")
    );
    assert!(
        help(&["db.prot=1"]).contains("db.port=5432 port"),
        "a mistake does not keep the page from whoever needs it"
    );
}

#[test]
fn a_program_without_groups_shows_none() {
    let page = printed::<Bare>(&["--help"]);
    assert!(!page.contains("group=option") && !page.contains("Groups:"), "{page}");
    assert!(page.contains("  task=???          what to do\n  link.timeout=1.5  seconds"), "{page}");
}

/// A program that only has flags.
#[test]
fn a_program_without_keys_shows_nothing_about_them() {
    let page = printed::<Keyless>(&["--help"]);
    for part in ["--cfg", "--multirun", "OVERRIDE", "Overrides:", "Keys:", "--config-dir"] {
        assert!(!page.contains(part), "{part} is in {page}");
    }
    assert!(page.contains("Usage: shop [FLAGS]\n") && page.contains("--quiet"), "{page}");
    assert!(!printed::<Bare>(&["--help"]).contains("+key=value"), "its sections are closed");
    assert!(printed::<Shop>(&["--help"]).contains("+key=value"));
}

#[test]
fn every_key_has_its_line() {
    assert_eq!(help_of::<Shop>("db.host"), "name of the machine");
    assert_eq!(help_of::<Shop>("vat"), "share of the price that is tax");
    assert_eq!(help_of::<Shop>("nope"), "");
}

#[test]
fn version_and_flags() {
    assert_eq!(printed::<Shop>(&["-V"]), "shop 1.2.3\n");
    let action = parse::<Shop>(&["tax=0.5", "--quiet", "log=true", "--multirun"]).unwrap();
    let Action::Run { jobs, multirun, flags } = action else { panic!("{action:?}") };
    assert!(multirun && flags.has("quiet") && !flags.has("loud"));
    assert_eq!((jobs[0].config.tax, jobs[0].config.log), (0.5, true));
}

#[test]
fn cfg_is_a_document_a_job() {
    let text = printed::<Shop>(&["-m", "--cfg", "tax=0.1,0.2"]);
    assert_eq!((text.matches("# job ").count(), text.matches("---\n").count()), (2, 1));
    assert!(text.starts_with("# job 0: tax=0.1\ndb:\n  kind: memory\n"), "{text}");
}
