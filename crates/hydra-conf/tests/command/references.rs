//! What references can ask, beside the plain ones that the judge of tests/hydra has.

use std::path::Path;

use crate::{Shop, error_of, jobs, shop};

#[test]
fn references_can_ask_for_more_than_keys() {
    let name = |reference: &str| shop(&[&format!("name='{reference}'"), "db.host=h"]).name;
    assert_eq!(name("${db.host}-${ db[port] }-${tax}"), "h-5432-0.19");
    assert_eq!(name("${db.link.tries}${log}"), "3False");
    assert_eq!(name("${oc.select:db.${oc.select:nope,host}}"), "h");
    assert_eq!(name("${oc.env:NO_SUCH_VARIABLE,\"a, b\"}"), "a, b");
    assert_eq!(name("${vat}"), "0.19", "other names of keys are names");
    assert_eq!(name("x${oc.create:[a,{b:1}]}${sizes}"), "x['a', {'b': 1}][100, 200]");
    assert_eq!(name("${oc.decode:\\' 5 \\'}"), " 5 ");
    assert_eq!(name("${hydra:runtime.choices.db} ${hydra:mode}"), "default RunMode.RUN");
    assert_eq!(Path::new(&name("${hydra:runtime.cwd}")), std::env::current_dir().unwrap());
    assert_eq!(name(r"\${db.host} \\${db.host} \\\${db.host}"), r"${db.host} \h \${db.host}");
    assert_eq!(shop(&["db.link.tries=${..port}", "db.port=7"]).db.link.tries, 7);
    assert_eq!(shop(&["sizes=[1,${db.port}]", "db.port=7"]).look.sizes, [1, 7]);
    let names: Vec<String> =
        jobs::<Shop>(&["-m", "tax=0.1,0.2", "name=${hydra:job.num}"]).into_iter().map(|job| job.config.name).collect();
    assert_eq!(names, ["0", "1"]);
    let environment = std::env::var("PATH").unwrap();
    assert_eq!(name("${oc.env:PATH}"), environment);
}

#[test]
fn the_time_is_one_for_all_jobs() {
    let names: Vec<String> = jobs::<Shop>(&["-m", "tax=0.1,0.2", "name='${now:%Y-%m-%d %H:%M:%S.%f}'"])
        .into_iter()
        .map(|job| job.config.name)
        .collect();
    assert_eq!(names[0], names[1]);
    assert!(names[0].starts_with("2") && names[0].len() > 20, "{}", names[0]);
}

#[test]
fn the_time_is_written_as_python_does() {
    let written = |format: &str| shop(&[&format!("name='${{now:{format}}}'")]).name;
    assert_eq!(written("%f").len(), 6);
    assert_eq!(written("%z%Z."), ".");
    assert_eq!(written("%L %N %Q %3f %+ %v %E %"), "%L %N %Q %3f %+ %v %E %");
    assert_eq!(written("%010Y"), format!("000000{}", written("%Y")));
    assert_eq!(written("%-d%_d"), {
        let day = written("%d").trim_start_matches('0').to_owned();
        format!("{day}{day:>2}")
    });
    assert_eq!(written("%^a"), written("%a").to_uppercase());
    assert_eq!(written("%OS").len(), 2);
    assert!(written("%999999999d").len() < 2000);
}

#[test]
fn references_know_hydras_own_settings() {
    let name = |args: &[&str]| {
        let reference = format!("name={}", args[0]);
        let line: Vec<&str> = [reference.as_str()].into_iter().chain(args[1..].iter().copied()).collect();
        jobs::<Shop>(&line).into_iter().map(|job| job.config.name).collect::<Vec<_>>()
    };
    assert!(name(&["${hydra:run.dir}"])[0].starts_with("outputs/2"));
    let here = std::env::current_dir().unwrap();
    assert_eq!(Path::new(&name(&["${hydra:runtime.output_dir}", "hydra.run.dir=zz"])[0]), here.join("zz"));
    assert_eq!(Path::new(&name(&["${hydra:runtime.output_dir}", "hydra.run.dir="])[0]), here);
    assert_eq!(name(&["${hydra:job.config_name}"]), ["shop"]);
    let swept =
        name(&["${hydra:sweep.dir}/${hydra:sweep.subdir}-${hydra:job.id}", "-m", "tax=0.1,0.2", "hydra.sweep.dir=s"]);
    assert_eq!(swept, ["s/0-0", "s/1-1"]);
    assert!(name(&["${hydra:sweep.dir}", "-m", "hydra.sweep.subdir=x"])[0].starts_with("multirun/2"));
    let message = error_of::<Shop>(&["hydra.run.dir=r/${hydra:run.dir}"]);
    assert_eq!(message, "hydra.run.dir: a circle of references: hydra.run.dir -> hydra.run.dir");
    assert!(error_of::<Shop>(&["hydra.run.dir='${oc.create:[1]}'"]).contains("it is a text, and not [1]"));
    assert!(error_of::<Shop>(&["name=${hydra.job.name}"]).starts_with("name: ${hydra.job.name} names no key"));
}

#[test]
fn references_that_lead_nowhere_say_so() {
    let cases = [
        ("${oc.env:NO_SUCH_VARIABLE}", "needs the environment variable NO_SUCH_VARIABLE, or a default after a comma"),
        ("${oc.env}", "${oc.env} names no key"),
        ("${oc.env:}", "has no argument; it takes a variable"),
        ("${oc.env:a,b,c}", "has too many arguments; it takes a variable"),
        ("${oc.decode:5}", "takes a text that reads as a value"),
        ("${oc.decode:\"\"}", "has nothing to read"),
        ("${oc.deprecated:nope}", "names no key: nope"),
        ("${oc.dict.keys:db}", "is not known; there are oc.env,"),
        ("${env:HOME}", "is not known; there are oc.env,"),
        ("${hydra:nope}", "knows no nope; --hydra-help lists"),
        ("${db}", "db is a section, and a reference names one of its keys"),
        ("${oc.select:db}", "db is a section, and a reference names one of its keys"),
        ("${oc.select:..name,x}", "${..name} names no key: it has more dots than there are sections around"),
        ("${oc.create:a}", "takes a list or a map"),
        ("${....db.host}", "names no key"),
        ("${oc.decode:(}", "is read as no value; put it in quotes"),
        ("${oc.select:db.host,range(3)}", "is read as no value; put it in quotes"),
    ];
    for (reference, part) in cases {
        let message = error_of::<Shop>(&[&format!("name='{reference}'")]);
        assert!(message.starts_with("name: ") && message.contains(part), "{reference}: {message}");
    }
    let deep = format!("name='{}{}'", "${".repeat(100), "}".repeat(100));
    assert!(error_of::<Shop>(&[&deep]).contains("more than 32 references lie in one another"));
}
