//! Records of data sets: what the columns of a row mean.
//!
//! | Meaning | Columns, the first that is there; upper and lower case are the same |
//! |---|---|
//! | problem | `problem`, `question`, `prompt`: a text, or a conversation `[{role, content}]` of at most a system message and one user message, as a list or as its JSON text; the content is a text or a list of parts that are texts |
//! | answer | `answer` (a text after `#### ` where it holds one), `ground_truth`, `reward_model.ground_truth`, or the last box of `solution`; also where the answer is empty or was cut off. A solution that ends within a box was cut off too |
//! | choices | `options` or `choices`, a list or an object with the keys A, B, ..., with the letter or the place (from 0) of the right one in a column of answers; or `Correct Answer` and `Incorrect Answer 1`, ..., which are shuffled |
//! | id | `id`, `unique_id`, `question_id`, `Record ID`, `extra_info.index`; else the number of the row |
//! | subject | `subject`, `type`, `category`, `Subdomain` |
//! | level | `level`, `difficulty` |

use super::choices::{CHOICES, CORRECT, INCORRECT, LETTERS, choices};
use super::columns::{ANSWER, column, kind, not_text, plain_text};
use super::files::read_rows;
use super::row::Row;
use crate::error::{Error, Result};
use crate::escape::{MOST_LISTED, listed, shown};
use crate::verify::boxed::{last_boxed, open_box};
use crate::verify::{AnswerFormat, is_choice, stands_for_none};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One problem of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// A name that no other record of the data set has.
    pub id: String,
    /// The problem as the file has it, white space included; with its choices where it has some.
    /// Empty where the file has none.
    pub problem: String,
    /// The system message that the data set gives with the problem.
    pub system: Option<String>,
    /// The right answer; the letter of the right choice where there are choices. Empty where the
    /// file has none.
    pub answer: String,
    /// Whether the answer is one of the choices that the problem lists.
    pub has_choices: bool,
    /// Subject, such as `algebra`.
    pub subject: Option<String>,
    /// Difficulty, such as `5`.
    pub level: Option<String>,
}

impl Record {
    /// All that prompts and verdicts are made of.
    pub(crate) fn texts(&self) -> [&str; 4] {
        [&self.id, &self.problem, self.system.as_deref().unwrap_or_default(), &self.answer]
    }
}

/// Why nobody could be right about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unusable {
    /// There is no problem.
    Empty,
    /// There is no answer.
    Unanswered,
    /// The answer is a word such as `proof`, which stands for no answer.
    Word,
    /// The answer's braces are not closed. Copies of MATH are in circulation whose answers were cut
    /// off at the first closing brace of `\\frac{\\sqrt{3}}{2}`.
    CutOff,
    /// The answer is not a letter of a choice, which the verifier looks for.
    NotALetter,
}

impl Record {
    /// Why the problem is of no use, if it is not.
    pub fn unusable(&self) -> Option<Unusable> {
        if self.problem.trim().is_empty() {
            Some(Unusable::Empty)
        } else if self.answer.trim().is_empty() {
            Some(Unusable::Unanswered)
        } else if stands_for_none(&self.answer) {
            Some(Unusable::Word)
        } else {
            (!is_whole(&self.answer)).then_some(Unusable::CutOff)
        }
    }

    /// Why the problem is of no use to a verifier that looks for answers of `format`, if it is not.
    pub fn unusable_for(&self, format: AnswerFormat) -> Option<Unusable> {
        let is_letter = format != AnswerFormat::Choice || is_choice(&self.answer);
        self.unusable().or((!is_letter).then_some(Unusable::NotALetter))
    }
}

/// Whether all groups and boxes are closed. `\{` and `\}` are characters, and need no other half:
/// `\left\{ x = 1, y = 2 \right.`
fn is_whole(answer: &str) -> bool {
    let (mut open, mut closed, mut escaped) = (0, 0, false);
    for byte in answer.bytes() {
        match byte {
            b'{' if !escaped => open += 1,
            b'}' if !escaped => closed += 1,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    open == closed && open_box(answer).is_none()
}

/// Reads the files of one data set in order, each by the ending of its name; a folder stands for
/// the shards in it. Records without problem or answer are among them: see [`Record::unusable`].
///
/// Fails, naming file and line or the columns that were found, where a file cannot be read, its
/// layout is unknown, a column holds what it cannot mean, or there is no row.
pub fn read_records(files: &[PathBuf]) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for path in files {
        let rows = read_rows(path)?;
        if let Some((file, _)) = rows.first() {
            check_layout(&rows)
                .map_err(|problem| Error::input(format!("{problem} ({})", file.display())))?;
        }
        for (file, row) in rows {
            let number = records.len();
            let mut record = record(&row, number).map_err(|problem| {
                Error::input(format!("{}: {problem} ({})", row.place, file.display()))
            })?;
            let earlier = uses.entry(record.id.clone()).or_insert(0);
            *earlier += 1;
            if *earlier > 1 {
                record.id = format!("{}#{earlier}", record.id);
            }
            records.push(record);
        }
    }
    if records.is_empty() {
        let names: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::input(format!("the data set has no row ({})", names.join(", "))));
    }
    Ok(records)
}

