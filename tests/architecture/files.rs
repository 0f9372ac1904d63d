//! Which file of the crate knows which others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::slice;

use crate::code::{Code, Use};

/// A file as a path of modules: `src/run/folder/mod.rs` is `run`, `folder`.
pub(crate) type Module = Vec<String>;

/// Which file knows which others, and by which paths it names them.
pub(crate) type Edges = BTreeMap<Module, BTreeMap<Module, BTreeSet<String>>>;

/// The files of a crate, without its tests and without `main.rs`. Its root, `lib.rs`, is the module
/// without a name.
pub(crate) struct Files(BTreeMap<Module, Code>);

impl Files {
    /// Those of the crate in a folder of the repository.
    pub(crate) fn of_crate(folder: &str) -> Self {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("src"))
    }

    fn read(root: &Path) -> Self {
        let code = |path: &PathBuf| Code::read(&fs::read_to_string(path).unwrap());
        Self::new(sources(root).into_iter().map(|path| (module(&path, root), code(&path))))
    }

    /// Files with these names and texts.
    pub(crate) fn of(texts: &[(&str, &str)]) -> Self {
        let module = |name: &str| {
            name.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        Self::new(texts.iter().map(|(name, text)| (module(name), Code::read(text))))
    }

    fn new(files: impl IntoIterator<Item = (Module, Code)>) -> Self {
        let mut files: BTreeMap<Module, Code> = files.into_iter().collect();
        files.retain(|module, _| *module != ["main"]);
        let of_tests = |(module, code): (&Module, &Code)| {
            let child = |name: &String| [module.as_slice(), slice::from_ref(name)].concat();
            code.children_of_tests.iter().map(child).collect::<Vec<_>>()
        };
        let of_tests: Vec<Module> = files.iter().flat_map(of_tests).collect();
        files.retain(|module, _| !of_tests.iter().any(|tests| module.starts_with(tests)));
        Self(files)
    }

    pub(crate) fn edges(&self) -> Edges {
        self.0.iter().map(|(module, code)| (module.clone(), self.known(module, code))).collect()
    }

    /// The files that `module` knows.
    fn known(&self, module: &Module, code: &Code) -> BTreeMap<Module, BTreeSet<String>> {
        let uses = code.uses.iter().filter(|brought| !self.only_hands_on(module, code, brought));
        let mut known: BTreeMap<Module, BTreeSet<String>> = BTreeMap::new();
        for path in uses.map(|brought| &brought.path).chain(&code.paths) {
            let home = self.absolute(module, path).and_then(|path| self.home(&path, 0));
            if let Some(home) = home.filter(|home| home != module) {
                known.entry(home).or_default().insert(path.join("::"));
            }
        }
        known
    }

    /// Whether `module` brings in something of its own children for others and does not use it.
    fn only_hands_on(&self, module: &Module, code: &Code, brought: &Use) -> bool {
        let is_of_children = self
            .absolute(module, &brought.path)
            .is_some_and(|path| path.len() > module.len() && path.starts_with(module));
        brought.is_handed_on && is_of_children && !code.names.contains(&brought.name)
    }

    /// A path written in `module` as one from the crate's root; none where it leads elsewhere.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let mut base = module.as_slice();
                let mut rest = path;
                while let Some(("super", more)) = rest.split_first().map(|(a, b)| (a.as_str(), b)) {
                    (base, rest) = (base.split_last()?.1, more);
                }
                Some([base, rest].concat())
            }
            _ => {
                let child = [module.as_slice(), path].concat();
                self.0.contains_key(&child[..=module.len()]).then_some(child)
            }
        }
    }

    /// The file in which what is at `path` is defined, wherever else it is handed on.
    fn home(&self, path: &[String], depth: usize) -> Option<Module> {
        let end = (0..=path.len()).rev().find(|&end| self.0.contains_key(&path[..end]))?;
        let (module, rest) = (path[..end].to_vec(), &path[end..]);
        let Some((name, rest)) = rest.split_first() else { return Some(module) };
        let elsewhere = self.0[&module].uses.iter().find(|brought| brought.name == *name);
        let elsewhere = elsewhere.and_then(|brought| self.absolute(&module, &brought.path));
        match elsewhere {
            Some(path) if depth < 8 => self.home(&[&path, rest].concat(), depth + 1),
            _ => Some(module),
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}

fn module(path: &Path, root: &Path) -> Module {
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    let mut names: Module = inside.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    if names == ["lib"] {
        names.clear();
    }
    names.pop_if(|last| last == "mod");
    names
}

/// The circles: files of which each knows each, over others or not.
pub(crate) fn circles(edges: &Edges) -> BTreeSet<Vec<&Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        edges.keys().map(|module| (module, reached(edges, module))).collect();
    let circle = |module: &&Module| -> Vec<&Module> {
        reached[*module].iter().filter(|other| reached[*other].contains(*module)).copied().collect()
    };
    reached.keys().map(circle).filter(|circle| circle.len() > 1).collect()
}

