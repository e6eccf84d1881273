//! Every way to be wrong, and what the message says.

use crate::{Bare, error_of, refused};

#[test]
fn unknown_keys_name_the_nearest() {
    refused(&[
        (&["db.prot=1"], "unknown key `db.prot`; did you mean db.port or other.port?"),
        (&["port=1"], "unknown key `port`; did you mean db.port or other.port?"),
        (&["qqq=1"], "unknown key `qqq`; --help lists the keys"),
        (&["tm=1"], "unknown key `tm`; --help lists the keys"),
        (&["kind.tim=1"], "unknown key `kind.tim`; did you mean db.link.timeout or other.link.timeout?"),
        (&["db.ort=1"], "unknown key `db.ort`; did you mean db.port or other.port?"),
        (&["presets=big"], "unknown key `presets`; did you mean preset?"),
        (
            &["+db.prot=1"],
            "`+db.prot` adds nothing: no such key is read, and only known ones can be set; did you mean db.port or other.port?",
        ),
        (
            &["other=x"],
            "`other=x` is not an override: `other` is a section and no group; set its keys, as in other.key=value",
        ),
    ]);
}

#[test]
fn wrong_types_name_key_value_and_type() {
    refused(&[
        (&["db.port=x"], "db.port=x: expected an integer"),
        (&["db.port=1,2"], "db.port=1,2: expected an integer; several values need -m (--multirun)"),
        (&["orders=x"], "orders=x: expected an integer or null"),
        (&["tax=a"], "tax=a: expected a number"),
        (&["log=2.0"], "log=2.0: expected true or false"),
        (&["name=null"], "name=null: expected text; 'null' in quotes is a text"),
        (&["goods=null"], "goods=null: expected a path; 'null' in quotes is a text"),
        (&["name=[a,b]"], "name=[a,b]: expected text"),
        (&["name={a:1}"], "name={a:1}: expected text"),
        (
            &["name=a,b"],
            "name=a,b: expected text; several values need -m (--multirun); a comma in a text needs quotes, as in key='a,b'",
        ),
        (&["db.kind=disk"], "db.kind=disk: expected one of memory, server"),
        (&["colour=red"], "colour=red: expected a colour, as in #ff8800"),
        (&["sizes=1,x"], "sizes=1,x: expected integers, as in 0,1,2"),
        (&["~tax"], "`~tax` cannot be dropped: it needs a value, a number"),
        (&["+tax=1"], "`+tax` adds nothing: the key is there already; write tax=1"),
    ]);
}

#[test]
fn values_out_of_range_say_the_range() {
    refused(&[
        (&["tax=1"], "tax=1 is out of range: expected a number in [0, 1)"),
        (&["db.port=0"], "db.port=0 is out of range: expected 1 or more"),
        (&["db.port=65536"], "db.port=65536 is out of range: expected at most 65535"),
        (
            &["db.port=99999999999999999999"],
            "db.port=99999999999999999999 is out of range: expected an integer of 64 bits",
        ),
        (&["sizes=[]"], "sizes=[] is out of range: expected one integer or more"),
        (&["sizes=1,9999"], "sizes=1,9999 is out of range: expected at most 4000"),
        (&["db.link.timeout=inf"], "db.link.timeout=inf is out of range: expected a finite number above 0"),
        (&["goods="], "goods= is out of range: expected a path that is not empty"),
        (&["orders=2", "tax=0"], "orders=2 needs a tax"),
    ]);
}

#[test]
fn what_is_no_override_is_explained() {
    const FORMS: &str = "expected key=value, +key=value, ~key or group=name";
    for arg in ["foo", "+db.port"] {
        refused(&[(&[arg], &format!("`{arg}` is not an override: {FORMS}"))]);
    }
    for arg in ["=1", "a b=1", ".a=1", "a..b=1", "ü=1"] {
        let rest = "the key of letters, digits, _ and dots, without spaces around =";
        refused(&[(&[arg], &format!("`{arg}` is not an override: {FORMS}, {rest}"))]);
    }
    refused(&[
        (
            &["~a.=b"],
            "`~a.=b` is not an override: expected key=value, +key=value, ~key or group=name, the key of letters, digits, _ and dots, without spaces around =",
        ),
        (&["~a..b"], "`~a..b` is not an override: expected ~key"),
        (&["~orders=3"], "`~orders` cannot be dropped: its value is null and not 3"),
        (&["~preset=big"], "`~preset` cannot be dropped: its option is null and not big"),
        (&["~name="], "`~name` cannot be dropped: its value is shop at ${db.host} and not ''"),
        (
            &["db@db=server"],
            "`db@db=server` is not an override: the section `db` has a group of its own; choose from it with db=OPTION",
        ),
        (
            &["+db@nope=server"],
            "`+db@nope=server` is not an override: what stands after the @ is a section of the configuration, and `nope` is none",
        ),
        (
            &["db@db.link=server"],
            "`db@db.link=server` is not an override: an option is laid over another section with a plus: +db@db.link=server",
        ),
        (&["db={a"], "`db={a` is not an override: a map is written {key:value,other:value}"),
        (&["db={'port':3}"], "`db={'port':3}` is not an override: keys in a map have no quotes, as in {key:value}"),
        (&["tax=1,2,"], "`tax=1,2,` is not an override: a value is missing"),
        (&["++db=server"], "`++db=server` is not an override: a group is chosen by db=server"),
        (&["tax@db=1"], "`tax@db=1` is not an override: `tax` is no group, and only these have an @"),
        (
            &["--tax=1"],
            "unknown flag `--tax`; settings are written without dashes, as in key=value (--help lists both)",
        ),
    ]);
}

