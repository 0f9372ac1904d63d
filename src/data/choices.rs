//! The choices of problems that list some.

use super::columns::{ANSWER, column, columns, kind, not_text, plain_text};
use super::row::Row;
use crate::escape::shown;
use crate::rng::{self, Domain};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Letters of choices.
pub(super) const LETTERS: &str = "ABCDEFGHIJ";

/// Decides the order of shuffled choices: one for all runs, so that a data set's right letters are
/// always the same.
const CHOICE_SEED: u64 = 0;

pub(super) const CHOICES: &[&str] = &["options", "choices"];
pub(super) const CORRECT: &[&str] = &["correct answer"];
pub(super) const INCORRECT: [&str; 9] = [
    "incorrect answer 1",
    "incorrect answer 2",
    "incorrect answer 3",
    "incorrect answer 4",
    "incorrect answer 5",
    "incorrect answer 6",
    "incorrect answer 7",
    "incorrect answer 8",
    "incorrect answer 9",
];

/// The choices in the order in which they are shown, and the place of the right one, where the file
/// says it.
pub(super) type Choices = (Vec<String>, Option<usize>);

/// The choices of a problem that has some.
pub(super) fn choices(row: &Row, problem: &str) -> Result<Option<Choices>, String> {
    if let Some((name, correct)) = column(row, CORRECT) {
        let text = |(name, value)| plain_text(value).ok_or_else(|| not_text("choice", name, value));
        let mut choices = vec![text((name, correct))?];
        for choice in columns(row, &INCORRECT) {
            choices.push(text(choice)?);
        }
        // The file's order would tell which one is right. The order belongs to the question,
        // wherever it stands in the file.
        let digest = Sha256::digest(problem.trim().as_bytes());
        let word = digest.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let mut order: Vec<usize> = (0..choices.len()).collect();
        rng::shuffle(&mut rng::stream(CHOICE_SEED, Domain::Choices, [0, word, 0]), &mut order);
        let right = order.iter().position(|&place| place == 0);
        return Ok(Some((order.into_iter().map(|place| choices[place].clone()).collect(), right)));
    }
    let Some((name, value)) = column(row, CHOICES) else { return Ok(None) };
    let values = listed_choices(name, value)?;
    if values.is_empty() {
        return Ok(None);
    }
    let text = |value| plain_text(value).ok_or_else(|| not_text("choice", name, value));
    let choices = values.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let count = choices.len();
    let Some((column, answer)) = column(row, ANSWER) else { return Ok(Some((choices, None))) };
    let right = right(&choices, answer).filter(|&right| right < count && count <= LETTERS.len()).ok_or_else(|| {
        let found = plain_text(answer).map_or_else(|| kind(answer).to_string(), |text| format!("{:?}", shown(&text, 60)));
        format!(
            "the answer is not the letter or the place (from 0) of one of the {count} choices, of \
             which there may be ten: the column `{column}` holds {found}"
        )
    })?;
    Ok(Some((choices, Some(right))))
}

/// The place of the right choice by its letter or its place, which tables have as a text. A text
/// that is also another choice could mean either.
fn right(choices: &[String], answer: &Value) -> Option<usize> {
    let text = plain_text(answer)?;
    if text.len() == 1
        && let Some(place) = LETTERS.find(&text)
    {
        return Some(place);
    }
    let place = text.parse().ok()?;
    let is_another = |(other, choice): (usize, &String)| other != place && *choice == text;
    (!answer.is_string() || !choices.iter().enumerate().any(is_another)).then_some(place)
}

/// The choices of a column: a list, an object whose keys are the letters, or the JSON text of
/// either, which tables have.
fn listed_choices(name: &str, value: &Value) -> Result<Vec<Value>, String> {
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    match parsed.as_ref().unwrap_or(value) {
        Value::Array(values) => Ok(values.clone()),
        Value::Object(choices)
            if LETTERS
                .chars()
                .map(String::from)
                .zip(choices.keys())
                .all(|(letter, key)| letter == *key) =>
        {
            // Parquet has the keys of all rows in each; those that a row does not have are null.
            let count =
                choices.values().rposition(|choice| !choice.is_null()).map_or(0, |last| last + 1);
            Ok(choices.values().take(count).cloned().collect())
        }
        other => {
            let found = if other.is_string() { "another text" } else { kind(other) };
            Err(format!(
                "the choices are neither a list nor an object with the keys A, B, and so on: the \
                 column `{name}` holds {found}"
            ))
        }
    }
}
