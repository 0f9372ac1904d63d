//! The problems of a data set as a task.
//!
//! Training goes through all problems in an order that the seed and the epoch decide, then through
//! all of them in another one: index i is problem i mod n of epoch i / n. Held out are the problems
//! whose text has a small hash (so equal problems are never on both sides, and the side does not
//! depend on what else is in the files), or another data set.

use super::{HELD_OUT_DATA, Problem, Room, Split, TRAINING_DATA, Task};
use crate::data::{self, PromptTemplate, Record, Unusable, read_records, same_answer};
use crate::error::{Error, Result};
use crate::experiment::{DataSource, DatasetConfig, HeldOutSource};
use crate::files::checksums::sha256_of_texts;
use crate::model::{TextTokenizer, hub};
use crate::rng::{self, Domain};
use crate::verify::{AnswerFormat, Verification, verify};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// The files of a data set, downloaded where they are not here yet.
pub fn files(source: &DataSource) -> Result<Vec<PathBuf>> {
    match source {
        DataSource::Local(path) => Ok(vec![path.clone()]),
        DataSource::Hub(hub) => {
            let folder = hub::fetch_dataset(hub)?;
            Ok(hub.files.iter().map(|file| folder.join(file)).collect())
        }
    }
}

/// A name for tables: the file's without its ending, or the repository's.
fn name(source: &DataSource) -> String {
    match source {
        DataSource::Local(path) => data::name(path),
        DataSource::Hub(hub) => hub.repo.rsplit('/').next().unwrap_or_default().to_string(),
    }
}

/// The task of a data set.
pub struct Dataset {
    name: String,
    format: AnswerFormat,
    train: Vec<(Problem, String)>,
    held_out: Vec<(Problem, String)>,
    hash: String,
    /// See [`Task::sources`].
    sources: Vec<(&'static str, String)>,
    template_hash: String,
    longest: usize,
    levels: Levels,
    notes: Vec<String>,
}

/// The levels of difficulty that a data set gives its problems, by their prompts. Problems without
/// one are a level of their own. Of equal prompts the first counts.
#[derive(Default)]
struct Levels {
    of_prompt: HashMap<String, usize>,
    count: usize,
}

impl Levels {
    fn of(problems: &[Prompted]) -> Self {
        let names: BTreeSet<&Option<String>> =
            problems.iter().map(|item| &item.record.level).collect();
        let count = names.len().max(1);
        if count == 1 {
            return Self { count, ..Self::default() };
        }
        let numbers: BTreeMap<_, usize> = names.into_iter().zip(0..).collect();
        let mut of_prompt = HashMap::with_capacity(problems.len());
        for item in problems {
            of_prompt.entry(item.prompt.clone()).or_insert(numbers[&item.record.level]);
        }
        Self { of_prompt, count }
    }
}

/// How to call a data set in notes and faults.
pub(crate) struct Named {
    pub(crate) name: String,
    /// Its file, folder or repository.
    pub(crate) place: String,
}

impl Named {
    pub(crate) fn of(source: &DataSource) -> Self {
        let place = match source {
            DataSource::Local(path) => path.display().to_string(),
            DataSource::Hub(hub) => hub.repo.clone(),
        };
        Self { name: name(source), place }
    }

