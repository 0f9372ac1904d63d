//! Records of data sets: what the columns of a row mean.
//!
//! | Meaning | Columns, the first that is there; upper and lower case are the same |
//! |---|---|
//! | problem | `problem`, `question`, `prompt`: a text, or a conversation `[{role, content}]` of at most a system message and one user message |
//! | answer | `answer` (a text after `#### ` where it holds one), `ground_truth`, `reward_model.ground_truth`, or the last box of `solution`; also where the answer was cut off |
//! | choices | `options` or `choices` with the letter of the right one as `answer`; or `Correct Answer` and `Incorrect Answer 1`, ..., which are shuffled |
//! | id | `id`, `unique_id`, `question_id`, `Record ID`, `extra_info.index`; else the number of the row |
//! | subject | `subject`, `type`, `category`, `Subdomain` |
//! | level | `level`, `difficulty` |

use super::files::{Row, read_rows};
use crate::error::{Error, Result};
use crate::rng;
use crate::verify::boxed::last_boxed;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One problem of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// A name that no other record of the data set has.
    pub id: String,
    /// The problem as the file has it, white space included; with its choices where it has some.
    pub problem: String,
    /// The system message that the data set gives with the problem.
    pub system: Option<String>,
    /// The right answer; the letter of the right choice where there are choices.
    pub answer: String,
    /// Whether the answer is one of the choices that the problem lists.
    pub has_choices: bool,
    /// Subject, such as `algebra`.
    pub subject: Option<String>,
    /// Difficulty, such as `5`.
    pub level: Option<String>,
}

impl Record {
    /// Whether the answer's braces are closed. Copies of MATH are in circulation whose answers were cut off at the first closing brace
    /// of `\\frac{\\sqrt{3}}{2}`: nobody can be right about these.
    pub fn has_whole_answer(&self) -> bool {
        is_whole(&self.answer)
    }
}

/// Whether all groups are closed. `\{` and `\}` are characters, and need no other half: `\left\{ x = 1, y = 2 \right.`
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
    open == closed
}

/// Letters of choices.
const LETTERS: &str = "ABCDEFGHIJ";

/// Decides the order of shuffled choices: one for all runs, so that a data set's right letters are always the same.
const CHOICE_SEED: u64 = 0;

/// Reads the files of one data set in order, each by the ending of its name.
///
/// Fails, naming file and line or the columns that were found, where a file cannot be read, its layout is unknown, a row lacks a
/// problem or an answer, or there is no row.
pub fn read_records(files: &[PathBuf]) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut uses: BTreeMap<String, usize> = BTreeMap::new();
    for path in files {
        let rows = read_rows(path)?;
        check_layout(&rows, path)?;
        for row in rows {
            let number = records.len();
            let mut record = record(&row, number)
                .map_err(|problem| Error::input(format!("{}: {problem} ({})", row.place, path.display())))?;
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
const ANSWER: &[&str] = &["answer", "ground_truth", "reward_model.ground_truth"];
const SOLUTION: &[&str] = &["solution"];
const CHOICES: &[&str] = &["options", "choices"];
const CORRECT: &[&str] = &["correct answer"];
const INCORRECT: [&str; 9] = [
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
const ID: &[&str] = &["id", "unique_id", "question_id", "record id", "extra_info.index"];
const SUBJECT: &[&str] = &["subject", "type", "category", "subdomain"];
const LEVEL: &[&str] = &["level", "difficulty"];

/// The value of the first of these columns that the row has and that is not null. A dot leads into an object.
fn column<'a>(row: &'a Row, aliases: &[&str]) -> Option<&'a Value> {
    aliases.iter().find_map(|alias| {
        let (name, inner) = alias.split_once('.').map_or((*alias, None), |(name, inner)| (name, Some(inner)));
        let value = row.columns.iter().find(|(known, _)| known.trim().eq_ignore_ascii_case(name))?.1;
        let value = match inner {
            None => value,
            Some(inner) => value.get(inner)?,
        };
        (!value.is_null()).then_some(value)
    })
}

/// Refuses a file whose first row has no column for the problem or the answer, be it null.
fn check_layout(rows: &[Row], path: &Path) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let has = |alias: &&str| {
        first.columns.iter().any(|(known, value)| match alias.split_once('.') {
            None => known.trim().eq_ignore_ascii_case(alias),
            Some((name, inner)) => known.trim().eq_ignore_ascii_case(name) && value.get(inner).is_some(),
        })
    };
    let lacks = |aliases: &[&[&str]]| !aliases.iter().any(|aliases| aliases.iter().any(has));
    let (what, aliases) = if lacks(&[PROBLEM]) {
        ("a problem", PROBLEM.join(", "))
    } else if lacks(&[ANSWER, SOLUTION, CORRECT]) {
        ("an answer", [ANSWER, SOLUTION, CORRECT].concat().join(", "))
    } else {
        return Ok(());
    };
    let found: Vec<&str> = first.columns.keys().map(String::as_str).collect();
    Err(Error::input(format!(
        "the layout of the data is not known: no column for {what} ({aliases}) among {}; rename a column ({})",
        found.join(", "),
        path.display()
    )))
}

