//! Data files: JSON, JSON Lines, CSV and Parquet become rows, which are JSON objects.
//!
//! | Ending | What it holds |
//! |---|---|
//! | `.jsonl`, `.ndjson` | an object a line |
//! | `.json` | a list of objects, `{"data": [...]}`, or an object a line |
//! | `.csv`, `.tsv` | names of columns in the first line; commas or tabs |
//! | `.parquet` | packed with snappy, zstd or gzip, or not |
//! | `.gz` after one of these but Parquet | the same, packed by gzip |
//! | a folder | the shards of one data set in order, such as `train-00000-of-00002.parquet` |

use super::endings::{Format, is_packed, kind};
use super::packed::{most_unpacked, too_large};
use super::row::Row;
use super::{csv, json, parquet, shards};
use crate::error::{Error, Result};
use crate::files::{beginning, decode, not_fetched, open_regular};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// The rows of a file, or of a folder of shards.
///
/// Fails where a file cannot be read or a row is not an object; the error names file and line.
pub(super) fn read_rows(path: &Path) -> Result<Vec<(PathBuf, Row)>> {
    let mut rows = Vec::new();
    for file in shards::files(path)? {
        let fault = |problem: String| Error::input(format!("{problem} ({})", file.display()));
        let found = match kind(&file) {
            None => {
                Err("a data file ends in .json, .jsonl, .csv, .tsv or .parquet, which says how it \
                     is read; the first four may also be packed by gzip, such as .jsonl.gz"
                    .to_string())
            }
            Some((_, Format::Parquet)) => parquet::read(&file),
            Some((_, Format::Json)) => text(&file).and_then(|text| json::whole(&text)),
            Some((_, Format::JsonLines)) => text(&file).and_then(|text| json::lines(&text)),
            Some((_, Format::Csv)) => text(&file).and_then(|text| csv::commas(&text)),
            Some((_, Format::Tsv)) => text(&file).and_then(|text| csv::tabs(&text)),
        };
        rows.extend(found.map_err(fault)?.into_iter().map(|row| (file.clone(), row)));
    }
    Ok(rows)
}

/// The text of a file, unpacked where it is packed.
fn text(path: &Path) -> Result<String, String> {
    let unreadable = |e: std::io::Error| format!("the data file cannot be read: {e}");
    let mut file = open_regular(path).map_err(unreadable)?;
    if let Some(why) = not_fetched(&beginning(&file).map_err(unreadable)?) {
        return Err(format!("the data file cannot be read: {why}"));
    }
    file.rewind().map_err(unreadable)?;
    let mut bytes = Vec::new();
    if is_packed(path) {
        let packed = file.metadata().map_err(unreadable)?.len();
        let most = most_unpacked(packed);
        let unpacked =
            flate2::read::MultiGzDecoder::new(file).take(most + 1).read_to_end(&mut bytes);
        unpacked.map_err(|e| format!("the data file cannot be unpacked: {e}"))?;
        if bytes.len() as u64 > most {
            return Err(too_large(packed));
        }
    } else {
        file.read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if let Some((_, what)) = PACKED.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(format!("the data file cannot be read: by its content it is {what}"));
    }
    decode(bytes).map_err(unreadable)
}

