//! Reads Rust just far enough to see which modules a file declares and which paths it names.

use std::collections::BTreeSet;

/// A path, as names: `crate::run::Event`.
pub(crate) type Path = Vec<String>;

/// What a file says, apart from its tests.
pub(crate) struct Code {
    /// The children that it declares with `mod name;`.
    pub(crate) children: BTreeSet<String>,
    /// Those of them that only tests have.
    pub(crate) children_of_tests: BTreeSet<String>,
    /// What it brings in with `use`.
    pub(crate) uses: Vec<Use>,
    /// The paths of two names or more that it writes elsewhere.
    pub(crate) paths: Vec<Path>,
    /// The names that it writes elsewhere.
    pub(crate) names: BTreeSet<String>,
}

/// A name that a `use` brings in.
pub(crate) struct Use {
    pub(crate) path: Path,
    /// How it is known in the file, which is `*` where all names of `path` are brought in.
    pub(crate) name: String,
    pub(crate) is_handed_on: bool,
}

impl Code {
    pub(crate) fn read(text: &str) -> Self {
        let all = tokens(&bare(text));
        let tokens = without_tests(&all);
        let children = declared(&tokens);
        let children_of_tests = declared(&all).difference(&children).cloned().collect();
        let mut code = Self {
            children,
            children_of_tests,
            uses: Vec::new(),
            paths: Vec::new(),
            names: BTreeSet::new(),
        };
        code.take_in(&tokens);
        code
    }

    fn take_in(&mut self, tokens: &[String]) {
        // The braces that are open, and whether each is of a module.
        let mut open = Vec::new();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let depth = open.iter().filter(|is_module| **is_module).count();
            match token.as_str() {
                "use" => {
                    let mut found = Vec::new();
                    let end = tree(tokens, at + 1, &[], &mut found);
                    // `pub use` and `pub(crate) use` hand on what they bring in.
                    let is_handed_on = at > 0 && matches!(tokens[at - 1].as_str(), "pub" | ")");
                    self.uses.extend(found.into_iter().map(|(path, name)| Use {
                        path: outside(path, depth),
                        name,
                        is_handed_on,
                    }));
                    at = end;
                }
                // The names of modules, and in `pub(in path)`, say nothing of what is in them.
                "mod" => at += 2,
                "in" if at > 0 && tokens[at - 1] == "(" => at = path_end(tokens, at + 1),
                name if is_name(name) => {
                    let end = path_end(tokens, at);
                    let path: Path = tokens[at..end].iter().step_by(2).cloned().collect();
                    self.names.extend(path.iter().cloned());
                    if path.len() > 1 {
                        self.paths.push(outside(path, depth));
                    }
                    at = end;
                }
                other => {
                    match other {
                        "{" => open.push(at > 1 && tokens[at - 2] == "mod"),
                        "}" => drop(open.pop()),
                        _ => {}
                    }
                    at += 1;
                }
            }
        }
    }
}

/// A path that stands in `depth` modules within the file, as seen from outside of them.
fn outside(mut path: Path, depth: usize) -> Path {
    for _ in 0..depth {
        match path.iter().position(|name| name != "super") {
            Some(0) => break,
            Some(1) => "self".clone_into(&mut path[0]),
            _ => drop(path.remove(0)),
        }
    }
    path
}

/// The text without comments, and with nothing in its strings and characters.
fn bare(text: &str) -> String {
    let mut bare = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (kept, length) = if rest.starts_with("//") {
            ("", rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (" ", block_comment(rest))
        } else if let Some(length) = literal(rest, bare.chars().last()) {
            ("\"\"", length)
        } else {
            let length = first.len_utf8();
            (&rest[..length], length)
        };
        bare.push_str(kept);
        rest = &rest[length..];
    }
    bare
}

/// The length of the comment that `text` begins with, and of those within it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for at in text.char_indices().map(|(at, _)| at) {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