fn record(row: &Row, number: usize) -> Result<Record, String> {
    let (system, mut problem) = match column(row, PROBLEM) {
        None => return Err(format!("no problem in any of the columns {}", PROBLEM.join(", "))),
        Some(Value::Array(messages)) => conversation(messages)?,
        Some(Value::String(text)) => (None, text.clone()),
        Some(value) => (None, plain_text(value).ok_or("the problem is no text")?),
    };
    if problem.trim().is_empty() {
        return Err("the problem is empty".to_string());
    }
    let choices = choices(row, &problem)?;
    let answer = match &choices {
        Some((choices, right)) => {
            let listed = choices.iter().zip(LETTERS.chars()).map(|(choice, letter)| format!("\n{letter}. {choice}"));
            problem = format!("{}\n{}", problem.trim_end(), listed.collect::<String>());
            LETTERS.chars().nth(*right).map(String::from)
        }
        None => answer(row)?,
    };
    let answer = answer.filter(|answer| !answer.is_empty()).ok_or_else(|| {
        let places = [ANSWER, SOLUTION].concat().join(", ");
        format!("no answer in any of the columns {places} (of a solution, its last \\boxed{{}})")
    })?;
    let text = |aliases| column(row, aliases).and_then(plain_text).filter(|text| !text.is_empty());
    Ok(Record {
        id: text(ID).unwrap_or_else(|| number.to_string()),
        problem,
        system,
        answer,
        has_choices: choices.is_some(),
        subject: text(SUBJECT),
        level: text(LEVEL).map(|level| level.strip_prefix("Level ").map_or_else(|| level.clone(), str::to_string)),
    })
}

fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The system message, if any, and the user's message.
fn conversation(messages: &[Value]) -> Result<(Option<String>, String), String> {
    let (mut system, mut user) = (None, None);
    for message in messages {
        let part = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
        let slot = match part("role") {
            "system" => &mut system,
            "user" => &mut user,
            other => return Err(format!("a prompt with the role `{other}`; prompts hold `system` and `user` only")),
        };
        if slot.replace(part("content").trim().to_string()).is_some() {
            return Err("a prompt with two messages of one role; prompts hold one of each at most".to_string());
        }
    }
    Ok((system, user.ok_or("the prompt has no message of the role `user`")?))
}

