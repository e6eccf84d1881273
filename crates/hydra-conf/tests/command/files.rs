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
fn mistakes_in_files_name_the_file() {
    let dir = config_dir(&[
        ("db/typo.yaml", "defaults: [default]\nprot: 1\n"),
        ("db/type.yaml", "defaults: [default]\nport: many\n"),
        ("db/part.yaml", "host: x\n"),
        ("db/loop.yaml", "defaults: [loop]\n"),
        ("db/list.yaml", "- 1\n"),
        ("db/yaml.yaml", "a: [\n"),
        ("db/twice.yaml", "defaults: [default]\nname: a\nhost: b\n"),
        ("db/number.yaml", "defaults: [default]\nhost: 2024\n"),
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
        ("db=number", ["number.yaml: ", "db.host=2024: expected text; put it in quotes"]),
        ("db=other", ["other.yaml: ", "may name options of db only"]),
    ];
    for (arg, parts) in cases {
        let message = with_dir(&dir, &[arg]).unwrap_err();
        assert!(parts.iter().all(|part| message.contains(part)), "{arg}: {message}");
    }
}
