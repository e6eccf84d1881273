//! The fuzzers' seeds, and whatever proptest makes of them.

use proptest::prelude::*;

#[path = "../targets/mod.rs"]
mod targets;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/tests/targets/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn seeds_are_survived() {
    seeds("command_line").iter().for_each(|bytes| targets::overrides(bytes));
    seeds("yaml").iter().for_each(|bytes| targets::config(bytes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn damaged_seeds_are_survived(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        for (target, run) in [("command_line", targets::overrides as fn(&[u8])), ("yaml", targets::config)] {
            for mut bytes in seeds(target).into_iter().filter(|bytes| !bytes.is_empty()) {
                run(&bytes[..cut.index(bytes.len())]);
                let at = at.index(bytes.len());
                bytes[at] = byte;
                run(&bytes);
            }
        }
    }
}