#[test]
fn values_that_the_grammar_cannot_read_say_why() {
    let cases = [
        ("a(b)", "no function is called a; there are choice,"),
        ("(a)", "`(` has no place there unless it is in quotes; a text of any characters is written name='(a)'"),
        ("[a", "a closing `]` is missing"),
        ("{a}", "`}` has no place there"),
        ("'a'b", "`b` has no place there"),
        ("a'b'", "quotes go around the whole of a text, not a part like 'b'"),
        ("a,", "a value is missing"),
        (
            "it's (",
            r"`(` has no place there unless it is in quotes; a text of any characters is written name='it\'s ('",
        ),
        ("int(x)", "x cannot be made an integer"),
        ("range(a)", "range(…) takes numbers"),
        ("choice()", "choice(…) needs one value or more"),
        ("range(1,2,3,4)", "range(…) has too many arguments"),
        ("sort(1,reverse=2)", "sort(…) takes reverse=true"),
        ("range(start=1,2)", "arguments without a name come first"),
        ("[1,2],choice(3)", "a sweep stands alone"),
    ];
    for (value, part) in cases {
        let message = error_of::<crate::Shop>(&[&format!("name={value}")]);
        assert!(message.starts_with("`name=") && message.contains(part), "{value}: {message}");
    }
    let deep = format!("name={}", "[".repeat(100_000));
    assert!(error_of::<crate::Shop>(&[&deep]).contains("more than 64 brackets are open at once"));
    assert_eq!(
        error_of::<crate::Shop>(&["-m", "tax=interval(0,1)"]),
        "tax=interval(0,1) cannot be swept: an interval has no end of numbers; sweep some of them with range(…) or choice(…)"
    );
    assert!(error_of::<crate::Shop>(&["-m", "tax=range(1e9)"]).contains("the range has more than 1000 numbers"));
    assert!(error_of::<crate::Shop>(&["-m", "tax=range(0)"]).contains("stands for no value at all"));
}

#[test]
fn groups_list_their_options() {
    refused(&[
        (&["db=disk"], "group `db` has no option `disk`; its options are default, server"),
        (&["db=../preset/big"], "group `db` has no option `../preset/big`; its options are default, server"),
        (&["~db"], "`~db` cannot be dropped: the group needs an option; its options are default, server"),
        (
            &["db=default,server"],
            "db=default,server: expected one of default, server; several options need -m (--multirun)",
        ),
    ]);
}

#[test]
fn two_names_with_two_values_contradict() {
    let message = "tax=0.2 and vat=0.1 contradict one another: they are one setting with two names; give one";
    refused(&[(&["vat=0.1", "tax=0.2"], message)]);
}

#[test]
fn bad_references_are_errors() {
    refused(&[
        (
            &["name=${db.hots}"],
            "name: ${db.hots} names no key; did you mean db.host? (\\${ stands for the characters themselves)",
        ),
        (
            &["name=${db"],
            "`name=${db` is not an override: a reference ${…} has no closing brace, or another reference within it, which \
             needs quotes; a text of any characters is written name='${db'",
        ),
        (&["name='${db'"], "name: `${db` has no closing brace; write \\${ for the characters themselves"),
        (&["db.host=${name}"], "db.host: a circle of references: db.host -> name -> db.host"),
        (&["orders=${name}"], "orders=shop at localhost: expected an integer or null"),
    ]);
}

#[test]
fn what_would_grow_without_end_is_refused() {
    let tenfold = |key: &str| format!("${{{key}}}").repeat(10);
    let args = [
        "db.host=0123456789",
        &format!("name={}", tenfold("db.host").repeat(30)),
        &format!("goods={}", tenfold("name").repeat(30)),
    ];
    assert_eq!(error_of::<crate::Shop>(&args), "goods: its references add up to more than 65536 bytes");
    let many = vec!["0"; 101].join(",");
    let args = ["-m", &format!("tax={many}"), &format!("db.link.tries={many}")];
    assert_eq!(error_of::<crate::Shop>(&args), "-m would make more than 1000 runs; sweep fewer values at once");
}

#[test]
fn what_must_be_given_is_asked_for() {
    assert_eq!(error_of::<Bare>(&[]), "no value for `task`: it must be given, as in task=VALUE");
}
