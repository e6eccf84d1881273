//! Groups, presets, and files of the user's own.

use hydra_conf::{Action, to_yaml};

use crate::{Bare, Shop, Storage, jobs, parse, printed, shop};

/// A directory with these files, for `--config-dir`.
fn config_dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn with_dir(dir: &tempfile::TempDir, args: &[&str]) -> Result<Shop, String> {
    let args = [&["--config-dir", dir.path().to_str().unwrap()], args].concat();
    match parse::<Shop>(&args) {
        Ok(Action::Run { mut jobs, .. }) => Ok(jobs.remove(0).config),
        Ok(Action::Print(text)) => panic!("{args:?} printed {text}"),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn without_files_the_structs_say_all() {
    let bare = jobs::<Bare>(&["task=sweep", "link.tries=1"]).remove(0).config;
    assert_eq!((bare.task.as_str(), bare.link.tries, bare.link.timeout), ("sweep", 1, 1.5));
}

#[test]
fn options_start_from_what_is_declared() {
    let shop = shop(&["db=server"]);
    assert_eq!((shop.db.kind, shop.db.host.as_str(), shop.db.port), (Storage::Server, "db.example.org", 5432));
    assert_eq!((shop.db.link.tries, shop.db.link.timeout), (9, 1.5));
    assert_eq!(shop.name, "shop at db.example.org");
    assert_eq!(crate::shop(&["db=server", "db=default"]), crate::shop(&[]));
}

#[test]
fn presets_win_over_groups_and_keys_over_presets() {
    for args in [["preset=big", "db=default"], ["db=default", "preset=big"], ["+preset=big", "db=default"]] {
        let shop = shop(&args);
        assert_eq!((shop.orders, shop.db.kind, shop.name.as_str()), (Some(1000), Storage::Server, "big shop"));
    }
    assert_eq!(shop(&["orders=2", "preset=big"]).orders, Some(2));
    for none in ["preset=null", "~preset"] {
        assert_eq!(shop(&["preset=big", none]), shop(&[]));
    }
}

#[test]
fn files_of_a_directory_win_and_add() {
    let dir = config_dir(&[
        ("db/default.yaml", "{kind: server, host: mine, port: 1, link: {timeout: 1, tries: 1}}"),
        ("db/far.yaml", "defaults: [server]\nname: far\nlink.tries: 2\n"),
    ]);
    assert_eq!(with_dir(&dir, &[]).unwrap().db.host, "mine");
    let far = with_dir(&dir, &["db=far"]).unwrap();
    assert_eq!((far.db.host.as_str(), far.db.port, far.db.link.tries), ("far", 1, 2));
    assert!(with_dir(&dir, &["db=x"]).unwrap_err().ends_with("its options are default, far, server"));
}

#[test]
fn cfg_prints_what_can_be_read_back() {
    let text = printed::<Shop>(&["--cfg", "db=server", "name=1e3", "other.port=3"]);
    let dir = config_dir(&[("shop.yaml", &text)]);
    let read = with_dir(&dir, &[]).unwrap();
    assert_eq!(read, shop(&["db=server", "name=1e3", "other.port=3"]));
    assert_eq!(text, to_yaml(&read));
    assert!(with_dir(&dir, &["db=server"]).unwrap_err().contains("no group"), "a file of the user's stands for itself");
}

#[test]
fn a_file_of_the_users_chooses_and_starts_from_another() {
    let dir = config_dir(&[
        ("over.yaml", "defaults: [shop, {override /db: server}, {optional preset: nope}, _self_]\ntax: 0.5\n"),
        ("first.yaml", "defaults: [_self_, shop]\ntax: 0.5\n"),
        ("run.yaml", "defaults: [shop, {override hydra/job_logging: none}]\nhydra: {run: {dir: 'r/${tax}'}}\n"),
        ("loop.yaml", "defaults: [loop]\n"),
        ("lost.yaml", "defaults: [nope]\n"),
        ("part.yaml", "defaults: [{db: default}]\ntax: 0.5\n"),
        ("bad.yaml", "defaults: [shop]\nhydra: {job: {chdir: true}}\n"),
    ]);
    let shop = with_dir(&dir, &["-cn", "over"]).unwrap();
    assert_eq!((shop.tax, shop.db.host.as_str()), (0.5, "db.example.org"));
    assert_eq!(
        with_dir(&dir, &["-cn", "over", "db=default"]).unwrap().db.host,
        "localhost",
        "what is typed outweighs it"
    );
    assert_eq!(with_dir(&dir, &["-cn", "first"]).unwrap().tax, 0.19, "what comes later in the list wins");
    let path = dir.path().to_str().unwrap();
    let dir_of = |args: &[&str]| jobs::<Shop>(&[&["-cd", path, "-cn", "run"], args].concat())[0].dir.clone().unwrap();
    assert_eq!(dir_of(&[]), std::path::Path::new("r/0.19"));
    assert_eq!(dir_of(&["hydra.run.dir=q"]), std::path::Path::new("q"));
    for (name, part) in [
        ("loop", "loop.yaml: its defaults list leads back to itself"),
        ("lost", "lost.yaml: `nope` in the defaults list is no file beside it; a group is written `group: nope`"),
        ("part", "no value for `colour`: "),
        ("bad", "bad.yaml: hydra.job.chdir: a program stays in the folder"),
    ] {
        let message = with_dir(&dir, &["-cn", name]).unwrap_err();
        assert!(message.contains(part), "{name}: {message}");
    }
    assert!(with_dir(&dir, &["-cn", "part"]).unwrap_err().contains("part.yaml does not set it"));
}

#[test]
fn files_mean_what_they_mean_to_hydra() {
    let dir = config_dir(&[
        ("db/first.yaml", "defaults: [_self_, default]\nport: 1\n"),
        ("db/last.yaml", "defaults: [default, _self_]\nport: 1\n"),
        ("db/kinds.yaml", "defaults: [default]\nhost: 2024\nport: '1_000'\nlink: {timeout: 2}\n"),
        ("db/gap.yaml", "defaults: [default]\nport: ???\n"),
        ("db/look.yaml", "# @package _global_\ndefaults: [default]\ndb: {port: 9}\n"),
        ("db/link.yaml", "# @package db.link\ndefaults: [default]\ntries: 7\n"),
        ("db/env.yaml", "defaults: ['${oc.env:NO_SUCH_VARIABLE,server}']\n"),
        ("db/none.yaml", ""),
        ("preset/log.yaml", "log: yes\norders: 1e0\n"),
        ("preset/late.yaml", "defaults: [_self_, big]\norders: 5\n"),
        ("preset/yes.yaml", "log: yes\n"),
    ]);
    let port = |option: &str| with_dir(&dir, &[&format!("db={option}")]).unwrap().db.port;
    assert_eq!((port("first"), port("last"), port("gap")), (5432, 1, 5432));
    let db = with_dir(&dir, &["db=kinds"]).unwrap().db;
    assert_eq!((db.host.as_str(), db.port, db.link.timeout), ("2024", 1000, 2.0));
    assert!(with_dir(&dir, &["preset=yes"]).unwrap().log);
    assert_eq!(with_dir(&dir, &["preset=late"]).unwrap().orders, Some(1000));
    assert!(with_dir(&dir, &["preset=log"]).unwrap_err().contains("log.yaml: orders=1.0: expected an integer"));
    assert_eq!(port("look"), 9);
    assert_eq!(with_dir(&dir, &["db=link"]).unwrap().db.link.tries, 7);
    assert_eq!(with_dir(&dir, &["db=env.yaml"]).unwrap().db.host, "db.example.org");
    let message = with_dir(&dir, &["db=none"]).unwrap_err();
    assert!(
        message.starts_with("no value for `db.host`: ") && message.contains("none.yaml does not set it"),
        "{message}"
    );
}

#[test]
fn what_is_printed_is_the_same_to_readers_of_yaml_1_1() {
    for text in ["yes", "12:30", "1_000", "=", "off", "2024-01-01", "0x1f", "0b1", "<<", "1:2.5", "+1_0"] {
        let typed = format!("name='{text}'");
        let printed = printed::<Shop>(&["--cfg", &typed]);
        assert!(printed.contains(&format!("\nname: '{text}'\n")), "{printed}");
    }
    for text in ["1.2.3", "a:b", "no way", "x-1", "10.0.0.1", "v1_0"] {
        assert!(
            printed::<Shop>(&["--cfg", &format!("name='{text}'")]).contains(&format!("\nname: {text}\n")),
            "{text}"
        );
    }
    let lists: Vec<Vec<std::collections::BTreeMap<&str, Vec<i32>>>> =
        vec![vec![[("a", vec![1]), ("b", vec![])].into()], vec![]];
    let written = to_yaml(&lists);
    assert_eq!(written, "- - a:\n    - 1\n    b: []\n- []\n");
    for text in ["a\nb", "\t\n\u{7f}\\\"", "\r", "", " x"] {
        let written = to_yaml(&[text]);
        assert_eq!(serde_yaml::from_str::<Vec<String>>(&written).unwrap(), [text], "{written}");
    }
}

#[test]
fn mistakes_in_files_name_the_file() {
    let dir = config_dir(&[
        ("db/typo.yaml", "defaults: [default]\nprot: 1\n"),
        ("db/type.yaml", "defaults: [default]\nport: many\n"),
        ("db/part.yaml", "host: x\n"),
        ("db/loop.yaml", "defaults: [loop]\n"),
        ("db/list.yaml", "- 1\n"),
        ("db/yaml.yaml", "a: [\n"),
        ("db/twice.yaml", "defaults: [default]\nname: a\nhost: b\n"),
        ("db/map.yaml", "defaults: [default]\nhost: {a: 1}\n"),
        ("db/gone.yaml", "defaults: [optional nope]\n"),
        ("db/hydra.yaml", "defaults: [default]\nhydra: {run: {dir: x}}\n"),
        ("db/other.yaml", "defaults: [{preset: big}]\n"),
        ("preset/round.yaml", "defaults: [round]\n"),
    ]);
    let cases = [
        ("db=typo", ["unknown key `db.prot` in ", "typo.yaml; did you mean db.port or other.port?"]),
        ("db=type", ["type.yaml: ", "db.port=many: expected an integer"]),
        ("db=part", ["no value for `db.kind`", "defaults: [default]"]),
        ("db=loop", ["loop.yaml: ", "leads back to itself"]),
        ("preset=round", ["round.yaml: ", "leads back to itself"]),
        ("db=list", ["list.yaml: ", "expected `key: value` lines"]),
        ("db=yaml", ["yaml.yaml: ", "line"]),
        ("db=twice", ["twice.yaml: ", "one setting with two names"]),
        ("db=map", ["unknown key `db.host.a` in ", "map.yaml"]),
        ("db=gone", ["gone.yaml: group `db` has no option `optional nope`", "its options are default"]),
        ("db=hydra", ["hydra.yaml: ", "stand in the program's own file"]),
        ("db=other", ["other.yaml: ", "may name options of db only"]),
    ];
    for (arg, parts) in cases {
        let message = with_dir(&dir, &[arg]).unwrap_err();
        assert!(parts.iter().all(|part| message.contains(part)), "{arg}: {message}");
    }
}
