//! What the name of a data file says: how it is read, and what it is called in tables.

use std::path::Path;

/// How rows are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A list of objects, an object with such a list, or an object a line.
    Json,
    /// An object a line.
    JsonLines,
    /// A table with commas.
    Csv,
    /// A table with tabs.
    Tsv,
    /// Columns, packed or not.
    Parquet,
}

/// Endings of data files.
const FORMATS: [(&str, Format); 6] = [
    ("json", Format::Json),
    ("jsonl", Format::JsonLines),
    ("ndjson", Format::JsonLines),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("parquet", Format::Parquet),
];

/// The parts of a name between dots, in lower case, from the end: `a.jsonl.gz` has `gz` and
/// `jsonl`.
fn endings(path: &Path) -> impl Iterator<Item = String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.rsplit('.').map(str::to_string).collect::<Vec<_>>().into_iter()
}

/// Whether the name says that the file is packed by gzip.
pub(super) fn is_packed(path: &Path) -> bool {
    endings(path).next().as_deref() == Some("gz")
}

/// How a file is read: its ending without `gz`, and what that means.
pub(super) fn kind(path: &Path) -> Option<(&'static str, Format)> {
    let mut endings = endings(path);
    let first = endings.next()?;
    let ending = if first == "gz" { endings.next()? } else { first.clone() };
    // What stands before the first dot is not an ending.
    endings.next()?;
    let found = FORMATS.into_iter().find(|(known, _)| *known == ending);
    found.filter(|(_, format)| *format != Format::Parquet || first != "gz")
}

/// A name for tables: the file's without the endings that say how it is read.
pub(crate) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut end = name.len();
    if let Some((kind, _)) = kind(path) {
        let dropped = if is_packed(path) { kind.len() + 4 } else { kind.len() + 1 };
        end = end.saturating_sub(dropped);
    }
    name.get(..end).unwrap_or(&name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_tables_has_no_endings() {
        for (path, expected) in [
            ("a/b.jsonl", "b"),
            ("b.c.CSV.GZ", "b.c"),
            ("shards", "shards"),
            ("v1.5", "v1.5"),
            ("a.parquet", "a"),
        ] {
            assert_eq!(name(Path::new(path)), expected);
        }
    }
}