const PROBLEM: &[&str] = &["problem", "question", "prompt"];
const SOLUTION: &[&str] = &["solution"];
const ID: &[&str] = &["id", "unique_id", "question_id", "record id", "extra_info.index"];
const SUBJECT: &[&str] = &["subject", "type", "category", "subdomain"];
const LEVEL: &[&str] = &["level", "difficulty"];

/// Refuses a file in which no row has a column for the problem or the answer, be it null, or with
/// two that mean the same.
fn check_layout(rows: &[(PathBuf, Row)]) -> Result<(), String> {
    // In the order of the file; of rows that lack a column, a later one may have it.
    let mut columns: Vec<&String> = Vec::new();
    let mut seen = BTreeSet::new();
    columns.extend(
        rows.iter().flat_map(|(_, row)| row.columns.keys()).filter(|name| seen.insert(*name)),
    );
    let is = |known: &str, alias: &str| known.trim().eq_ignore_ascii_case(alias);
    let holds = |name: &str, inner: &str| {
        let mut values =
            rows.iter().flat_map(|(_, row)| &row.columns).filter(|(known, _)| is(known, name));
        values.any(|(_, value)| value.get(inner).is_some())
    };
    let has = |alias: &&str| match alias.split_once('.') {
        None => columns.iter().any(|known| is(known, alias)),
        Some((name, inner)) => holds(name, inner),
    };
    for alias in
        [PROBLEM, ANSWER, SOLUTION, CHOICES, CORRECT, &INCORRECT[..], ID, SUBJECT, LEVEL].concat()
    {
        let mut same = columns.iter().filter(|known| is(known, alias));
        if let (Some(one), Some(other)) = (same.next(), same.next()) {
            return Err(format!(
                "the columns `{}` and `{}` mean the same; rename one of them",
                shown(one, 60),
                shown(other, 60)
            ));
        }
    }
    let lacks = |aliases: &[&[&str]]| !aliases.iter().any(|aliases| aliases.iter().any(has));
    let (what, aliases) = if lacks(&[PROBLEM]) {
        ("a problem", PROBLEM.join(", "))
    } else if lacks(&[ANSWER, SOLUTION, CORRECT]) {
        ("an answer", [ANSWER, SOLUTION, CORRECT].concat().join(", "))
    } else {
        return Ok(());
    };
    Err(format!(
        "the layout of the data is not known: no column for {what} ({aliases}) among {}; rename a \
         column",
        listed(columns, 40)
    ))
}

fn record(row: &Row, number: usize) -> Result<Record, String> {
    let (system, mut problem) = match column(row, PROBLEM) {
        None => (None, String::new()),
        Some((_, Value::Array(messages))) => conversation(messages)?,
        Some((_, Value::String(text))) => match messages(text)? {
            Some(messages) => conversation(&messages)?,
            None => (None, text.clone()),
        },
        Some((name, value)) => {
            (None, plain_text(value).ok_or_else(|| not_text("problem", name, value))?)
        }
    };
    let choices = choices(row, &problem)?;
    let answer = match &choices {
        Some((choices, right)) => {
            let listed = choices
                .iter()
                .zip(LETTERS.chars())
                .map(|(choice, letter)| format!("\n{letter}. {choice}"));
            if !problem.trim().is_empty() {
                problem = format!("{}\n{}", problem.trim_end(), listed.collect::<String>());
            }
            right.and_then(|right| LETTERS.chars().nth(right)).map(String::from)
        }
        None => answer(row)?,
    };
    // What only describes a problem may be anything; where it is not text, it is left out.
    let text = |aliases| {
        column(row, aliases)
            .and_then(|(_, value)| plain_text(value))
            .filter(|text| !text.is_empty())
    };
    Ok(Record {
        id: text(ID).unwrap_or_else(|| number.to_string()),
        problem,
        system,
        answer: answer.unwrap_or_default(),
        has_choices: choices.is_some(),
        subject: text(SUBJECT),
        level: text(LEVEL).map(|level| {
            level.strip_prefix("Level ").map_or_else(|| level.clone(), str::to_string)
        }),
    })
}