/// The files that one comes to from `module`.
fn reached<'a>(edges: &'a Edges, module: &'a Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![module];
    while let Some(module) = open.pop() {
        for next in edges[module].keys() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::{Files, circles};
    use std::fs;

    fn circles_of(texts: &[(&str, &str)]) -> Vec<Vec<String>> {
        let edges = Files::of(texts).edges();
        let names = |circle: Vec<_>| circle.into_iter().map(|file: &Vec<_>| file.join("::"));
        circles(&edges).into_iter().map(|circle| names(circle).collect()).collect()
    }

    #[test]
    fn a_circle_is_found_and_who_leads_to_it_is_not_of_it() {
        let texts = [("a", "crate::b::x"), ("b", "crate::c::y"), ("c", "use super::b::x;")];
        assert_eq!(circles_of(&texts), [["b", "c"]]);
    }

    #[test]
    fn what_is_handed_on_belongs_to_who_defines_it() {
        let texts = [("a", "pub use b::B; mod b;"), ("a::b", "use super::c::C;"), ("a::c", "")];
        assert!(circles_of(&texts).is_empty());
        let texts = [
            ("a", "pub use b::B as D; mod b; mod c;"),
            ("a::b", "use super::c::C;"),
            ("a::c", "fn f() { super::D::new() }"),
        ];
        assert_eq!(circles_of(&texts), [["a::b", "a::c"]]);
    }

    #[test]
    fn what_the_root_hands_on_belongs_to_who_defines_it() {
        let texts = [("", "mod a; mod b; pub use a::A;"), ("a", "use super::b::B;")];
        let child = ("b", "fn f() { super::A::new() }");
        let edges = [texts[0], texts[1], child];
        assert_eq!(circles_of(&edges), [["a", "b"]]);
    }

    #[test]
    fn a_folder_and_its_file_are_a_circle_where_each_uses_the_other() {
        let child = ("a::b", "use super::Own; pub struct B;");
        assert!(circles_of(&[("a", "mod b; pub use b::B; pub struct Own;"), child]).is_empty());
        let uses = "mod b; pub use b::B; pub struct Own; fn f() { B }";
        assert_eq!(circles_of(&[("a", uses), child]), [["a", "a::b"]]);
        assert_eq!(circles_of(&[("a", "mod b; fn f() { b::g() }"), child]), [["a", "a::b"]]);
    }

    #[test]
    fn files_of_tests_are_left_out_and_those_in_a_folder_called_tests_are_not() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("tests");
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(root.join("lib.rs"), "mod a;").unwrap();
        fs::write(root.join("a/mod.rs"), "mod showcases; #[cfg(test)] mod tests;").unwrap();
        fs::write(root.join("a/showcases.rs"), "").unwrap();
        fs::write(root.join("a/tests.rs"), "").unwrap();
        let names: Vec<String> =
            Files::read(&root).edges().keys().map(|module| module.join("::")).collect();
        assert_eq!(names, ["", "a", "a::showcases"]);
    }
}