    fn fault(&self, text: &str) -> Error {
        Error::input(format!("nothing is left of the data: {text} ({})", self.place))
    }
}

/// The records with a problem and an answer of `format` that can be checked; what is left out is
/// noted. Fails where nothing is left.
pub(crate) fn usable_records(
    records: Vec<Record>,
    format: AnswerFormat,
    of: &Named,
    notes: &mut Vec<String>,
) -> Result<Vec<Record>> {
    let name = &of.name;
    let count = records.len();
    let mut left_out: BTreeMap<Unusable, Vec<Record>> = BTreeMap::new();
    let mut usable = Vec::with_capacity(count);
    for record in records {
        match record.unusable_for(format) {
            Some(why) => left_out.entry(why).or_default().push(record),
            None => usable.push(record),
        }
    }
    let has_other = left_out.contains_key(&Unusable::NotALetter);
    let new_notes: Vec<String> = left_out
        .into_iter()
        .filter_map(|(why, records)| {
            let first = records.first()?;
            let why = match why {
                Unusable::Empty => "they have no text",
                Unusable::Unanswered => "they have no answer",
                Unusable::Word => "their answers are words that stand for none",
                Unusable::CutOff => "their answers are cut off in the data",
                Unusable::NotALetter => {
                    "`verifier` is Choice and their answers are not letters from A to J"
                }
            };
            let answer: String = first.answer.chars().take(100).collect();
            let answer = if answer.is_empty() { answer } else { format!(": {answer}") };
            Some(format!(
                "{} of the {count} problems of {name} are left out because {why}, such as \
                 {}{answer}",
                records.len(),
                first.id
            ))
        })
        .collect();
    if usable.is_empty() {
        let remedy =
            if has_other { "; `verifier` may be Math for answers of other kinds" } else { "" };
        return Err(of.fault(&format!("{}{remedy}", new_notes.join("; "))));
    }
    notes.extend(new_notes);
    Ok(usable)
}

/// A record with its prompt.
pub(crate) struct Prompted {
    pub(crate) record: Record,
    pub(crate) prompt: String,
    /// Tokens of the prompt.
    pub(crate) tokens: usize,
}

/// How records become prompts.
pub(crate) struct Prompting<'a> {
    pub(crate) template: &'a PromptTemplate,
    pub(crate) format: AnswerFormat,
    pub(crate) tokenizer: &'a TextTokenizer,
    /// The room that the model leaves for prompts.
    pub(crate) room: Option<Room>,
    /// A bound that the experiment sets.
    pub(crate) most_tokens: Option<usize>,
}

/// Records that are worked on at a time.
const CHUNK: usize = 1024;

impl Prompting<'_> {
    /// The first `limit` records whose prompts are not too long; what is left out is noted. Fails
    /// where nothing is left.
    pub(crate) fn prompts(
        &self,
        records: Vec<Record>,
        of: &Named,
        limit: Option<usize>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Prompted>> {
        let most =
            self.most_tokens.unwrap_or(usize::MAX).min(self.room.map_or(usize::MAX, Room::most));
        let limit = limit.unwrap_or(usize::MAX);
        let mut records = records.into_iter();
        let (mut kept, mut too_long, mut first) = (Vec::new(), 0_usize, None);
        let mut seen = 0_usize;
        while kept.len() < limit && records.len() > 0 {
            let chunk: Vec<Record> =
                records.by_ref().take(CHUNK.min(limit.saturating_mul(2))).collect();
            let prompted: Vec<Prompted> =
                chunk.into_par_iter().map(|record| self.prompt(record)).collect::<Result<_>>()?;
            for item in prompted {
                if kept.len() == limit {
                    break;
                }
                seen += 1;
                if item.tokens <= most {
                    kept.push(item);
                } else {
                    too_long += 1;
                    first.get_or_insert((item.record.id, item.tokens));
                }
            }
        }
        notes.extend(self.template.note().filter(|note| !notes.contains(note)));
        if let Some((id, tokens)) = first {
            let why = match self.room {
                Some(Room { positions, new_tokens })
                    if self.most_tokens.is_none_or(|tokens| tokens > most) =>
                {
                    format!("what {new_tokens} new ones leave of the model's {positions} positions")
                }
                _ => "max_prompt_tokens".to_string(),
            };
            let name = &of.name;
            let text = format!(
                "{too_long} of the {seen} problems of {name} are left out because their prompts \
                 have more than {most} tokens ({why}), such as {id} with {tokens}"
            );
            if kept.is_empty() {
                return Err(of.fault(&text));
            }
            notes.push(text);
        }
        Ok(kept)
    }

    fn prompt(&self, record: Record) -> Result<Prompted> {
        let prompt = self.template.render(&record, self.format)?;
        let tokens = self.tokenizer.encode(&prompt)?.len();
        if tokens == 0 {
            let (id, template) = (&record.id, self.template.name());
            return Err(Error::input(format!(
                "the prompt of the problem {id} has no token (template {template})"
            )));
        }
        Ok(Prompted { record, prompt, tokens })
    }
}

