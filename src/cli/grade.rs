//! `orthant grade`: verdicts on any completions, whoever generated them.

use super::terminal::{is_read, note, say};
use crate::data::Label;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::files;
use crate::files::lines::{bounded, misspelt, passed_over};
use crate::verify::{AnswerFormat, Verdict, Verification, is_choice, verify};
use clap::Args;
use rayon::prelude::*;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::io::BufReader;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(after_help = "Each input line: {\"id\": 1, \"gold\": \"1/2\", \"completion\": \"... \
                  \\\\boxed{0.5}\"}, and optionally \"format\": \"math\" (the last box counts, \
                  nothing else) or \"choice\" (a letter from A to J). Out comes, in the same \
                  order, {\"id\": 1, \"verdict\": \"correct\", \"extracted\": \"0.5\"}; verdicts \
                  are correct, incorrect, no_answer and timed_out.\n\nExample: orthant grade \
                  completions.jsonl > verdicts.jsonl")]
pub(super) struct GradeArguments {
    /// The completions, one JSON object a line.
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    /// Prints a machine-readable line last: how many lines got which verdict.
    #[arg(long)]
    json: bool,
}

/// A line as it is written; fields that are not named here are ignored, with a warning where one is
/// nearly `format`.
#[derive(Deserialize)]
struct Line {
    id: Box<RawValue>,
    gold: Label,
    completion: String,
    #[serde(default, deserialize_with = "line_format")]
    format: AnswerFormat,
}

/// The format of a line: `math` or `choice`.
fn line_format<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<AnswerFormat, D::Error> {
    const NAMES: &[&str] = &["math", "choice"];
    let name = String::deserialize(deserializer)?;
    let format = AnswerFormat::named(&name).filter(|_| NAMES.contains(&name.as_str()));
    format.ok_or_else(|| D::Error::unknown_variant(&name, NAMES))
}

/// A line of the output.
#[derive(Serialize)]
struct Graded {
    id: Box<RawValue>,
    #[serde(flatten)]
    verification: Verification,
}

/// How many lines got which verdict.
#[derive(Default, Serialize)]
struct Counts {
    lines: u64,
    correct: u64,
    incorrect: u64,
    no_answer: u64,
    timed_out: u64,
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        self.lines += 1;
        match verdict {
            Verdict::Correct => self.correct += 1,
            Verdict::Incorrect => self.incorrect += 1,
            Verdict::NoAnswer => self.no_answer += 1,
            Verdict::TimedOut => self.timed_out += 1,
        }
    }
}

/// Lines that are worked on at a time, and bytes after which fewer will do.
const CHUNK_LINES: usize = 4096;
const CHUNK_BYTES: usize = 16 << 20;

/// Reads the file twice: all lines are checked before the first verdict is given. Memory is that of
/// one chunk of lines.
pub(super) fn run(arguments: &GradeArguments) -> Result<u8> {
    let mut lines = 0;
    let mut slip = None;
    let path = &arguments.file;
    for_chunks(path, |chunk| {
        lines += chunk.len();
        chunk.par_iter().try_for_each(|(number, text)| parse(text, *number, path).map(drop))?;
        let slip_of = |(number, text): &(usize, Vec<u8>)| {
            let (key, near) = misspelt(text, &["id", "gold", "completion", "format"], &["format"])?;
            Some(passed_over(*number, &key, near))
        };
        slip = slip.take().or_else(|| chunk.par_iter().find_map_first(slip_of));
        Ok(true)
    })?;
    if lines == 0 {
        let remedy = "give one JSON object a line, with `id`, `gold` and `completion`";
        return Err(Error::input(format!(
            "there is nothing to grade; {remedy} ({})",
            path.display()
        )));
    }
    if let Some(slip) = slip {
        note!("warning: {slip} ({})", path.display());
    }
    let mut counts = Counts::default();
    for_chunks(path, |chunk| {
        let graded: Vec<(Verdict, String)> = chunk
            .par_iter()
            .map(|(number, text)| grade(parse(text, *number, path)?))
            .collect::<Result<_>>()?;
        for (verdict, _) in &graded {
            counts.add(*verdict);
        }
        let lines: Vec<&str> = graded.iter().map(|(_, line)| line.as_str()).collect();
        say!("{}", lines.join("\n"))?;
        Ok(is_read())
    })?;
    if arguments.json {
        say!("{}", serde_json::json!(counts))?;
    }
    if !is_read() {
        return Ok(0);
    }
    note!(
        "{} lines: {} correct, {} incorrect, {} without an answer, {} timed out",
        counts.lines,
        counts.correct,
        counts.incorrect,
        counts.no_answer,
        counts.timed_out
    );
    Ok(0)
}

fn grade(line: Line) -> Result<(Verdict, String)> {
    let verification = verify(line.gold.text(), &line.completion, line.format);
    let verdict = verification.verdict;
    let text = serde_json::to_string(&Graded { id: line.id, verification })
        .map_err(|error| Error::failed(format!("a verdict cannot be written as JSON: {error}")))?;
    Ok((verdict, text))
}

/// Calls `work` with the lines of a file, each with its number from 1, some thousands at a time, as
/// long as it wants more. Empty lines are skipped.
fn for_chunks(
    path: &Path,
    mut work: impl FnMut(&[(usize, Vec<u8>)]) -> Result<bool>,
) -> Result<()> {
    let unreadable = |error| {
        Error::input(format!("the completions cannot be read: {error} ({})", path.display()))
    };
    // A pipe cannot be read twice.
    let file = files::open_regular(path).map_err(unreadable)?;
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for (index, line) in bounded(BufReader::new(file)).enumerate() {
        let line = line.map_err(|error| {
            Error::input(format!("line {} cannot be read: {error} ({})", index + 1, path.display()))
        })?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        bytes += line.len();
        chunk.push((index + 1, line));
        if chunk.len() == CHUNK_LINES || bytes >= CHUNK_BYTES {
            if !work(&chunk)? {
                return Ok(());
            }
            chunk.clear();
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        work(&chunk)?;
    }
    Ok(())
}

fn parse(line: &[u8], number: usize, path: &Path) -> Result<Line> {
    let line: Line = read(line, number, path)?;
    if line.format == AnswerFormat::Choice && !is_choice(line.gold.text()) {
        return Err(Error::input(format!(
            "line {number}: the field `gold` is {:?}; with the format `choice` it must be a letter \
             from A to J ({})",
            cut(line.gold.text(), MOST_SHOWN),
            path.display()
        )));
    }
    Ok(line)
}

fn read(line: &[u8], number: usize, path: &Path) -> Result<Line> {
    serde_json::from_slice(line).map_err(|error| {
        // The position within the line is a column; serde_json calls the line 1.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or(&text);
        Error::input(format!(
            "line {number}, column {}: {text}; a line is a JSON object such as {} ({})",
            error.column(),
            r#"{"id": 1, "gold": "1/2", "completion": "\\boxed{0.5}"}"#,
            path.display()
        ))
    })
}