/// The length of the string or character that `text` begins with, which stands behind `before`.
fn literal(text: &str, before: Option<char>) -> Option<usize> {
    if text.starts_with('\'') {
        return character(text);
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    // `r"..."` and `br#"..."#`.
    if before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let raw = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let inside = raw.trim_start_matches('#');
    let hashes = &raw[..raw.len() - inside.len()];
    let inside = inside.strip_prefix('"')?;
    let begin = text.len() - inside.len();
    let end = format!("\"{hashes}");
    Some(inside.find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

/// The length of the character that `text` begins with; none where it is a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut inside = text.chars().skip(1);
    let first = inside.next()?;
    (first == '\\' || inside.next() == Some('\'')).then(|| quoted(text, '\''))
}

/// The length of what stands between `quote`s, with them.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Names, `::`, and every other character on its own.
fn tokens(bare: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = bare.trim_start();
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let length = match name.unwrap_or(rest.len()) {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            length => length,
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Leaves out whatever stands behind `#[cfg(test)]` or `#[cfg(all(test, ..))]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let is_of_tests = |at: usize| {
        let begins = |words: &[&str]| {
            words.iter().enumerate().all(|(i, word)| tokens.get(at + i).is_some_and(|t| t == word))
        };
        begins(&["#", "[", "cfg", "(", "test", ")"])
            || begins(&["#", "[", "cfg", "(", "all", "(", "test"])
    };
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_of_tests(at) {
            at = item_end(tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item, statement or arm ends that begins at `begin` with its attributes: behind a
/// semicolon, or behind braces.
fn item_end(tokens: &[String], begin: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return at,
            "}" if depth == 1 => return at + 1,
            ")" | "]" | "}" => depth -= 1,
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The modules that are declared and stand in files of their own.
fn declared(tokens: &[String]) -> BTreeSet<String> {
    tokens
        .windows(3)
        .filter(|three| three[0] == "mod" && three[2] == ";")
        .map(|three| three[1].clone())
        .collect()
}

/// Where the path ends that begins at `at`.
fn path_end(tokens: &[String], at: usize) -> usize {
    let goes_on = |end: usize| {
        tokens.get(end).is_some_and(|t| t == "::")
            && tokens.get(end + 1).is_some_and(|t| is_name(t))
    };
    let mut end = at + 1;
    while goes_on(end) {
        end += 2;
    }
    end
}

/// Reads the tree of a `use` at `at`, which stands behind `before`: `a::{b, c as d}` has `a::b` as
/// `b` and `a::c` as `d`. Returns where it ends.
fn tree(tokens: &[String], at: usize, before: &[String], found: &mut Vec<(Path, String)>) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    match word(at) {
        "::" => return tree(tokens, at + 1, before, found),
        "*" => {
            found.push((before.to_vec(), "*".to_owned()));
            return at + 1;
        }
        "{" => {
            let mut at = at + 1;
            while !matches!(word(at), "}" | "") {
                at = if word(at) == "," { at + 1 } else { tree(tokens, at, before, found) };
            }
            return at + 1;
        }
        _ => {}
    }
    let name = word(at).to_owned();
    if name == "self" && !before.is_empty() {
        // `use a::{self, b}` brings in `a`.
        found.push((before.to_vec(), before[before.len() - 1].clone()));
        return at + 1;
    }
    let path = [before, std::slice::from_ref(&name)].concat();
    match word(at + 1) {
        "::" => tree(tokens, at + 2, &path, found),
        "as" => {
            found.push((path, word(at + 2).to_owned()));
            at + 3
        }
        _ => {
            found.push((path, name));
            at + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    fn paths(text: &str) -> Vec<String> {
        let code = Code::read(text);
        let uses = code.uses.iter().map(|brought| brought.path.join("::"));
        uses.chain(code.paths.iter().map(|path| path.join("::"))).collect()
    }

    #[test]
    fn a_tree_of_uses_is_read_and_so_are_paths_in_code() {
        let text = "use crate::{run, files::{a, b::C as D, *}, model::{self, Weights}};\n\
                    fn f() { crate::verify::verify::<T>(super::super::g) }";
        let expected = [
            "crate::run",
            "crate::files::a",
            "crate::files::b::C",
            "crate::files",
            "crate::model",
            "crate::model::Weights",
            "crate::verify::verify",
            "super::super::g",
        ];
        assert_eq!(paths(text), expected);
    }

    #[test]
    fn a_name_is_known_as_what_it_was_renamed_to() {
        let code = Code::read("pub(crate) use a::b as c;\nuse d::{self, e};");
        let uses: Vec<(&str, bool)> =
            code.uses.iter().map(|brought| (brought.name.as_str(), brought.is_handed_on)).collect();
        assert_eq!(uses, [("c", true), ("d", false), ("e", false)]);
    }

    #[test]
    fn a_path_in_a_module_of_the_file_is_read_from_there() {
        let text = "mod a { use super::{b, super::c}; mod d { fn e() { super::super::super::f() } } }\n\
                    pub(in super::g) fn h() { super::i() }";
        assert_eq!(paths(text), ["self::b", "super::c", "super::f", "super::i"]);
    }

    #[test]
    fn comments_and_strings_name_nothing_and_hide_nothing() {
        let text = r##"let at = "http://a::b"; x::y(); // c::d
            let raw = r#"a::b" // "#; z::y(); /* e::f /* g::h */ i::j */
            let quote = '"'; k::l(); let lifetime: &'static str = "\"m::n"; o::p('\'');"##;
        assert_eq!(paths(text), ["x::y", "z::y", "k::l", "o::p"]);
    }

    #[test]
    fn what_is_of_tests_is_left_out_and_what_comes_after_it_is_not() {
        let text = "#[cfg(test)]\n#[allow(x::y)]\nmod tests { use crate::a; fn f() { b::c() } }\n\
                    #[cfg(all(test, unix))]\nmod cases;\n\
                    fn g() { #[cfg(test)] d::e([0; 2]); f::g() }\n\
                    #[cfg(not(test))]\nmod real;\nuse crate::h;";
        assert_eq!(paths(text), ["crate::h", "f::g"]);
        let code = Code::read(text);
        assert_eq!(code.children.into_iter().collect::<Vec<_>>(), ["real"]);
        assert_eq!(code.children_of_tests.into_iter().collect::<Vec<_>>(), ["cases"]);
    }
}
