//! What is typed for a key, and what arrives.

use std::path::Path;

use hydra_conf::{Override, Value, Verb, quote, to_yaml};
use proptest::prelude::*;

use crate::{Shop, Storage, jobs, parse, shop};

#[test]
fn values_are_read_by_the_type_of_the_key() {
    let shop = shop(&["db.port=1", "tax=0", "name=123", "log=True", "sizes=1,2", "orders=null", "db.kind='server'"]);
    assert_eq!((shop.db.port, shop.tax, shop.name.as_str()), (1, 0.0, "123"));
    assert_eq!((shop.log, shop.look.sizes, shop.orders, shop.db.kind), (true, vec![1, 2], None, Storage::Server));
}

#[test]
fn text_is_read_as_hydra_reads_it() {
    for text in
        ["HAMLET:", "a b", "--x", "'Tis", "\"open", "~", "ünï", "a=b", "# no comment", "two\nlines", "", "0x1F", "50%"]
    {
        assert_eq!(shop(&[&format!("name={text}")]).name, text);
    }
    for (typed, meant) in [
        ("\"a:\"", "a:"),
        ("'it\\'s'", "it's"),
        (r#""a\nb \"c\" \\ \d""#, r#"a\nb "c" \\ \d"#),
        ("''", ""),
        (" padded ", "padded"),
        ("' padded '", " padded "),
        ("a\\ b\\,c", "a b,c"),
        ("'null'", "null"),
        ("true", "True"),
        ("1e3", "1000.0"),
        ("1_000", "1000"),
    ] {
        assert_eq!(shop(&[&format!("name={typed}")]).name, meant, "{typed}");
    }
}

#[test]
fn text_is_quoted_where_it_must_be() {
    for (text, typed) in
        [("a b", "a b"), ("a, b", "'a, b'"), ("it's (", r"'it\'s ('"), ("null", "'null'"), ("", ""), ("1", "'1'")]
    {
        assert_eq!(quote(text), typed);
    }
}

#[test]
fn paths_know_the_home_folder() {
    let home = std::env::home_dir().unwrap();
    assert_eq!(shop(&["goods=~/x"]).goods, home.join("x"));
    assert_eq!(shop(&["goods=~other/x"]).goods, Path::new("~other/x"));
}

#[test]
fn references_are_replaced() {
    assert_eq!(shop(&[]).name, "shop at localhost");
    assert_eq!(shop(&["db.host=x", "goods=${db.host}/${db.port}"]).goods, Path::new("x/5432"));
    assert_eq!(shop(&["orders=${db.port}"]).orders, Some(5432), "a single reference keeps its type");
    assert_eq!(shop(&["name=${db.port}"]).name, "5432", "a number for text is text");
    assert_eq!(shop(&[r"name=\${db.host}"]).name, "${db.host}");
}

#[test]
fn other_names_lead_to_the_key() {
    let shop = shop(&["vat=0.5", "db.name=x"]);
    assert_eq!((shop.tax, shop.db.host.as_str()), (0.5, "x"));
}

#[test]
fn open_sections_hold_what_is_set() {
    let other = |args: &[&str]| shop(args).other.into_iter().collect::<Vec<_>>();
    assert_eq!(other(&[]), []);
    assert_eq!(other(&["other.port=1"]), [("port".to_owned(), Value::from(1))]);
    assert_eq!(other(&["+other.link.tries=2"]), [("link.tries".to_owned(), Value::from(2))]);
    assert_eq!(other(&["other.port=1", "~other.port"]), []);
}

#[test]
fn the_last_of_one_key_wins() {
    assert_eq!(shop(&["tax=0.1", "tax=0.2"]).tax, 0.2);
    assert_eq!(shop(&["orders=1", "~orders"]).orders, None);
    assert_eq!(shop(&["++tax=0.3"]).tax, 0.3);
}

#[test]
fn a_typed_key_can_decide_another() {
    let job = jobs::<Shop>(&["db.port=1"]).remove(0);
    assert_eq!(job.config.db.kind, Storage::Server);
    assert_eq!(job.notices, ["db.port=1 makes db.kind=server"]);
    assert_eq!(shop(&["db.port=1", "db.kind=memory"]).db.kind, Storage::Memory);
}

#[test]
fn multirun_is_the_cross_product() {
    let jobs = jobs::<Shop>(&["-m", "tax=0.1,0.2", "db=default,server", "name='a,b'", "sizes=[1,2]"]);
    let typed: Vec<String> = jobs.iter().map(|job| job.overrides.join(" ")).collect();
    assert_eq!(typed[1], "tax=0.1 db=server name='a,b' sizes=[1,2]");
    assert_eq!((jobs.len(), jobs[2].config.tax, jobs[3].config.db.kind), (4, 0.2, Storage::Server));
    assert!(jobs.iter().all(|job| job.config.name == "a,b" && job.config.look.sizes == [1, 2]));
    assert_eq!(crate::jobs::<Shop>(&["-m", "tax=0.1,0.2", "tax=0.3"]).len(), 1, "a later override makes a sweep void");
}

/// A text in quotes by Hydra's rules: backslashes are doubled before a quote and at the end.
fn quoted(text: &str) -> String {
    let mut written = String::new();
    let mut backslashes = 0;
    for c in text.chars().chain(['"']) {
        if c == '"' {
            written.push_str(&"\\".repeat(backslashes));
            written.push('\\');
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        written.push(c);
    }
    written.truncate(written.len() - 2);
    format!("\"{written}\"")
}

proptest! {
    #[test]
    fn what_is_parsed_is_written_and_parsed_again(
        arg in ".*",
        key in "[a-z_.~+@]{0,8}",
        text in "[\\[\\](){}'\"\\\\,:=$ a-z0-9]{0,12}",
        call in "(choice|sort|range|int|str|glob)\\([a-c0-9.,'\\[\\] -]{0,9}\\)",
    ) {
        for arg in [arg, format!("{key}={text}"), format!("~{key}"), format!("+{key}={text}"), format!("a={call}"), format!("a='{text}',{text}")] {
            let Ok(parsed) = Override::parse(&arg) else { continue };
            prop_assert_eq!(&Override::parse(&parsed.to_string()).unwrap(), &parsed);
            for one in parsed.sweep(&[]).into_iter().flatten() {
                prop_assert_eq!(&Override::parse(&one.to_string()).unwrap(), &one);
            }
        }
    }

    #[test]
    fn every_key_and_quoted_text_is_an_override(key in "[a-zA-Z0-9_]{1,6}(\\.[a-zA-Z0-9_]{1,6}){0,2}", text in "(?s).*") {
        let text = quoted(&text);
        for (sign, action) in [("", Verb::Set), ("+", Verb::Add), ("++", Verb::Force), ("~", Verb::DropIf)] {
            let parsed = Override::parse(&format!("{sign}{key}={text}")).unwrap();
            prop_assert_eq!((parsed.action, &parsed.key, &parsed.text, parsed.package), (action, &key, &text, None));
        }
        prop_assert_eq!(Override::parse(&format!("~{key}")).unwrap().action, Verb::Drop);
    }

    #[test]
    fn sweeps_of_plain_values_are_their_list(values in prop::collection::vec("[a-z]{1,4}|[1-9][0-9]{0,4}", 1..6)) {
        let swept = Override::parse(&format!("a={}", values.join(","))).unwrap().sweep(&[]).unwrap();
        prop_assert_eq!(swept.into_iter().map(|item| item.text).collect::<Vec<_>>(), values);
    }
}

// Each of these composes whole configurations.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quoted_text_survives(text in "(?s).*") {
        prop_assume!(!text.contains("${"));
        let typed = format!("name={}", quoted(&text));
        prop_assert_eq!(&shop(&[&typed]).name, &text);
        prop_assert_eq!(&shop(&["-m", &typed]).name, &text);
        prop_assert_eq!(&shop(&[&format!("name={}", quote(&text))]).name, &text);
        prop_assert_eq!(&shop(&["-m", &format!("name=choice({})", quoted(&format!("x{text}")))]).name, &format!("x{text}"));
    }

    #[test]
    fn numbers_survive_and_yaml_reads_back(tax in 0.0..1.0_f64, port in 1..=u16::MAX) {
        let shop = shop(&[&format!("tax={tax}"), &format!("db.port={port}")]);
        prop_assert_eq!((shop.tax, shop.db.port), (tax, port));
        prop_assert_eq!(&serde_yaml::from_str::<Shop>(&to_yaml(&shop)).unwrap(), &shop);
    }

    #[test]
    fn any_argument_is_read_or_refused(arg in ".*", value in ".*") {
        let _ = parse::<Shop>(&[&arg]);
        for key in ["name", "orders", "sizes", "db", "preset", "colour", "other.port"] {
            let _ = parse::<Shop>(&[&format!("{key}={value}")]);
            let _ = parse::<Shop>(&["-m", &format!("{key}={value}")]);
        }
    }
}
