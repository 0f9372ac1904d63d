//! Rows of Parquet files.

use super::json;
use super::packed::{most_unpacked, too_large};
use super::row::Row;
use crate::files::{beginning, not_fetched, open_regular};
use crate::guard::caught;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};
use std::path::Path;

/// Reads a file. What panics on a damaged one is the reader, so panics are faults of the file.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, String> {
    let found = caught(|| rows(path));
    found.unwrap_or_else(|panic| {
        Err(format!("not a Parquet file that can be read, because it is damaged: {panic}"))
    })
}

fn rows(path: &Path) -> Result<Vec<Row>, String> {
    let unreadable = |e: std::io::Error| format!("the data file cannot be read: {e}");
    let file = open_regular(path).map_err(unreadable)?;
    if let Some(why) = not_fetched(&beginning(&file).map_err(unreadable)?) {
        return Err(format!("the data file cannot be read: {why}"));
    }
    let packed = file.metadata().map_err(unreadable)?.len();
    let most = most_unpacked(packed);
    let reader = SerializedFileReader::new(file).map_err(fault)?;
    let groups = reader.metadata().row_groups();
    let columns = groups.iter().flat_map(RowGroupMetaData::columns);
    let declared = columns.map(|column| column.uncompressed_size().max(0) as u64);
    if declared.fold(0, u64::saturating_add) > most {
        return Err(too_large(packed));
    }
    let mut room = most;
    let mut rows = Vec::new();
    for (index, columns) in reader.get_row_iter(None).map_err(fault)?.enumerate() {
        let mut values = Vec::new();
        for (name, field) in columns.map_err(fault)?.into_columns() {
            let value = value(&field, &mut room).ok_or_else(|| too_large(packed))?;
            values.push((name, value));
        }
        rows.push(Row::new(format!("row {}", index + 1), values)?);
    }
    Ok(rows)
}

fn fault(error: ParquetError) -> String {
    let text = error.to_string();
    let codec = ["brotli", "lz4", "lzo"]
        .into_iter()
        .find(|codec| text.contains("Disabled feature") && text.contains(codec));
    match codec {
        Some(codec) => format!(
            "the Parquet file is packed with {codec}, which is not read here; write it with zstd, \
             snappy or gzip"
        ),
        None => format!("not a Parquet file that can be read: {text}"),
    }
}

/// The key under which bytes that are not text say how many they are.
pub(super) const BYTES: &str = "\0bytes";

/// A field as JSON; `None` where the file holds more than there is `room` for. Numbers with
/// decimals keep their digits, as those of JSON files do.
fn value(field: &Field, room: &mut u64) -> Option<Value> {
    *room = room.checked_sub(8)?;
    let mut text = |text: &str| {
        *room = room.checked_sub(text.len() as u64)?;
        Some(Value::from(text))
    };
    match field {
        Field::Null => Some(Value::Null),
        Field::Bool(value) => Some((*value).into()),
        Field::Byte(number) => Some((*number).into()),
        Field::Short(number) => Some((*number).into()),
        Field::Int(number) | Field::Date(number) | Field::TimeMillis(number) => {
            Some((*number).into())
        }
        Field::Long(number)
        | Field::TimeMicros(number)
        | Field::TimestampMillis(number)
        | Field::TimestampMicros(number) => Some((*number).into()),
        Field::UByte(number) => Some((*number).into()),
        Field::UShort(number) => Some((*number).into()),
        Field::UInt(number) => Some((*number).into()),
        Field::ULong(number) => Some(json::number(&number.to_string())),
        Field::Float16(number) => Some(json::number(&number.to_string())),
        Field::Float(number) => Some(json::number(&number.to_string())),
        Field::Double(number) => Some(json::number(&number.to_string())),
        Field::Decimal(_) => Some(json::number(&field.to_string())),
        Field::Str(value) => text(value),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(value) => text(value),
            Err(_) => Some(serde_json::json!({ BYTES: bytes.len() })),
        },
        Field::Group(row) => {
            let mut map = Map::new();
            for (name, field) in row.get_column_iter() {
                map.insert(name.clone(), value(field, room)?);
            }
            Some(Value::Object(map))
        }
        Field::ListInternal(list) => {
            list.elements().iter().map(|item| value(item, room)).collect::<Option<_>>()
        }
        Field::MapInternal(entries) => {
            let mut map = Map::new();
            for (key, field) in entries.entries() {
                let key = match key {
                    Field::Str(key) => key.clone(),
                    other => other.to_string(),
                };
                map.insert(key, value(field, room)?);
            }
            Some(Value::Object(map))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    /// A file of two columns: bytes that nothing says of that they are text, and numbers.
    fn written(problems: &[&[u8]], answers: &[f64]) -> Vec<u8> {
        let schema = "message m { required binary problem; required double answer; }";
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut bytes = Vec::new();
        let mut writer =
            SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let texts: Vec<ByteArray> =
            problems.iter().map(|text| ByteArray::from(text.to_vec())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(answers, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        bytes
    }

    fn read_bytes(bytes: &[u8]) -> Result<Vec<Row>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn bytes_that_are_text_are_the_text_and_others_say_so() {
        let rows = read_bytes(&written(&["grüße".as_bytes(), b"\xff\xfe"], &[2.5, 3.0])).unwrap();
        assert_eq!(rows[0].columns["problem"], "grüße");
        assert_eq!(rows[0].columns["answer"], json::number("2.5"));
        assert_eq!(rows[1].columns["problem"], serde_json::json!({ BYTES: 2 }));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, written(&[b"p", b"\xff\xfe"], &[2.5, 3.0])).unwrap();
        let error = crate::data::read_records(&[path]).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let words = [
            "row 2: the problem is neither a text nor a number: the column `problem` holds bytes \
             that are not UTF-8",
            "a.parquet",
        ];
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
    }

    #[test]
    fn a_file_that_unpacks_to_far_more_than_it_has_is_refused() {
        let text = vec![b'a'; 1 << 20];
        let problems: Vec<&[u8]> = vec![&text; 400];
        let bytes = written(&problems, &[1.0; 400]);
        assert!(bytes.len() < 1 << 20);
        let fault = read_bytes(&bytes).err().unwrap();
        assert!(fault.contains("unpacks to more than"), "{fault}");
    }

    #[test]
    fn a_damaged_file_is_a_fault_and_never_a_panic() {
        let whole = include_bytes!("../../tests/fixtures/math_tiny.parquet");
        let mut panicked = 0;
        for round in 0..4000 {
            let mut bytes = whole.to_vec();
            let mut stream = rng::stream(7, rng::Domain::Tests, [0, round, 0]);
            for _ in 0..=rng::below(&mut stream, 4) {
                // Half of the damage is done to the footer, which says where everything is.
                let room = if rng::below(&mut stream, 2) == 0 { bytes.len() } else { 1200 };
                let place = bytes.len() - 1 - rng::below(&mut stream, room as u32) as usize;
                bytes[place] = rng::below(&mut stream, 256) as u8;
            }
            panicked += u32::from(
                read_bytes(&bytes).is_err_and(|fault| fault.contains("because it is damaged")),
            );
        }
        assert!(panicked > 0, "no damage made the reader panic, so nothing was tested");
    }
}
