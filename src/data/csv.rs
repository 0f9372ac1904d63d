//! Rows of CSV files and of those with tabs.

use super::row::Row;
use serde_json::Value;

pub(super) fn commas(text: &str) -> Result<Vec<Row>, String> {
    read(text, b',')
}

pub(super) fn tabs(text: &str) -> Result<Vec<Row>, String> {
    read(text, b'\t')
}

fn read(text: &str, delimiter: u8) -> Result<Vec<Row>, String> {
    // Quotes come in pairs, within a field too. An open one would swallow the rows after it.
    if text.bytes().fold(false, |is_open, byte| is_open ^ (byte == b'"')) {
        return Err(
            "not valid CSV: a quotation mark has no partner (within a quoted field it is written \
             twice)"
                .to_string(),
        );
    }
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let names = reader.headers().map_err(|e| format!("line 1: not valid CSV: {e}"))?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| match e.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.as_ref().map_or(0, csv::Position::line);
                format!(
                    "line {line}: not valid CSV: {len} fields where the first line has \
                     {expected_len}"
                )
            }
            _ => format!("not valid CSV: {e}"),
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        // A table's index often has no name; such columns mean nothing here.
        let named = names.iter().zip(&record).filter(|(name, _)| !name.trim().is_empty());
        let columns = named.map(|(name, value)| (name.to_string(), Value::from(value)));
        rows.push(Row::new(format!("line {line}"), columns)?);
    }
    Ok(rows)
}
