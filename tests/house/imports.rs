//! Which file imports which, read from the sources.

use std::collections::{BTreeMap, BTreeSet};

use super::Sources;

/// What a `use` brings in: where it is, the name it has from then on, and whether others can get it from here.
struct Use {
    path: String,
    name: String,
    handed_on: bool,
}

/// A file's own code, or the tests at its end.
struct Module {
    path: Vec<String>,
    uses: Vec<Use>,
    /// Everything but `use`, `mod name;`, attributes and comments
    rest: String,
}

impl Module {
    fn read(path: Vec<String>, source: &str) -> Self {
        let (mut uses, mut rest) = (Vec::new(), String::new());
        let mut lines = source.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
        while let Some(line) = lines.next() {
            let public = line.strip_prefix("pub").map(|rest| rest.trim_start_matches(|c| c != ' ').trim_start());
            let item = public.unwrap_or(line);
            let declares = line.starts_with('#') || (item.starts_with("mod ") && item.ends_with(';'));
            // A line of a message can begin with the word, but no path follows.
            let is_path =
                |tree: &&str| tree.split(' ').next().is_some_and(|word| word.contains("::") || word.ends_with(';'));
            if let Some(tree) = item.strip_prefix("use ").filter(is_path) {
                let mut tree = tree.to_owned();
                while !tree.ends_with(';') {
                    tree += lines.next().expect("a semicolon");
                }
                let mut found = Vec::new();
                leaves("", tree.trim_end_matches(';'), &mut found);
                uses.extend(found.into_iter().map(|(path, name)| Use { path, name, handed_on: public.is_some() }));
            } else if !declares {
                rest += &format!("{line}\n");
            }
        }
        Self { path, uses, rest }
    }

    /// Names, and paths such as `crate::energy::descend`.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').map(|word| word.trim_end_matches(':'))
    }
}

/// The paths of a `use` tree, each with its name here.
fn leaves(prefix: &str, tree: &str, found: &mut Vec<(String, String)>) {
    let tree = tree.trim();
    if let Some((head, inside)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) {
        let mut depth = 0;
        let commas = |c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        };
        inside.split(commas).for_each(|branch| leaves(&format!("{prefix}{head}"), branch, found));
    } else if !tree.is_empty() {
        let (path, name) = tree.split_once(" as ").unwrap_or((tree, tree.rsplit("::").next().unwrap_or(tree)));
        found.push((format!("{prefix}{path}").trim_end_matches("::self").to_owned(), name.to_owned()));
    }
}

/// The modules of every file under `src`.
pub struct House(BTreeMap<String, [Module; 2]>);

impl House {
    pub fn new(sources: &Sources) -> Self {
        let read = |(file, source): (&String, &String)| {
            let parts = file.strip_prefix("src/")?.strip_suffix(".rs")?.split('/');
            let path: Vec<String> = parts.filter(|part| !["mod", "lib"].contains(part)).map(str::to_owned).collect();
            let (code, tests) = source.split_once("\nmod tests {").unwrap_or((source, ""));
            let inner = [&path[..], &["tests".to_owned()]].concat();
            Some((file.clone(), [Module::read(path, code), Module::read(inner, tests)]))
        };
        Self(sources.iter().filter_map(read).collect())
    }

    /// The files, but for the list of the rooms.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|file| *file != "src/lib.rs")
    }

    /// The names and paths in a file's code, its tests left out.
    pub fn words(&self, file: &str) -> impl Iterator<Item = &str> {
        self.0[file][0].words()
    }

    /// The file in which something lies, whatever others hand it on.
    fn file_of(&self, path: &[String]) -> Option<&str> {
        let n = (0..=path.len()).rev().find(|&n| self.own_file(&path[..n]).is_some())?;
        let file = self.own_file(&path[..n])?;
        let handed_on = |name: &String| self.0[file][0].uses.iter().find(|u| u.handed_on && u.name == *name);
        let origin = path.get(n).and_then(handed_on).and_then(|u| self.absolute(&path[..n], &u.path));
        origin.map_or(Some(file), |origin| self.file_of(&origin))
    }

    /// The file that a module is.
    fn own_file(&self, module: &[String]) -> Option<&str> {
        let path = module.join("/");
        let files = if path.is_empty() {
            ["src/lib.rs".into(), String::new()]
        } else {
            [format!("src/{path}.rs"), format!("src/{path}/mod.rs")]
        };
        files.iter().find_map(|file| Some(self.0.get_key_value(file)?.0.as_str()))
    }

    /// A path in a module, from the top of the library; nothing where it leads into another crate.
    fn absolute(&self, module: &[String], path: &str) -> Option<Vec<String>> {
        let parts: Vec<String> = path.split("::").map(str::to_owned).collect();
        let up = parts.iter().take_while(|part| *part == "super").count();
        let here = &module[..module.len().checked_sub(up)?];
        match parts[0].as_str() {
            "crate" | "nanoebm" => Some(parts[1..].to_vec()),
            "self" => Some([here, &parts[1..]].concat()),
            "super" => Some([here, &parts[up..]].concat()),
            child => self.own_file(&[here, &[child.to_owned()]].concat()).map(|_| [here, &parts].concat()),
        }
    }

    /// The files that a file imports. What it hands on of its own rooms it does not import, unless it uses the name itself.
    pub fn imports(&self, file: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for module in &self.0[file] {
            let only_a_name = |u: &&Use, to: &[String]| {
                u.handed_on
                    && to.starts_with(&module.path)
                    && !module.words().any(|word| word.split("::").next() == Some(&u.name))
            };
            let uses = module.uses.iter().filter_map(|u| Some((u, self.absolute(&module.path, &u.path)?)));
            let uses = uses.filter(|(u, to)| !only_a_name(u, to)).map(|(_, to)| to);
            let paths =
                module.words().filter(|word| word.contains("::")).filter_map(|word| self.absolute(&module.path, word));
            found.extend(uses.chain(paths).filter_map(|to| self.file_of(&to)).filter(|to| *to != file));
        }
        found
    }

    /// A file that only declares modules and hands on their names counts as none in a circle.
    pub fn has_code(&self, file: &str) -> bool {
        self.0[file].iter().any(|module| !module.rest.trim().is_empty())
    }
}
