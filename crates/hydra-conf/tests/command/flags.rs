//! Hydra's flags, and its settings of folders.

use std::ffi::OsString;
use std::path::Path;

use crate::{PROGRAM, Shop, error_of, jobs, printed, refused};

#[test]
fn cfg_prints_a_part_and_a_section() {
    let job = printed::<Shop>(&["--cfg"]);
    for same in [
        &["--cfg", "job"][..],
        &["-c", "job"],
        &["--cfg=job"],
        &["-c", "--resolve"],
        &["-r", "-c", "job"],
        &["-cjob"],
        &["--cf", "job"],
        &["-c", "hydra", "--cfg", "job"],
    ] {
        assert_eq!(printed::<Shop>(same), job);
    }
    assert!(printed::<Shop>(&["--cfg", "tax=0.5"]).contains("tax: 0.5\n"), "what is no part is an override");
    let hydra = printed::<Shop>(&["--cfg", "hydra", "db=server"]);
    assert!(hydra.starts_with("hydra:\n  mode: RUN\n") && hydra.contains("      db: server\n"), "{hydra}");
    assert_eq!(printed::<Shop>(&["-c", "all"]), printed::<Shop>(&["-c", "hydra"]) + &job);
    assert_eq!(printed::<Shop>(&["-c", "-p", "db.link"]), "# @package db.link\ntimeout: 1.5\ntries: 3\n");
    assert_eq!(printed::<Shop>(&["-c", "-p", "db", "-pdb.link"]), printed::<Shop>(&["-c", "-p", "db.link"]));
    assert_eq!(printed::<Shop>(&["-c", "--package", "_global_"]), job);
    for (key, value) in [("db.port", "5432"), ("log", "False"), ("name", "shop at localhost"), ("tax", "0.19")] {
        assert_eq!(printed::<Shop>(&["-c", "-p", key]), format!("{value}\n"), "one value stands alone, as in Hydra");
    }
    assert!(printed::<Shop>(&["-c", "hydra", "-p", "hydra.run.dir"]).starts_with("outputs/2"));
    assert_eq!(printed::<Shop>(&["-c", "all", "-p", "hydra.job"]), "# @package hydra.job\nname: shop\nchdir: false\n");
}

#[test]
fn info_says_where_values_come_from() {
    assert_eq!(
        printed::<Shop>(&["--info", "defaults-tree", "preset=big"]),
        "Defaults tree:\n  shop\n    db: default\n    preset: big\n"
    );
    let defaults = printed::<Shop>(&["-i", "defaults", "db=server"]);
    assert!(defaults.ends_with("  conf/db/server.yaml, below db\n  conf/shop.yaml\n"), "{defaults}");
    assert!(
        printed::<Shop>(&["--info=searchpath"])
            .ends_with("  the files inside the program\n  the program's own structs\n")
    );
    let all = printed::<Shop>(&["--info", "tax=0.5"]);
    assert!(all.contains("Plugins:") && all.contains("Defaults list") && all.contains("  tax: 0.5\n"), "{all}");
    assert!(!printed::<Shop>(&["-i", "config"]).contains("Plugins:"));
}

#[test]
fn another_file_can_be_the_programs_own() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.yaml"), printed::<Shop>(&["-c", "tax=0.25"])).unwrap();
    let dir = dir.path().to_str().unwrap();
    for flags in [&["-cd", dir, "-cn", "mine"], &["--config-dir", dir, "--config-name", "mine.yaml"]] {
        assert_eq!(jobs::<Shop>(flags)[0].config.tax, 0.25);
    }
    refused(&[(&["-cn", "mine"], "--config-name mine names no file; --config-dir DIR says where mine.yaml is")]);
}

#[test]
fn what_a_compiled_program_cannot_do_is_refused_in_a_sentence() {
    let cases = [
        (&["-cp", "x"][..], "--config-path is not there"),
        (&["--experimental-rerun", "x"], "--experimental-rerun is not there"),
        (&["--resolve"], "--resolve goes with --cfg"),
        (&["-c", "-p", "nope"], "--package nope names no section of the configuration"),
        (&["-c", "-i"], "--cfg and --info print different things; give one"),
        (&["-i", "-m"], "--info tells about one job; leave -m out"),
        (&["-r", "-m"], "'--run' cannot be used with '--multirun'"),
        (&["-sc"], "--shell-completion takes install=SHELL"),
        (&["-sc", "install=tcsh"], "--shell-completion takes install=SHELL"),
        (&["--cfg=nope"], "--cfg nope: expected one of job, hydra, all"),
        (&["--cfg", "nope"], "--cfg nope: expected one of job, hydra, all"),
        (&["-cfg"], "--cfg fg: expected one of job, hydra, all"),
        (&["--info", "nope"], "--info nope: expected one of all, config,"),
        (&["--", "tax=0.5", "-c", "job"], "`-c` is not an override"),
        (&["hydra.mode=multirun"], "hydra.mode is RUN or MULTIRUN, in capitals"),
        (&["+hydra.job.env_set.A=b"], "write variables of the environment in front of the program"),
        (&["hydra.verbose=true"], "of Hydra's own settings there are hydra.run.dir,"),
        (&["hydra.job.chdir=true"], "a program stays in the folder that it is started in"),
        (&["hydra/launcher=joblib"], "jobs run one after the other here"),
        (&["hydra.searchpath=[x]"], "--config-dir DIR names a folder"),
        (&["-m", "hydra.run.dir=a,b"], "takes one text"),
        (&["~hydra.run.dir"], "takes one text"),
    ];
    for (args, part) in cases {
        let message = error_of::<Shop>(args);
        assert!(message.contains(part), "{args:?}: {message}");
    }
    let error = hydra_conf::parse::<Shop>(&PROGRAM, [bytes(b"tax=\xff")]).unwrap_err().to_string();
    assert_eq!(error, "`tax=\u{fffd}` holds bytes that are no text (it must be UTF-8)");
    let error = hydra_conf::parse::<Shop>(&PROGRAM, ["-cd".into(), bytes(b"/no\xff")]).unwrap_err().to_string();
    assert_eq!(error, "cannot read /no\u{fffd}");
}