/// How files begin that are not text, and what is to be done with them.
const PACKED: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "packed by gzip; give it a name that ends in .gz"),
    (b"PAR1", "a Parquet file; give it a name that ends in .parquet"),
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd; unpack it"),
    (b"BZh", "packed by bzip2; unpack it"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n";

    fn rows(name: &str, content: &[u8]) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        Ok(read_rows(&path)?.into_iter().map(|(_, row)| row).collect())
    }

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn column(rows: &[Row], name: &str) -> Vec<String> {
        rows.iter().map(|row| row.columns[name].as_str().unwrap().to_string()).collect()
    }

    #[test]
    fn every_format_gives_the_same_rows() {
        let lines = "\u{feff}{\"p\": \"x, \\\"y\\\"\", \"q\": \"1\"}\r\n\n\
                     {\"p\": \"two\\nlines\", \"q\": \"ü\"}\n"
            .as_bytes();
        let table = "\u{feff}p,q\n\"x, \"\"y\"\"\",1\n\"two\nlines\",ü\n".as_bytes();
        for (name, content) in [
            ("a.json", r#"[{"p": "x, \"y\"", "q": "1"}, {"p": "two\nlines", "q": "ü"}]"#.as_bytes()),
            (
                "a.json",
                r#"{"version": 1, "data": [{"p": "x, \"y\"", "q": "1"}, {"p": "two\nlines", "q": "ü"}]}"#.as_bytes(),
            ),
            ("a.jsonl", lines),
            ("a.json", lines),
            ("a.ndjson", lines),
            ("a.jsonl.gz", &packed(lines)),
            ("a.json.gz", &packed(lines)),
            ("a.CSV", table),
            ("a.csv.gz", &packed(table)),
            ("a.tsv", "p\tq\n\"x, \"\"y\"\"\"\t1\n\"two\nlines\"\tü\n".as_bytes()),
        ] {
            let rows = rows(name, content).unwrap();
            assert_eq!(column(&rows, "p"), ["x, \"y\"", "two\nlines"], "{name}");
            assert_eq!(column(&rows, "q"), ["1", "ü"], "{name}");
        }
        // One object is one row.
        assert_eq!(column(&rows("a.json", b"{\"p\": \"x\"}").unwrap(), "p"), ["x"]);
    }

    #[test]
    fn faults_name_the_file_and_the_line() {
        let bomb = packed(&vec![b' '; (most_unpacked(0) + (64 << 20)) as usize]);
        for (name, content, words) in [
            ("a.jsonl", b"{\"p\": \"1\"}\n\n{\"p\": ".as_slice(), ["line 3, column 6", "a.jsonl"]),
            ("a.jsonl", b"{\"p\": \"1\"}\n[1]\n", ["line 2: not an object", "a.jsonl"]),
            (
                "a.jsonl",
                b"{\"p\": 1, \"p\": 2}",
                ["line 1: the column \"p\" is there twice", "a.jsonl"],
            ),
            (
                "a.jsonl",
                b"{\"p\": {\"q\": 1, \"q\": 2}}",
                ["line 1: the column \"q\" is there twice", "a.jsonl"],
            ),
            ("a.json", b"[{\"p\": \"1\"},\n 3]", ["row 2: not an object", "a.json"]),
            ("a.json", b"[{\"p\": \"1\"},\n {]", ["line 2 column 3", "a.json"]),
            ("a.json", b"{\"rows\": []}", ["neither a list of objects", "a.json"]),
            (
                "a.json",
                b"{\"train\": [{}], \"test\": [{}]}",
                ["several data sets (train, test)", "a.json"],
            ),
            ("a.json", b"[]\n[]", ["trailing characters", "a.json"]),
            (
                "a.csv",
                b"p,q\n1,2\n3\n",
                ["line 3: not valid CSV: 1 fields where the first line has 2", "a.csv"],
            ),
            ("a.csv", b"p,q\n1,2\n3,\"4\n5,6\n", ["a quotation mark has no partner", "a.csv"]),
            (
                "a.csv",
                b"p,answer,answer\n1,2,3\n",
                ["the column \"answer\" is there twice", "a.csv"],
            ),
            ("a.csv", b"p\n\xe9\n", ["line 2 is not valid UTF-8", "a.csv"]),
            ("a.parquet", b"PAR1 no", ["not a Parquet file", "a.parquet"]),
            ("a.txt", b"", [".jsonl", "a.txt"]),
            ("a.jsonl", &packed(b"{}"), ["by its content it is packed by gzip", "ends in .gz"]),
            ("a.csv", b"PAR1\xff", ["by its content it is a Parquet file", "ends in .parquet"]),
            ("a.parquet.gz", b"", [".parquet", "a.parquet.gz"]),
            ("a.jsonl", POINTER, ["git lfs pull", "a.jsonl"]),
            ("a.csv.gz", POINTER, ["git lfs pull", "a.csv.gz"]),
            ("a.parquet", POINTER, ["git lfs pull", "a.parquet"]),
            ("a.jsonl.gz", b"{}", ["cannot be unpacked", "a.jsonl.gz"]),
            ("a.jsonl.gz", &bomb, ["unpacks to more than", "a.jsonl.gz"]),
        ] {
            let error = rows(name, content).err().unwrap();
            assert_eq!(error.exit_status(), 2);
            let error = error.to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
        for name in ["no.json", "no.csv", "no.parquet"] {
            let error = read_rows(Path::new(name)).err().unwrap().to_string();
            assert!(error.contains("cannot be read") && error.contains(name), "{error}");
        }
    }
}
