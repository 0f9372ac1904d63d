//! Folders that hold one data set in several files.

use super::endings::kind;
use crate::error::{Error, Result};
use crate::escape::{MOST_LISTED, listed};
use std::path::{Path, PathBuf};

/// The files of a data set in order: the file itself, or the shards in a folder.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let fault = |problem: String| Error::input(format!("{problem} ({})", path.display()));
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries =
        entries.map_err(|e| fault(format!("the folder of data files cannot be read: {e}")))?;
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let is_saved =
        |name: &String| Path::new(name).extension().is_some_and(|ending| ending == "arrow");
    if names.iter().any(is_saved) {
        let remedy = "which is not read here; write Parquet instead, with `to_parquet`";
        return Err(fault(format!(
            "this is a folder of Arrow files, as `save_to_disk` writes them, {remedy}"
        )));
    }
    names.retain(|name| !name.starts_with('.') && kind(Path::new(name)).is_some());
    let remedy =
        "name the file that is meant, or put the shards of one data set into a folder of their own";
    match names.as_slice() {
        [] => return Err(fault(format!("the folder holds no data file; {remedy}"))),
        [_] => {}
        all => {
            let shards: Option<Vec<Shard>> = all.iter().map(|name| Shard::of(name)).collect();
            let whole =
                shards.filter(|shards| shards.iter().all(|shard| shard.belongs_to(&shards[0])));
            let Some(shards) = whole else {
                let problem = format!(
                    "the folder holds files that are not the shards of one data set: {}",
                    listed(all.iter().map(|name| format!("{name:?}")), MOST_LISTED)
                );
                return Err(fault(format!("{problem}; {remedy}")));
            };
            let numbers: Vec<usize> = shards.iter().map(|shard| shard.number).collect();
            let count = shards[0].count.unwrap_or(numbers.len());
            let first = if shards[0].count.is_none() { numbers[0].min(1) } else { 0 };
            if let Some(missing) = (first..first + count).find(|number| !numbers.contains(number)) {
                return Err(fault(format!(
                    "of {count} shards in the folder, number {missing} is missing"
                )));
            }
        }
    }
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}

/// What the name of a shard says: `train-00003-of-00010.parquet`, `0003.parquet` or
/// `part-00003-4f1c.snappy.parquet`.
struct Shard {
    set: String,
    number: usize,
    count: Option<usize>,
    kind: &'static str,
}

impl Shard {
    fn of(name: &str) -> Option<Self> {
        let (kind, _) = kind(Path::new(name))?;
        let stem = name.split('.').next()?;
        let parts: Vec<&str> = stem.split('-').collect();
        let number = |text: &str| {
            (text.len() >= 4 && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse().ok())?
        };
        match parts.as_slice() {
            [one] => Some(Self { set: String::new(), number: number(one)?, count: None, kind }),
            ["part", one, ..] => {
                Some(Self { set: "part".to_string(), number: number(one)?, count: None, kind })
            }
            [set @ .., one, "of", count] => Some(Self {
                set: set.join("-"),
                number: number(one)?,
                count: Some(number(count)?),
                kind,
            }),
            [set @ .., one] => {
                Some(Self { set: set.join("-"), number: number(one)?, count: None, kind })
            }
            [] => None,
        }
    }

    fn belongs_to(&self, other: &Self) -> bool {
        (&self.set, self.count, &self.kind) == (&other.set, other.count, &other.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let files = files(folder.path()).map_err(|error| error.to_string())?;
        Ok(files
            .iter()
            .map(|file| file.file_name().unwrap().to_string_lossy().into_owned())
            .collect())
    }

    #[test]
    fn a_folder_is_its_shards_in_order() {
        let two = [
            "train-00001-of-00002.parquet",
            "README.md",
            ".x.parquet",
            "train-00000-of-00002.parquet",
        ];
        assert_eq!(
            found(&two).unwrap(),
            ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
        );
        assert_eq!(found(&["0001.jsonl", "0000.jsonl"]).unwrap(), ["0000.jsonl", "0001.jsonl"]);
        assert_eq!(
            found(&["part-00000-a.snappy.parquet", "part-00001-a.snappy.parquet"]).unwrap().len(),
            2
        );
        assert_eq!(found(&["only.csv.gz"]).unwrap(), ["only.csv.gz"]);
        assert_eq!(files(Path::new("a.json")).unwrap(), [Path::new("a.json")]);
    }

    #[test]
    fn what_is_no_set_of_shards_is_refused() {
        for (names, words) in [
            (
                &["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"][..],
                "not the shards of one data set",
            ),
            (&["a.jsonl", "b.jsonl"], "\"a.jsonl\", \"b.jsonl\""),
            (&["0000.jsonl", "0001.csv"], "not the shards of one data set"),
            (&["t-00000-of-00003.csv", "t-00002-of-00003.csv"], "number 1 is missing"),
            (&["data-00000-of-00001.arrow", "state.json", "dataset_info.json"], "save_to_disk"),
            (&["README.md"], "no data file"),
        ] {
            let error = found(names).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