/// Bytes that are no text, as a shell may give them.
fn bytes(bytes: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

#[test]
fn hydras_settings_name_the_folder_of_a_job() {
    let dirs = |args: &[&str]| jobs::<Shop>(args).into_iter().map(|job| job.dir).collect::<Vec<_>>();
    assert_eq!(dirs(&["tax=0.5"]), [None]);
    assert_eq!(dirs(&["hydra.run.dir=runs/${db.port}"])[0].as_deref(), Some(Path::new("runs/5432")));
    assert_eq!(
        dirs(&["hydra.run.dir='${hydra:job.name}/${name}'", "hydra.job.name=x"])[0].as_deref(),
        Some(Path::new("x/shop at localhost"))
    );
    let swept = dirs(&["-m", "hydra.sweep.dir=s", "tax=0.1,0.2"]);
    assert_eq!(swept, [Some("s/0".into()), Some("s/1".into())]);
    let swept = dirs(&["-m", "hydra.sweep.dir=s", "hydra.sweep.subdir=tax-${tax}", "tax=0.1,0.2"]);
    assert_eq!(swept, [Some("s/tax-0.1".into()), Some("s/tax-0.2".into())]);
    assert_eq!(dirs(&["-m", "hydra.run.dir=r", "tax=0.1,0.2"]), [None, None], "it is of single runs, as in Hydra");
    let default = dirs(&["-m", "hydra.sweep.subdir=${hydra:job.num}"])[0].clone().unwrap();
    assert!(default.starts_with("multirun") && default.ends_with("0"), "{default:?}");
    assert_eq!(dirs(&["hydra.mode=MULTIRUN", "tax=0.1,0.2"]).len(), 2);
    assert_eq!(jobs::<Shop>(&["hydra.run.dir=r", "tax=0.5"])[0].overrides, ["tax=0.5"]);
    assert_eq!(dirs(&["hydra.job.chdir=false", "hydra/launcher=basic", "hydra.output_subdir=null"]), [None]);
    assert_eq!(dirs(&["hydra.job.chdir=no", "hydra.job.chdir=0", "hydra.job.chdir=null"]), [None]);
    assert_eq!(dirs(&["hydra.run.dir="])[0].as_deref(), Some(Path::new(".")));
    assert_eq!(dirs(&["hydra={run:{dir:r}}"])[0].as_deref(), Some(Path::new("r")));
    let dir = dirs(&["hydra.run.dir='r/${hydra:job.override_dirname}'", "tax=0.5", "db=server"]);
    assert_eq!(dir[0].as_deref(), Some(Path::new("r/db=server,tax=0.5")));
    assert_eq!(dirs(&["-m", "hydra.mode=RUN", "tax=0.1,0.2"]).len(), 2, "-m outweighs the mode");
    assert_eq!(dirs(&["hydra.mode=RunMode.MULTIRUN", "tax=0.1,0.2"]).len(), 2);
    assert_eq!(dirs(&["hydra.mode=null", "-p", "db"]).len(), 1);
    let swept = dirs(&["-m", "hydra.sweep.dir=s", "hydra.sweep.subdir=${hydra.job.num}", "tax=0.1,0.2"]);
    assert_eq!(swept, [Some("s/0".into()), Some("s/1".into())]);
}

#[test]
fn words_are_completed() {
    let next = |line: &str| printed::<Shop>(&["-sc", "query=bash", line]).lines().collect::<Vec<_>>().join(" ");
    assert_eq!(next("shop d"), "db. db=");
    assert_eq!(next("shop db."), "db.host= db.kind= db.link. db.port=");
    assert_eq!(next("shop tax=0.5 db=s"), "db=server");
    assert_eq!(next("shop db="), "db=default db=server");
    assert_eq!(next("shop +pre"), "+preset=");
    assert_eq!(next("shop db.kind="), "db.kind=memory db.kind=server");
    assert_eq!(next("shop log="), "log=false log=true");
    assert_eq!(next("shop db=server db.host="), "db.host=db.example.org");
    assert_eq!(next("shop --co"), "--config-dir --config-name");
    assert_eq!(next("shop ünï"), "");
    for shell in ["bash", "zsh", "fish"] {
        for verb in ["install", "uninstall"] {
            let script = printed::<Shop>(&["--shell-completion", &format!("{verb}={shell}")]);
            assert!(script.contains("_shop_words") && !script.contains("PROGRAM"), "{script}");
        }
    }
}

#[test]
fn the_grammar_is_explained() {
    let page = printed::<Shop>(&["--hydra-help"]);
    assert!(page.starts_with("shop reads overrides as Hydra 1.3 does") && page.contains("range(1,10,3)"), "{page}");
}
