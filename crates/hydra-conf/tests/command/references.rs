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
    assert_eq!(name("${hydra:runtime.choices.db} ${hydra:mode}"), "default RUN");
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
fn references_that_lead_nowhere_say_so() {
    let cases = [
        ("${oc.env:NO_SUCH_VARIABLE}", "needs the environment variable NO_SUCH_VARIABLE, or a default after a comma"),
        ("${oc.env}", "${oc.env} names no key"),
        ("${oc.env:}", "too many or too few arguments"),
        ("${oc.dict.keys:db}", "is not known; there are oc.env,"),
        ("${env:HOME}", "is not known; there are oc.env,"),
        ("${hydra:nope}", "knows no nope, but job.name"),
        ("${now:%Q}", "cannot write the time as %Q"),
        ("${db}", "db is a section, and a reference names one of its keys"),
        ("${oc.select:db}", "db is a section, and a reference names one of its keys"),
        ("${oc.select:..name,x}", "${..name} names no key: it has more dots than there are sections around"),
        ("${oc.create:a}", "too many or too few arguments, or no text"),
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