impl Dataset {
    /// Reads the data and makes the prompts. `tokenizer` brings the model's chat template; problems
    /// for which there is no `room` are left out.
    ///
    /// Bad input are files that cannot be read or understood, a template that does not work, and
    /// fewer than two different problems, because one side would have none.
    pub fn new(
        config: &DatasetConfig,
        tokenizer: &TextTokenizer,
        room: Option<Room>,
    ) -> Result<Self> {
        let template =
            PromptTemplate::new(config.template.as_deref(), &config.template_variables, tokenizer)?;
        let (format, most_tokens) = (config.verifier, config.max_prompt_tokens);
        let prompting = Prompting { template: &template, format, tokenizer, room, most_tokens };
        let (mut notes, mut sources) = (Vec::new(), Vec::new());
        let mut read = |source: &DataSource, what: &'static str| {
            let of = Named::of(source);
            let records = usable_records(read_records(&files(source)?)?, format, &of, &mut notes)?;
            sources.push((what, sha256_of_texts(records.iter().flat_map(Record::texts))));
            prompting.prompts(records, &of, None, &mut notes)
        };
        let problems = read(&config.source, TRAINING_DATA)?;
        let (train, held_out) = match &config.held_out {
            HeldOutSource::Other(other) => (problems, read(other, HELD_OUT_DATA)?),
            HeldOutSource::Share(share) => divide(problems, *share)?,
        };
        let longest = train.iter().map(|item| item.tokens).max().unwrap_or(0);
        let levels = Levels::of(&train);
        let problems = |items: Vec<Prompted>| -> Vec<(Problem, String)> {
            let problem = |Prompted { record, prompt, .. }: Prompted| {
                (Problem { id: record.id, prompt, answer: record.answer }, record.problem)
            };
            items.into_iter().map(problem).collect()
        };
        let (train, held_out) = (problems(train), problems(held_out));
        let texts = train
            .iter()
            .chain(&held_out)
            .flat_map(|(problem, _)| [&problem.id, &problem.prompt, &problem.answer]);
        let hash = sha256_of_texts(texts.map(String::as_str));
        let template_hash = template.hash().to_string();
        Ok(Self {
            name: name(&config.source),
            format,
            train,
            held_out,
            hash,
            sources,
            template_hash,
            longest,
            levels,
            notes,
        })
    }

    fn side(&self, split: Split) -> &[(Problem, String)] {
        match split {
            Split::Train => &self.train,
            Split::HeldOut => &self.held_out,
        }
    }
}

/// The first eight bytes of the text's SHA-256 as a number in [0, 1).
fn place(text: &str) -> f64 {
    let digest = Sha256::digest(text.as_bytes());
    let word = digest.iter().take(8).rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    (word >> 11) as f64 / (1u64 << 53) as f64
}

/// Training and held-out problems. Neither side is empty: the problem with the smallest place is
/// held out and the one with the largest trained on, whatever the share.
fn divide(problems: Vec<Prompted>, share: f64) -> Result<(Vec<Prompted>, Vec<Prompted>)> {
    let places: Vec<f64> = problems.iter().map(|item| place(item.record.problem.trim())).collect();
    let smallest = places.iter().copied().fold(1.0, f64::min);
    let largest = places.iter().copied().fold(0.0, f64::max);
    if smallest >= largest {
        return Err(Error::field(
            "task.held_out",
            "is a share, but the data set has one problem only; give another data set with \
             Other(..)",
        ));
    }
    let is_held_out = |place: f64| place <= smallest || (place < share && place < largest);
    let (held_out, train): (Vec<_>, Vec<_>) =
        problems.into_iter().zip(places).partition(|(_, place)| is_held_out(*place));
    let problems = |side: Vec<(Prompted, f64)>| side.into_iter().map(|(item, _)| item).collect();
    Ok((problems(train), problems(held_out)))
}

