//! A row of a data file.

use crate::escape::{MOST_SHOWN, cut};
use serde_json::{Map, Value};

/// A row of a file.
pub(super) struct Row {
    /// Where it stands, such as `line 7`.
    pub(super) place: String,
    /// Its columns in the order of the file.
    pub(super) columns: Map<String, Value>,
}

impl Row {
    /// A row of these columns. Fails where one is there twice: which of them is meant nobody can
    /// say.
    pub(super) fn new(
        place: String,
        columns: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<Self, String> {
        let mut row = Self { place, columns: Map::new() };
        for (name, value) in columns {
            if row.columns.contains_key(&name) {
                let name = cut(&name, MOST_SHOWN);
                return Err(format!(
                    "{}: the column {name:?} is there twice; rename one of them",
                    row.place
                ));
            }
            row.columns.insert(name, value);
        }
        Ok(row)
    }
}
