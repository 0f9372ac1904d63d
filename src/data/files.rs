//! Rows of data files: JSON, JSON Lines, CSV and Parquet become JSON objects.

use crate::error::{Error, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Map, Value};
use std::fs::File;
use std::path::Path;

/// A row of a file.
pub(super) struct Row {
    /// Where it stands, such as `line 7`.
    pub(super) place: String,
    /// Its columns in the order of the file.
    pub(super) columns: Map<String, Value>,
}

/// The rows of a file, which its name's ending says how to read: `.json` (a list of objects, or `{"data": [...]}`), `.jsonl`
/// (an object a line), `.csv` (names of columns in the first line) or `.parquet`.
///
/// Fails where the file cannot be read or a row is not an object; the error names file and line.
pub(super) fn read_rows(path: &Path) -> Result<Vec<Row>> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let rows = match ending.as_str() {
        "json" => json(&text(path)?),
        "jsonl" => json_lines(&text(path)?),
        "csv" => csv(path),
        "parquet" => parquet(path),
        _ => Err("a data file ends in .json, .jsonl, .csv or .parquet, which says how it is read".to_string()),
    };
    rows.map_err(|problem| Error::input(format!("{problem} ({})", path.display())))
}

fn text(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::input(format!("the data file cannot be read: {e} ({})", path.display())))?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_string))
}

fn json(text: &str) -> Result<Vec<Row>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("not valid JSON: {e}"))?;
    let rows = match value {
        Value::Array(rows) => Some(rows),
        Value::Object(mut object) => match object.remove("data") {
            Some(Value::Array(rows)) => Some(rows),
            _ => None,
        },
        _ => None,
    };
    let rows = rows.ok_or("the file is neither a list of objects nor an object with such a list as `data`")?;
    rows.into_iter().enumerate().map(|(index, value)| row(format!("row {}", index + 1), value)).collect()
}

fn json_lines(text: &str) -> Result<Vec<Row>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let place = format!("line {}", index + 1);
            let value = serde_json::from_str(line).map_err(|e| {
                // The position within the line is a column; serde_json calls the line 1.
                let text = e.to_string();
                let text = text.split(" at line ").next().unwrap_or(&text).to_string();
                format!("{place}, column {}: not valid JSON: {text}", e.column())
            })?;
            row(place, value)
        })
        .collect()
}

fn row(place: String, value: Value) -> Result<Row, String> {
    match value {
        Value::Object(columns) => Ok(Row { place, columns }),
        _ => Err(format!("{place}: not an object such as {{\"problem\": \"...\", \"answer\": \"...\"}}")),
    }
}

fn csv(path: &Path) -> Result<Vec<Row>, String> {
    let content = std::fs::read(path).map_err(|e| format!("the data file cannot be read: {e}"))?;
    // Quotes come in pairs, within a field too. An open one would swallow the rows after it.
    if content.iter().fold(false, |is_open, byte| is_open ^ (*byte == b'"')) {
        return Err(
            "not valid CSV: a quotation mark has no partner (within a quoted field it is written twice)".to_string()
        );
    }
    let mut reader = csv::Reader::from_reader(content.as_slice());
    let names = reader.headers().map_err(|e| format!("line 1: not valid CSV: {e}"))?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| match e.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.as_ref().map_or(0, csv::Position::line);
                format!("line {line}: not valid CSV: {len} fields where the first line has {expected_len}")
            }
            _ => format!("not valid CSV: {e}"),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let columns = names.iter().zip(&record).map(|(name, value)| (name.to_string(), value.into())).collect();
        rows.push(Row { place: format!("line {line}"), columns });
    }
    Ok(rows)
}

fn parquet(path: &Path) -> Result<Vec<Row>, String> {
    let not_read = |e: parquet::errors::ParquetError| format!("not a Parquet file that can be read: {e}");
    let file = File::open(path).map_err(|e| format!("the data file cannot be read: {e}"))?;
    let reader = SerializedFileReader::new(file).map_err(not_read)?;
    let rows = reader.get_row_iter(None).map_err(not_read)?;
    rows.enumerate()
        .map(|(index, columns)| row(format!("row {}", index + 1), columns.map_err(not_read)?.to_json_value()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, content: &str) -> Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_rows(&path)
    }

    fn column(rows: &[Row], name: &str) -> Vec<String> {
        rows.iter().map(|row| row.columns[name].as_str().unwrap().to_string()).collect()
    }

    #[test]
    fn every_format_gives_the_same_rows() {
        for (name, content) in [
            ("a.json", r#"[{"p": "x, \"y\"", "q": "1"}, {"p": "two\nlines", "q": "ü"}]"#),
            ("a.json", r#"{"version": 1, "data": [{"p": "x, \"y\"", "q": "1"}, {"p": "two\nlines", "q": "ü"}]}"#),
            (
                "a.jsonl",
                "\u{feff}{\"p\": \"x, \\\"y\\\"\", \"q\": \"1\"}\r\n\n{\"p\": \"two\\nlines\", \"q\": \"ü\"}\n",
            ),
            ("a.CSV", "\u{feff}p,q\n\"x, \"\"y\"\"\",1\n\"two\nlines\",ü\n"),
        ] {
            let rows = read(name, content).unwrap();
            assert_eq!(column(&rows, "p"), ["x, \"y\"", "two\nlines"], "{name}");
            assert_eq!(column(&rows, "q"), ["1", "ü"], "{name}");
        }
    }

    #[test]
    fn faults_name_the_file_and_the_line() {
        for (name, content, words) in [
            ("a.jsonl", "{\"p\": \"1\"}\n\n{\"p\": ", ["line 3, column 6", "a.jsonl"]),
            ("a.jsonl", "{\"p\": \"1\"}\n[1]\n", ["line 2: not an object", "a.jsonl"]),
            ("a.json", "[{\"p\": \"1\"},\n 3]", ["row 2: not an object", "a.json"]),
            ("a.json", "[{\"p\": \"1\"},\n {]", ["line 2 column 3", "a.json"]),
            ("a.json", "{\"rows\": []}", ["neither a list of objects", "a.json"]),
            ("a.csv", "p,q\n1,2\n3\n", ["line 3: not valid CSV: 1 fields where the first line has 2", "a.csv"]),
            ("a.csv", "p,q\n1,2\n3,\"4\n5,6\n", ["a quotation mark has no partner", "a.csv"]),
            ("a.parquet", "PAR1 no", ["not a Parquet file", "a.parquet"]),
            ("a.txt", "", [".jsonl", "a.txt"]),
        ] {
            let error = read(name, content).err().unwrap();
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