impl Task for Dataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        let problems = self.side(split);
        let count = problems.len() as u64;
        let mut order: Vec<usize> = (0..problems.len()).collect();
        rng::shuffle(
            &mut rng::stream(seed, Domain::ProblemOrder, [split as u64, index / count, 0]),
            &mut order,
        );
        problems[order[(index % count) as usize]].0.clone()
    }

    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        verify(&problem.answer, completion, self.format)
    }

    fn same_answer(&self, _: &Problem, one: &str, other: &str) -> bool {
        same_answer(self.format, one, other)
    }

    fn all(&self, split: Split) -> Option<&[(Problem, String)]> {
        Some(self.side(split))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn levels(&self) -> usize {
        self.levels.count
    }

    fn level(&self, problem: &Problem) -> usize {
        self.levels.of_prompt.get(&problem.prompt).copied().unwrap_or(0)
    }

    fn hash(&self) -> Option<&str> {
        Some(&self.hash)
    }

    fn sources(&self) -> Vec<(&'static str, String)> {
        self.sources.clone()
    }

    fn template_hash(&self) -> Option<&str> {
        Some(&self.template_hash)
    }

    fn longest_prompt(&self, _: u64, _: &TextTokenizer) -> Result<usize> {
        Ok(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// The task of a file with this many problems.
    fn task(count: usize, held_out: HeldOutSource) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.jsonl");
        let line = |n: usize| {
            serde_json::json!({ "problem": format!("What is {n}?"), "answer": n }).to_string()
        };
        std::fs::write(&path, (0..count).map(line).collect::<Vec<_>>().join("\n")).unwrap();
        Dataset::new(&config(path, held_out), &TextTokenizer::numbers(3).unwrap(), None)
    }

    fn config(path: PathBuf, held_out: HeldOutSource) -> DatasetConfig {
        DatasetConfig {
            source: DataSource::Local(path),
            template: None,
            template_variables: BTreeMap::new(),
            max_prompt_tokens: None,
            verifier: AnswerFormat::Math,
            held_out,
        }
    }

    /// The task of a file with these lines, with room for prompts of so many tokens, which are
    /// words here.
    fn task_of(
        lines: &[serde_json::Value],
        max_prompt_tokens: Option<usize>,
        most: usize,
    ) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mixed.jsonl");
        std::fs::write(&path, lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            .unwrap();
        let room = Some(Room { positions: most + 7, new_tokens: 7 });
        let config = DatasetConfig { max_prompt_tokens, ..config(path, HeldOutSource::Share(0.2)) };
        Dataset::new(&config, &TextTokenizer::numbers(3).unwrap(), room)
    }

    #[test]
    fn levels_are_those_of_the_column() {
        let line = |n: usize, level: serde_json::Value| serde_json::json!({"problem": format!("What is {n}?"), "answer": n, "level": level});
        let hard = |n: usize| n.is_multiple_of(2);
        let lines: Vec<_> = (0..20)
            .map(|n| line(n, if hard(n) { "Level 5".into() } else { serde_json::Value::Null }))
            .collect();
        let mixed = task_of(&lines, None, 4).unwrap();
        assert_eq!(mixed.levels(), 2);
        for (problem, _) in mixed.all(Split::Train).unwrap() {
            let number: usize = problem.answer.parse().unwrap();
            assert_eq!(mixed.level(problem), usize::from(hard(number)), "{number}");
        }
        let same: Vec<_> = (0..20).map(|n| line(n, 3.into())).collect();
        assert_eq!(task_of(&same, None, 4).unwrap().levels(), 1, "all of one level");
        assert_eq!(task(20, HeldOutSource::Share(0.1)).unwrap().levels(), 1, "no column");
    }

    #[test]
    fn problems_without_a_use_are_left_out_with_a_count_and_the_first_of_them() {
        let line = |problem: &str, answer: serde_json::Value| serde_json::json!({"problem": problem, "answer": answer});
        let mut lines: Vec<_> =
            (0..6).map(|n: u32| line(&format!("What is {n}?"), n.into())).collect();
        lines.push(line("Show it.", "proof".into()));
        lines.push(line("Show this.", "notfound".into()));
        lines.push(line("Show that.", serde_json::Value::Null));
        lines.push(line("", "1".into()));
        lines.push(line("one two three four five", "1".into()));
        lines.push(line("one two three four five six", "1".into()));
        let task = task_of(&lines, None, 4).unwrap();
        assert_eq!(
            task.all(Split::Train).unwrap().len() + task.all(Split::HeldOut).unwrap().len(),
            6
        );
        let of = |n: u32, why: &str| {
            format!("{n} of the 12 problems of mixed are left out because {why}")
        };
        let long = "2 of the 8 problems of mixed are left out because their prompts have more than \
                    4 tokens (what 7 new ones leave of the model's 11 positions), such as 10 with \
                    5";
        assert_eq!(
            task.notes(),
            [
                of(1, "they have no text, such as 9: 1"),
                of(1, "they have no answer, such as 8"),
                of(2, "their answers are words that stand for none, such as 6: proof"),
                long.to_string(),
            ]
        );
        assert_eq!(task.longest_prompt(0, &TextTokenizer::numbers(3).unwrap()).unwrap(), 3);
        let note = task_of(&lines, Some(5), 9).unwrap().notes().last().unwrap().clone();
        assert!(
            note.contains("1 of the 8 problems")
                && note.contains("more than 5 tokens (max_prompt_tokens), such as 11 with 6")
        );
        // Where nothing is left there is nothing to train on.
        let error = task_of(&lines, None, 1).err().unwrap();
        assert!(
            error.exit_status() == 2 && error.to_string().contains("8 of the 8 problems"),
            "{error}"
        );
        let error = task_of(&lines[6..9], None, 9).err().unwrap().to_string();
        assert!(
            error.contains("1 of the 3 problems") && error.contains("; 2 of the 3 problems"),
            "{error}"
        );
    }

    #[test]
    fn answers_that_are_not_letters_are_left_out_where_a_choice_is_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mixed.jsonl");
        let of = |answers: &[&str]| {
            let line = |(n, answer): (usize, &&str)| {
                serde_json::json!({"problem": format!("Which of {n}?"), "answer": answer})
                    .to_string()
            };
            let lines: Vec<String> = answers.iter().enumerate().map(line).collect();
            std::fs::write(&path, lines.join("\n")).unwrap();
            let config = DatasetConfig {
                verifier: AnswerFormat::Choice,
                ..config(path.clone(), HeldOutSource::Share(0.2))
            };
            Dataset::new(&config, &TextTokenizer::numbers(3).unwrap(), None)
        };
        let task = of(&["B", "7", "(C)", "K", "A"]).unwrap();
        let count = |split| task.all(split).unwrap().len();
        assert_eq!(count(Split::Train) + count(Split::HeldOut), 3);
        assert_eq!(
            task.notes(),
            ["2 of the 5 problems of mixed are left out because `verifier` is Choice and their \
              answers are not letters from A to J, such as 1: 7"]
        );
        let error = of(&["2", "3", "4"]).err().unwrap();
        let text = error.to_string();
        assert_eq!(error.exit_status(), 2);
        for word in ["3 of the 3 problems", "`verifier` is Choice", "may be Math", "mixed.jsonl"] {
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn every_epoch_has_every_problem_once_in_an_order_of_its_own() {
        let task = task(50, HeldOutSource::Share(0.2)).unwrap();
        let count = task.all(Split::Train).unwrap().len() as u64;
        let epoch = |seed, number: u64| -> Vec<String> {
            (0..count).map(|i| task.problem(Split::Train, seed, number * count + i).id).collect()
        };
        let orders = [epoch(0, 0), epoch(0, 1), epoch(1, 0)];
        for order in &orders {
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len() as u64, count);
        }
        assert!(orders[0] != orders[1] && orders[0] != orders[2]);
        assert_eq!(orders[0], epoch(0, 0));
    }

    #[test]
    fn a_share_is_held_out_and_stays_so_when_the_data_grow() {
        let ids = |task: &Dataset, split| -> BTreeSet<String> {
            task.all(split).unwrap().iter().map(|(problem, _)| problem.answer.clone()).collect()
        };
        let (small, large) = (
            task(1000, HeldOutSource::Share(0.1)).unwrap(),
            task(2000, HeldOutSource::Share(0.1)).unwrap(),
        );
        let held_out = ids(&small, Split::HeldOut);
        assert!(held_out.len().abs_diff(100) < 30, "{}", held_out.len());
        assert!(held_out.is_disjoint(&ids(&small, Split::Train)));
        assert_eq!(ids(&small, Split::Train).len() + held_out.len(), 1000);
        assert!(held_out.is_subset(&ids(&large, Split::HeldOut)));
        // Two problems: one on each side, whatever the share.
        for share in [0.0001, 0.9999] {
            let two = task(2, HeldOutSource::Share(share)).unwrap();
            assert_eq!((ids(&two, Split::Train).len(), ids(&two, Split::HeldOut).len()), (1, 1));
        }
        assert!(
            task(1, HeldOutSource::Share(0.5))
                .err()
                .unwrap()
                .to_string()
                .contains("one problem only")
        );
    }

    #[test]
    fn another_data_set_can_be_held_out() {
        let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny.parquet");
        let task = task(5, HeldOutSource::Other(DataSource::Local(other))).unwrap();
        assert_eq!(task.all(Split::Train).unwrap().len(), 5);
        assert_eq!(task.all(Split::HeldOut).unwrap().len(), 3);
        let problem = task.problem(Split::HeldOut, 0, 4);
        assert!(problem.id.starts_with("tiny-"));
        assert!(
            task.verify(&problem, &format!("\\boxed{{{}}}", problem.answer)).verdict.is_correct()
        );
    }
}