fn answer(row: &Row) -> Result<Option<String>, String> {
    if let Some(value) = column(row, ANSWER) {
        let text = plain_text(value).ok_or("the answer is neither a text nor a number")?;
        // GSM8K writes the solution out and the answer after it.
        let last = text.rsplit_once("####").map_or(text.as_str(), |(_, last)| last.trim());
        let boxed = || column(row, SOLUTION).and_then(Value::as_str).and_then(last_boxed);
        // The solution still has what was cut off.
        let last = if is_whole(last) { last } else { boxed().unwrap_or(last) };
        return Ok(Some(whole_number(last).unwrap_or_else(|| last.to_string())));
    }
    Ok(column(row, SOLUTION).and_then(Value::as_str).and_then(last_boxed).map(str::to_string))
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

/// The choices in the order in which they are shown, and the place of the right one.
fn choices(row: &Row, problem: &str) -> Result<Option<(Vec<String>, usize)>, String> {
    if let Some(correct) = column(row, CORRECT).and_then(plain_text) {
        let mut choices = vec![correct];
        choices.extend(INCORRECT.iter().filter_map(|name| column(row, &[name]).and_then(plain_text)));
        // The file's order would tell which one is right. The order belongs to the question, wherever it stands in the file.
        let digest = Sha256::digest(problem.trim().as_bytes());
        let word = digest.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let mut order: Vec<usize> = (0..choices.len()).collect();
        rng::shuffle(&mut rng::stream([CHOICE_SEED, rng::CHOICES, word, 0]), &mut order);
        let right = order.iter().position(|&place| place == 0).unwrap_or(0);
        return Ok(Some((order.into_iter().map(|place| choices[place].clone()).collect(), right)));
    }
    let Some(Value::Array(values)) = column(row, CHOICES) else { return Ok(None) };
    let choices = values.iter().map(plain_text).collect::<Option<Vec<_>>>().ok_or("a choice is no text")?;
    let count = choices.len();
    let right = match column(row, &["answer"]) {
        Some(Value::Number(place)) => place.as_u64().map(|place| place as usize),
        Some(Value::String(letter)) => LETTERS.find(letter.trim()).filter(|_| letter.trim().len() == 1),
        _ => None,
    };
    let right = right.filter(|&right| right < count && count <= LETTERS.len()).ok_or_else(|| {
        format!("the answer is not the letter or the place (from 0) of one of the {count} choices, of which there may be ten")
    })?;
    Ok(Some((choices, right)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

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
                Record { subject: Some("Geometry".into()), level: Some("3".into()), ..plain("p", "2\\sqrt{3}", "0") },
            ),
            // AMC, AIME
            (serde_json::json!({"id": 3, "question": "p", "answer": 27.0, "url": "u"}), plain("p", "27", "3")),
            (
                serde_json::json!({"ID": "2024-I-1", "Problem": "p", "Solution": "s", "Answer": 25}),
                plain("p", "25", "2024-I-1"),
            ),
            (serde_json::json!({"question": "p", "answer": "025"}), plain("p", "25", "0")),
            (serde_json::json!({"prompt": "p", "answer": "142.0", "source": "amc", "id": "0"}), plain("p", "142", "0")),
            // GSM8K
            (serde_json::json!({"question": "p", "answer": "2+2 = <<2+2=4>>4\n#### 1,004"}), plain("p", "1,004", "0")),
            // conversations
            (
                serde_json::json!({"prompt": [{"content": "Box it.", "role": "system"}, {"content": "p", "role": "user"}], "reward_model": {"ground_truth": "5"}, "extra_info": {"index": "x-1"}}),
                Record { system: Some("Box it.".into()), ..plain("p", "5", "x-1") },
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
    fn shuffled_choices_keep_their_order_wherever_the_question_stands_and_the_letter_names_the_right_one() {
        let question = |q: usize| format!("{q},question {q},right {q},wrong a,wrong b,wrong c,physics\n");
        let header =
            "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,Subdomain\n";
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
            assert!(record.problem.starts_with(&format!("question {}\n\nA. ", record.id)), "{}", record.problem);
            assert!(record.problem.contains(&right) && record.has_choices, "{}", record.problem);
        }
        let letters: BTreeSet<&str> = forwards.iter().map(|record| record.answer.as_str()).collect();
        assert_eq!(letters.into_iter().collect::<String>(), "ABCD");
    }

    #[test]
    fn an_answer_that_was_cut_off_is_taken_from_the_solution_or_told_apart() {
        let cut = serde_json::json!({"problem": "p", "answer": "\\frac{\\sqrt{3"});
        assert!(!only(&cut).has_whole_answer());
        let mut with_solution = cut.clone();
        with_solution["solution"] = "so \\boxed{\\frac{\\sqrt{3}}{2}}".into();
        let record = only(&with_solution);
        assert_eq!((record.answer.as_str(), record.has_whole_answer()), ("\\frac{\\sqrt{3}}{2}", true));
        let mut whole = with_solution;
        whole["answer"] = "\\{1, 2\\}".into();
        assert_eq!(only(&whole).answer, "\\{1, 2\\}");
        // Escaped braces are characters.
        let system = serde_json::json!({"problem": "p", "answer": "\\left\\{ x = 1, y = 2 \\right."});
        assert!(only(&system).has_whole_answer());
        assert!(!only(&serde_json::json!({"problem": "p", "answer": "\\{\\frac{1}{2\\}"})).has_whole_answer());
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
        let ids: Vec<_> = records.iter().map(|record| (record.id.as_str(), record.problem.as_str())).collect();
        assert_eq!(ids, [("x", "p"), ("x#2", "q"), ("x#3", "r"), ("3", "s")]);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_columns_or_the_line() {
        for (name, content, words) in [
            (
                "a.csv",
                "text,label\nx,1\n",
                ["no column for a problem (problem, question, prompt) among text, label", "a.csv"],
            ),
            ("a.jsonl", "{\"problem\": \"p\", \"text\": \"x\"}", ["no column for an answer", "among problem, text"]),
            (
                "a.jsonl",
                "{\"problem\": \"p\", \"answer\": \"1\"}\n{\"problem\": \"p\"}",
                ["line 2: no answer", "a.jsonl"],
            ),
            (
                "a.jsonl",
                "{\"problem\": \"p\", \"answer\": \"1\"}\n{\"problem\": \" \", \"answer\": \"1\"}",
                ["line 2: the problem is empty", "a.jsonl"],
            ),
            ("a.jsonl", "{\"problem\": \"p\", \"solution\": \"no box\"}", ["line 1: no answer", "\\boxed"]),
            (
                "a.jsonl",
                "{\"problem\": \"p\", \"answer\": [1]}",
                ["line 1: the answer is neither a text nor a number", "a.jsonl"],
            ),
            (
                "a.json",
                "[{\"question\": \"p\", \"options\": [\"a\", \"b\"], \"answer\": \"C\"}]",
                ["row 1: the answer is not the letter", "2 choices"],
            ),
            (
                "a.json",
                "[{\"prompt\": [{\"role\": \"assistant\", \"content\": \"p\"}], \"answer\": \"1\"}]",
                ["row 1: a prompt with the role `assistant`", "a.json"],
            ),
            ("a.json", "[]", ["no row", "a.json"]),
        ] {
            let error = read(name, content).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            let error = error.to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
    }

    #[test]
    fn parquet_files_are_read_with_nested_columns() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny.parquet");
        let records = read_records(&[file]).unwrap();
        let seen: Vec<_> = records
            .iter()
            .map(|r| [&r.id, &r.problem, &r.answer, r.level.as_ref().unwrap(), r.subject.as_ref().unwrap()])
            .collect();
        assert_eq!(
            seen,
            [
                ["tiny-0", "What is $1 + 1$?", "2", "1", "Prealgebra"],
                ["tiny-1", "What is half of $\\frac{1}{2}$?", "\\frac{1}{4}", "2", "Prealgebra"],
                ["tiny-2", "Solve $x^2 = 9$ for $x > 0$.", "3", "?", "Algebra"],
            ]
        );
        assert!(records.iter().all(|record| record.system.as_deref().unwrap().contains("step by step")));
        let other_codec = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny_zstd.parquet");
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
            assert!(records.iter().all(|record| !record.answer.is_empty() && !record.problem.is_empty()), "{file}");
            let whole = records.iter().filter(|record| record.answer.parse::<i64>().is_ok()).count();
            match file {
                "amc.json" | "aime24.json" | "aime25.json" => assert_eq!(whole, count, "{file}"),
                "gpqa_diamond.json" => {
                    assert!(records.iter().all(|r| ["A", "B", "C", "D"].contains(&r.answer.as_str())));
                }
                _ => {}
            }
            let padded = |record: &&Record| {
                record.answer.len() > 1 && record.answer.starts_with('0') && record.answer.parse::<i64>().is_ok()
            };
            assert_eq!(records.iter().filter(padded).count(), 0, "{file}");
        }
    }
}