/// The list in a text that is a conversation written as JSON, be it a good one; `None` where the
/// text is something else.
fn messages(text: &str) -> Result<Option<Vec<Value>>, String> {
    let text = text.trim();
    if !text.starts_with('[') || !text.contains("role") {
        return Ok(None);
    }
    match serde_json::from_str(text) {
        Ok(Value::Array(messages))
            if messages.iter().all(Value::is_object)
                && messages.iter().any(|message| message.get("role").is_some()) =>
        {
            Ok(Some(messages))
        }
        Err(_)
            if ["[{'role'", "[{'content'"]
                .iter()
                .any(|start| text.replace(char::is_whitespace, "").starts_with(start)) =>
        {
            Err("the problem is a conversation in Python's notation; write it as JSON, with double \
                 quotation marks"
                .to_string())
        }
        _ => Ok(None),
    }
}

/// The system message, if any, and the user's message.
fn conversation(messages: &[Value]) -> Result<(Option<String>, String), String> {
    let (mut system, mut user) = (None, None);
    for message in messages {
        let slot = match message.get("role").and_then(Value::as_str) {
            Some("system") => &mut system,
            Some("user") => &mut user,
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                return Err(format!(
                    "a prompt with the role {other:?}; prompts hold `system` and `user` only"
                ));
            }
            None => return Err("a prompt with a message that has no role".to_string()),
        };
        if message.get("content").is_none() {
            let keys = message
                .as_object()
                .map(|message| listed(message.keys().map(|key| shown(key, 40)), MOST_LISTED));
            return Err(format!(
                "a prompt with a message that has no content, only {}",
                keys.unwrap_or_default()
            ));
        }
        if slot.replace(content(message.get("content"))?).is_some() {
            return Err("a prompt with two messages of one role; prompts hold one of each at most"
                .to_string());
        }
    }
    Ok((
        system.filter(|text| !text.is_empty()),
        user.ok_or("the prompt has no message of the role `user`")?,
    ))
}

/// The text of a message: a text, or parts that are texts.
fn content(content: Option<&Value>) -> Result<String, String> {
    match content {
        Some(Value::String(text)) => Ok(text.trim().to_string()),
        Some(Value::Array(parts)) => {
            let text =
                |part: &Value| match (part.get("type").and_then(Value::as_str), part.get("text")) {
                    (None | Some("text"), Some(Value::String(text))) => Ok(text.clone()),
                    (Some(kind), _) if kind != "text" => {
                        let kind: String = kind.chars().take(40).collect();
                        Err(format!(
                            "a message with a part of the type {kind:?}; prompts are texts"
                        ))
                    }
                    _ => Err("a message with a part that has no text".to_string()),
                };
            let texts = parts.iter().map(text).collect::<Result<Vec<_>, String>>()?;
            Ok(texts.concat().trim().to_string())
        }
        None | Some(Value::Null) => Ok(String::new()),
        Some(other) => Err(format!(
            "the content of a message is {}; it must be a text, or a list of parts",
            kind(other)
        )),
    }
}

/// The last box of the solution; the whole end of the solution where it was cut off within a box,
/// because an earlier box may hold something else.
fn boxed(row: &Row) -> Option<&str> {
    let solution = column(row, SOLUTION)?.1.as_str()?;
    open_box(solution).or_else(|| last_boxed(solution))
}

fn answer(row: &Row) -> Result<Option<String>, String> {
    let Some((name, value)) = column(row, ANSWER) else {
        return Ok(boxed(row).map(str::to_string));
    };
    let text = plain_text(value).ok_or_else(|| not_text("answer", name, value))?;
    // GSM8K writes the solution out and the answer after it.
    let last = text.rsplit_once("####").map_or(text.as_str(), |(_, last)| last.trim());
    // The solution still has what was cut off.
    let solved = || boxed(row).filter(|answer| is_whole(answer));
    let last = if is_whole(last) { last } else { solved().unwrap_or(last) };
    Ok(Some(whole_number(last).unwrap_or_else(|| last.to_string())))
}

/// `025` and `25.0` as `25`; `None` where the text is not a whole number in digits.
fn whole_number(text: &str) -> Option<String> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |text: &str, is: fn(u8) -> bool| !text.is_empty() && text.bytes().all(is);
    if !all(whole, |byte| byte.is_ascii_digit()) || !all(decimals, |byte| byte == b'0') {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    Some(if whole.is_empty() { "0".to_string() } else { format!("{sign}{whole}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// The records of a file with this content.
    fn read(name: &str, content: &str) -> Result<Vec<Record>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read_records(&[path])
    }

    fn only(line: &serde_json::Value) -> Record {
        read("a.jsonl", &line.to_string()).unwrap().remove(0)
    }

    #[test]
    fn the_layouts_of_published_data_sets_are_understood() {
        let plain = |problem: &str, answer: &str, id: &str| Record {
            id: id.to_string(),
            problem: problem.to_string(),
            system: None,
            answer: answer.to_string(),
            has_choices: false,
            subject: None,
            level: None,
        };
        for (line, expected) in [
            // MATH-500
            (
                serde_json::json!({"problem": "p", "solution": "so \\boxed{7}", "answer": "\\frac{1}{2}", "subject": "Algebra", "level": 5, "unique_id": "test/1.json"}),
                Record {
                    subject: Some("Algebra".into()),
                    level: Some("5".into()),
                    ..plain("p", "\\frac{1}{2}", "test/1.json")
                },
            ),
            // MATH
            (
                serde_json::json!({"problem": "p", "level": "Level 3", "type": "Geometry", "solution": "first \\boxed{1}, then $\\boxed{2\\sqrt{3}}$."}),
                Record {
                    subject: Some("Geometry".into()),
                    level: Some("3".into()),
                    ..plain("p", "2\\sqrt{3}", "0")
                },
            ),
            // AMC, AIME
            (
                serde_json::json!({"id": 3, "question": "p", "answer": 27.0, "url": "u"}),
                plain("p", "27", "3"),
            ),
            (
                serde_json::json!({"ID": "2024-I-1", "Problem": "p", "Solution": "s", "Answer": 25}),
                plain("p", "25", "2024-I-1"),
            ),
            (serde_json::json!({"question": "p", "answer": "025"}), plain("p", "25", "0")),
            (
                serde_json::json!({"prompt": "p", "answer": "142.0", "source": "amc", "id": "0"}),
                plain("p", "142", "0"),
            ),
            // GSM8K
            (
                serde_json::json!({"question": "p", "answer": "2+2 = <<2+2=4>>4\n#### 1,004"}),
                plain("p", "1,004", "0"),
            ),
            // conversations
            (
                serde_json::json!({"prompt": [{"content": "Box it.", "role": "system"}, {"content": "p", "role": "user"}], "reward_model": {"ground_truth": "5"}, "extra_info": {"index": "x-1"}}),
                Record { system: Some("Box it.".into()), ..plain("p", "5", "x-1") },
            ),
            // letters as keys
            (
                serde_json::json!({"question": "q", "options": {"A": "one", "B": "two"}, "answer": "B"}),
                Record { has_choices: true, ..plain("q\n\nA. one\nB. two", "B", "0") },
            ),
            (
                serde_json::json!({"question": "q", "options": [], "answer": "7"}),
                plain("q", "7", "0"),
            ),
            // MMLU-Pro
            (
                serde_json::json!({"question_id": 70, "question": "q", "options": ["one", "two", "three"], "answer": "C", "answer_index": 2, "category": "law"}),
                Record {
                    has_choices: true,
                    subject: Some("law".into()),
                    ..plain("q\n\nA. one\nB. two\nC. three", "C", "70")
                },
            ),
            (
                serde_json::json!({"question": "q", "choices": ["one", "two"], "answer": 1}),
                Record { has_choices: true, ..plain("q\n\nA. one\nB. two", "B", "0") },
            ),
        ] {
            assert_eq!(only(&line), expected, "{line}");
        }
    }

    #[test]
    fn shuffled_choices_keep_their_order_wherever_the_question_stands_and_the_letter_names_the_right_one()
     {
        let question =
            |q: usize| format!("{q},question {q},right {q},wrong a,wrong b,wrong c,physics\n");
        let header = "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer \
                      2,Incorrect Answer 3,Subdomain\n";
        let all = |order: &[usize]| {
            let lines: String = order.iter().map(|&q| question(q)).collect();
            read("gpqa.csv", &format!("{header}{lines}")).unwrap()
        };
        let forwards = all(&(0..40).collect::<Vec<_>>());
        let mut backwards = all(&(0..40).rev().collect::<Vec<_>>());
        backwards.reverse();
        assert_eq!(forwards, backwards);
        for record in &forwards {
            let right = format!("\n{}. right {}", record.answer, record.id);
            assert!(
                record.problem.starts_with(&format!("question {}\n\nA. ", record.id)),
                "{}",
                record.problem
            );
            assert!(record.problem.contains(&right) && record.has_choices, "{}", record.problem);
        }
        let letters: BTreeSet<&str> =
            forwards.iter().map(|record| record.answer.as_str()).collect();
        assert_eq!(letters.into_iter().collect::<String>(), "ABCD");
    }

    #[test]
    fn parts_of_a_message_are_joined_and_a_conversation_may_be_a_text() {
        let parts = |text: &str| serde_json::json!([{"type": "text", "text": text}, {"text": "!", "type": "text", "image": null}]);
        let system = serde_json::json!({"role": "system", "content": parts("Only digits")});
        let user = serde_json::json!({"role": "user", "content": parts("p")});
        let list = serde_json::json!([system, user]);
        for prompt in [list.clone(), list.to_string().into()] {
            let record = only(&serde_json::json!({"prompt": prompt, "answer": "2"}));
            assert_eq!(
                (record.system.as_deref(), record.problem.as_str()),
                (Some("Only digits!"), "p!")
            );
        }
        // Other texts in brackets stay as they are, and an empty system message is none.
        assert_eq!(
            only(&serde_json::json!({"prompt": "[1, 2] has which role?", "answer": "2"})).problem,
            "[1, 2] has which role?"
        );
        let prompt = serde_json::json!([{"role": "system", "content": null}, {"role": "user", "content": "p"}]);
        assert_eq!(only(&serde_json::json!({"prompt": prompt, "answer": "2"})).system, None);
    }

    #[test]
    fn numbers_have_the_digits_that_the_file_has() {
        let lines = "{\"problem\": \"p\", \"answer\": 1180591620717411303424, \"id\": 12345678901234567890123}\n{\"problem\": \"p\", \"answer\": 0.10, \"level\": 3}\n{\"problem\": \"p\", \"reward_model\": {\"ground_truth\": 1e3}}";
        let records = read("a.jsonl", lines).unwrap();
        let answers: Vec<&str> = records.iter().map(|record| record.answer.as_str()).collect();
        assert_eq!(answers, ["1180591620717411303424", "0.10", "1000"]);
        assert_eq!(
            (records[0].id.as_str(), records[1].level.as_deref()),
            ("12345678901234567890123", Some("3"))
        );
    }

    #[test]
    fn what_nobody_could_be_right_about_is_told_apart() {
        for (row, expected) in [
            (serde_json::json!({"problem": "p", "answer": "2"}), None),
            (serde_json::json!({"problem": "p", "answer": null}), Some(Unusable::Unanswered)),
            (serde_json::json!({"problem": "p", "answer": " "}), Some(Unusable::Unanswered)),
            (serde_json::json!({"problem": "p", "solution": "no box"}), Some(Unusable::Unanswered)),
            (
                serde_json::json!({"question": "p", "options": ["a", "b"], "answer": null}),
                Some(Unusable::Unanswered),
            ),
            (serde_json::json!({"problem": null, "answer": null}), Some(Unusable::Empty)),
            (serde_json::json!({"problem": " ", "answer": "1"}), Some(Unusable::Empty)),
            (serde_json::json!({"problem": "p", "answer": "proof"}), Some(Unusable::Word)),
            (serde_json::json!({"problem": "p", "answer": r"\text{proof}"}), Some(Unusable::Word)),
            (serde_json::json!({"problem": "p", "answer": "NotFound"}), Some(Unusable::Word)),
            (
                serde_json::json!({"problem": "p", "answer": "$\\text{proof.}$"}),
                Some(Unusable::Word),
            ),
            (serde_json::json!({"problem": "p", "answer": "-"}), Some(Unusable::Word)),
            (serde_json::json!({"problem": "p", "answer": "no solution"}), None),
            (serde_json::json!({"problem": "p", "answer": "\\frac{1"}), Some(Unusable::CutOff)),
            // Another column may still have the answer, and a row may lack the column that others
            // have.
            (serde_json::json!({"problem": "p", "answer": "", "ground_truth": "3"}), None),
            (serde_json::json!({"problem": "p", "answer": "", "solution": "so \\boxed{4}"}), None),
        ] {
            assert_eq!(only(&row).unusable(), expected, "{row}");
        }
        let lacking = "{\"problem\": \"p\"}\n{\"problem\": \"q\", \"answer\": 2}\n{\"problem\": \"r\", \"answer\": null}";
        let found: Vec<_> =
            read("a.jsonl", lacking).unwrap().iter().map(Record::unusable).collect();
        assert_eq!(found, [Some(Unusable::Unanswered), None, Some(Unusable::Unanswered)]);
        let options =
            serde_json::json!({"question": "p", "options": "[\"a\", \"b\"]", "answer": "B"});
        assert_eq!(only(&options).problem, "p\n\nA. a\nB. b");
        let wide = serde_json::json!({"question": "p", "options": ["a", "b"], "answer": 18_446_744_073_709_551_615_u64});
        assert!(
            read("a.jsonl", &wide.to_string())
                .unwrap_err()
                .to_string()
                .contains("not the letter or the place")
        );
    }

    #[test]
    fn the_right_choice_is_found_by_letter_and_place_in_any_column_of_answers() {
        for row in [
            serde_json::json!({"question": "p", "options": ["a", "b"], "ground_truth": "B"}),
            serde_json::json!({"question": "p", "options": ["a", "b"], "reward_model": {"ground_truth": 1}}),
            serde_json::json!({"question": "p", "options": ["a", "b"], "answer": "1"}),
            serde_json::json!({"question": "p", "options": ["0", "1"], "answer": "1"}),
            serde_json::json!({"question": "p", "options": {"A": "a", "B": "b", "C": null}, "answer": "B"}),
        ] {
            let record = only(&row);
            assert_eq!((record.answer.as_str(), record.unusable()), ("B", None), "{row}");
            assert!(!record.problem.contains("C."), "{row}");
        }
        let table =
            read("a.csv", "question,options,answer\np,\"[\"\"a\"\", \"\"b\"\"]\",1\n").unwrap();
        assert_eq!(table[0].answer, "B");
    }

    #[test]
    fn an_answer_that_was_cut_off_is_taken_from_the_solution_or_told_apart() {
        let cut = serde_json::json!({"problem": "p", "answer": "\\frac{\\sqrt{3"});
        assert_eq!(only(&cut).unusable(), Some(Unusable::CutOff));
        let mut with_solution = cut.clone();
        with_solution["solution"] = "so \\boxed{\\frac{\\sqrt{3}}{2}}".into();
        let record = only(&with_solution);
        assert_eq!((record.answer.as_str(), record.unusable()), ("\\frac{\\sqrt{3}}{2}", None));
        let mut whole = with_solution;
        whole["answer"] = "\\{1, 2\\}".into();
        assert_eq!(only(&whole).answer, "\\{1, 2\\}");
        // Escaped braces are characters.
        let system =
            serde_json::json!({"problem": "p", "answer": "\\left\\{ x = 1, y = 2 \\right."});
        assert_eq!(only(&system).unusable(), None);
        let open = serde_json::json!({"problem": "p", "answer": "\\{\\frac{1}{2\\}"});
        assert_eq!(only(&open).unusable(), Some(Unusable::CutOff));
        // A solution that ends within a box has no last box, whatever stands in earlier ones.
        for (answer, solution, expected) in [
            (None, "so \\boxed{3} and \\boxed{4", "\\boxed{4"),
            (Some(""), "so \\boxed{3} and \\boxed", "\\boxed"),
            (Some("\\frac{1"), "so \\boxed{3} and \\fbox{\\frac{1}", "\\frac{1"),
            (None, "so \\boxed{4", "\\boxed{4"),
        ] {
            let record =
                only(&serde_json::json!({"problem": "p", "answer": answer, "solution": solution}));
            assert_eq!(
                (record.answer.as_str(), record.unusable()),
                (expected, Some(Unusable::CutOff)),
                "{solution}"
            );
        }
        let prose = serde_json::json!({"problem": "p", "solution": "\\boxed{3} in \\text{a {"});
        assert_eq!((only(&prose).answer.as_str(), only(&prose).unusable()), ("3", None));
    }

    #[test]
    fn whole_numbers_lose_their_zeros_and_nothing_else_does() {
        for (text, expected) in [
            ("025", Some("25")),
            ("27.0", Some("27")),
            ("-007.00", Some("-7")),
            ("0", Some("0")),
            ("-0.0", Some("0")),
            ("000", Some("0")),
            ("0.50", None),
            ("1,004", None),
            ("1.", None),
            (".0", None),
            ("", None),
            ("-", None),
            ("x", None),
        ] {
            assert_eq!(whole_number(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn ids_are_told_apart_and_files_are_read_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let first = file("a.csv", "id,problem,answer\nx,p,1\nx,q,2\n");
        let second = file(
            "b.jsonl",
            "{\"id\": \"x\", \"problem\": \"r\", \"answer\": \"3\"}\n{\"problem\": \"s\", \"answer\": \"4\"}",
        );
        let records = read_records(&[first, second]).unwrap();
        let ids: Vec<_> =
            records.iter().map(|record| (record.id.as_str(), record.problem.as_str())).collect();
        assert_eq!(ids, [("x", "p"), ("x#2", "q"), ("x#3", "r"), ("3", "s")]);
    }

    /// Refuses each text as a file of that name, with these words.
    fn assert_refused(files: &[(&str, &str, [&str; 2])]) {
        for (name, content, words) in files {
            let error = read(name, content).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            let error = error.to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_columns_or_the_line() {
        let wide: serde_json::Map<_, _> =
            (0..1000).map(|n| (format!("c{n:03}"), n.into())).collect();
        let wide = Value::Object(wide).to_string();
        assert_refused(&[
            (
                "a.csv",
                "text,label\nx,1\n",
                ["no column for a problem (problem, question, prompt) among text, label", "a.csv"],
            ),
            (
                "a.jsonl",
                "{\"problem\": \"p\", \"text\": \"x\"}",
                ["no column for an answer", "among problem, text"],
            ),
            (
                "a.csv",
                "problem,Answer,answer\np,1,2\n",
                ["the columns `Answer` and `answer` mean the same", "a.csv"],
            ),
            (
                "a.jsonl",
                "{\"problem\": \"p\", \"answer\": 1}\n{\"problem\": \"p\", \"Answer\": 1}",
                ["the columns `answer` and `Answer` mean the same", "a.jsonl"],
            ),
            ("a.csv", "te\u{1b}[2Jxt,label\nx,1\n", ["among te\\u001b[2Jxt, label", "a.csv"]),
            ("a.jsonl", &wide, ["among c000, c001, c002", ", c039 and 960 more; rename"]),
            (
                "a.jsonl",
                "{\"problem\": [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}]}], \"answer\": \"1\"}",
                ["line 1: a message with a part of the type \"image\"", "a.jsonl"],
            ),
            (
                "a.jsonl",
                "{\"problem\": [{\"role\": \"user\", \"content\": {}}], \"answer\": \"1\"}",
                ["line 1: the content of a message is an object", "must be a text"],
            ),
            (
                "a.jsonl",
                "{\"problem\": [{\"role\": \"user\", \"content\": 5}], \"answer\": \"1\"}",
                ["line 1: the content of a message is a number", "must be a text"],
            ),
            (
                "a.jsonl",
                "{\"problem\": [{\"role\": \"user\", \"content\": 0.50}], \"answer\": \"1\"}",
                ["line 1: the content of a message is a number", "a.jsonl"],
            ),
            (
                "a.csv",
                "problem,answer\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": 5}]\",1\n",
                ["line 2: the content of a message is a number", "a.csv"],
            ),
            (
                "a.jsonl",
                "{\"problem\": \"[{'role': 'user', 'content': 'p'}]\", \"answer\": \"1\"}",
                ["line 1: the problem is a conversation in Python's notation", "a.jsonl"],
            ),
            (
                "a.jsonl",
                "{\"question\": \"p\", \"options\": [\"a\", null], \"answer\": \"A\"}",
                ["line 1: the choice is neither a text nor a number", "holds null"],
            ),
            (
                "a.jsonl",
                "{\"problem\": \"p\", \"answer\": [1]}",
                ["line 1: the answer is neither a text nor a number", "a.jsonl"],
            ),
            (
                "a.json",
                "[{\"question\": \"p\", \"options\": [\"a\", \"b\"], \"answer\": \"C\"}]",
                ["row 1: the answer is not the letter", "the column `answer` holds \"C\""],
            ),
            (
                "a.json",
                "[{\"question\": \"p\", \"options\": [\"0\", \"1\", \"2\"], \"ground_truth\": \"1 2\"}]",
                ["of one of the 3 choices", "the column `ground_truth` holds \"1 2\""],
            ),
            (
                "a.csv",
                "question,options,answer\np,\"[\"\"0\"\", \"\"2\"\", \"\"1\"\"]\",1\n",
                ["line 2: the answer is not the letter", "the column `answer` holds \"1\""],
            ),
        ]);
    }

    #[test]
    fn conversations_and_choices_that_are_not_understood_are_refused_with_the_line() {
        assert_refused(&[
            (
                "a.csv",
                "prompt,answer\n\"[{\"\"role\"\": \"\"user\"\", \"\"value\"\": \"\"hi\"\"}]\",1\n",
                ["line 2: a prompt with a message that has no content", "only role, value"],
            ),
            (
                "a.jsonl",
                "{\"prompt\": [{\"role\": \"user\", \"value\": \"hi\"}], \"answer\": \"1\"}",
                ["line 1: a prompt with a message that has no content", "only role, value"],
            ),
            (
                "a.csv",
                "prompt,answer\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"hi\"\"}, {\"\"content\"\": \"\"x\"\"}]\",1\n",
                ["line 2: a prompt with a message that has no role", "a.csv"],
            ),
            (
                "a.json",
                "[{\"prompt\": [{\"role\": \"assistant\", \"content\": \"p\"}], \"answer\": \"1\"}]",
                ["row 1: a prompt with the role \"assistant\"", "a.json"],
            ),
            (
                "a.json",
                "[{\"question\": \"q\", \"choices\": {\"text\": [\"x\"], \"label\": [\"A\"]}, \"answer\": \"A\"}]",
                ["row 1: the choices are neither a list", "`choices` holds an object"],
            ),
            (
                "a.csv",
                "question,options,answer\nq,a ) 3 b ) 4,a\n",
                ["line 2: the choices are neither a list", "`options` holds another text"],
            ),
            ("a.json", "[]", ["no row", "a.json"]),
        ]);
    }

    #[test]
    fn parquet_files_are_read_with_nested_columns() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny.parquet");
        let records = read_records(&[file]).unwrap();
        let seen: Vec<_> = records
            .iter()
            .map(|r| {
                [
                    &r.id,
                    &r.problem,
                    &r.answer,
                    r.level.as_ref().unwrap(),
                    r.subject.as_ref().unwrap(),
                ]
            })
            .collect();
        assert_eq!(
            seen,
            [
                ["tiny-0", "What is $1 + 1$?", "2", "1", "Prealgebra"],
                ["tiny-1", "What is half of $\\frac{1}{2}$?", "\\frac{1}{4}", "2", "Prealgebra"],
                ["tiny-2", "Solve $x^2 = 9$ for $x > 0$.", "3", "?", "Algebra"],
            ]
        );
        assert!(
            records.iter().all(|record| record.system.as_deref().unwrap().contains("step by step"))
        );
        let other_codec =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny_zstd.parquet");
        assert_eq!(read_records(&[other_codec]).unwrap(), records);
    }

    #[test]
    fn the_real_files_have_all_their_problems_and_answers() {
        let Some(folder) = std::env::var_os("ORTHANT_DATA") else {
            eprintln!("skipped: ORTHANT_DATA is not set");
            return;
        };
        let folder = Path::new(&folder);
        for (file, count) in [
            ("math500.json", 500),
            ("amc.json", 83),
            ("aime24.json", 30),
            ("aime25.json", 30),
            ("gpqa_diamond.json", 198),
            ("math_train.parquet", 7500),
        ] {
            let records = read_records(&[folder.join(file)]).unwrap();
            assert_eq!(records.len(), count, "{file}");
            let ids: BTreeSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
            assert_eq!(ids.len(), count, "{file}");
            assert!(
                records
                    .iter()
                    .all(|record| !record.answer.is_empty() && !record.problem.is_empty()),
                "{file}"
            );
            let whole =
                records.iter().filter(|record| record.answer.parse::<i64>().is_ok()).count();
            match file {
                "amc.json" | "aime24.json" | "aime25.json" => assert_eq!(whole, count, "{file}"),
                "gpqa_diamond.json" => {
                    assert!(
                        records.iter().all(|r| ["A", "B", "C", "D"].contains(&r.answer.as_str()))
                    );
                }
                _ => {}
            }
            let padded = |record: &&Record| {
                record.answer.len() > 1
                    && record.answer.starts_with('0')
                    && record.answer.parse::<i64>().is_ok()
            };
            assert_eq!(records.iter().filter(padded).count(), 0, "{file}");
        }
    }
}
