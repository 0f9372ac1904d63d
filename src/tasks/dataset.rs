//! The problems of a data set as a task.
//!
//! Training goes through all problems in an order that the seed and the epoch decide, then through all of them in another one: index
//! i is problem i mod n of epoch i / n. Held out are the problems whose text has a small hash (so equal problems are never on
//! both sides, and the side does not depend on what else is in the files), or another data set.

use super::{Problem, Split, Task};
use crate::data::{PromptTemplate, Record, judge, read_records, same_answer};
use crate::error::{Error, Result};
use crate::experiment::{AnswerFormat, DataSource, DatasetConfig, HeldOutSource};
use crate::model::{TextTokenizer, hexadecimal, hub};
use crate::rng::{self, Domain};
use crate::verify::Verification;
use sha2::{Digest, Sha256};
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
        DataSource::Local(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
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
    notes: Vec<String>,
}

/// The records whose answers are whole; what is left out is noted. Fails where nothing is left.
pub(crate) fn whole_records(records: Vec<Record>, name: &str, notes: &mut Vec<String>) -> Result<Vec<Record>> {
    let count = records.len();
    let (whole, cut): (Vec<_>, Vec<_>) = records.into_iter().partition(Record::has_whole_answer);
    if let Some(first) = cut.first() {
        let text = format!(
            "{} of the {count} problems of {name} are left out because their answers are cut off in the data, such as {}: {}",
            cut.len(),
            first.id,
            first.answer
        );
        if whole.is_empty() {
            return Err(Error::input(text));
        }
        notes.push(text);
    }
    Ok(whole)
}

impl Dataset {
    /// Reads the data and makes the prompts. `tokenizer` brings the model's chat template.
    ///
    /// Bad input are files that cannot be read or understood, a template that does not work, and fewer than two different
    /// problems, because one side would have none.
    pub fn new(config: &DatasetConfig, tokenizer: &TextTokenizer) -> Result<Self> {
        let template = PromptTemplate::new(config.template.as_deref(), tokenizer)?;
        let mut notes = Vec::new();
        let mut read = |source: &DataSource| whole_records(read_records(&files(source)?)?, &name(source), &mut notes);
        let records = read(&config.source)?;
        let (train, held_out) = match &config.held_out {
            HeldOutSource::Other(other) => (records, read(other)?),
            HeldOutSource::Share(share) => divide(records, *share)?,
        };
        let problems = |records: Vec<Record>| {
            let problem = |record: Record| {
                let prompt = template.render(&record, config.verifier)?;
                Ok((Problem { id: record.id, prompt, answer: record.answer }, record.problem))
            };
            records.into_iter().map(problem).collect::<Result<Vec<_>>>()
        };
        let (train, held_out) = (problems(train)?, problems(held_out)?);
        let mut hasher = Sha256::new();
        for (problem, _) in train.iter().chain(&held_out) {
            for text in [&problem.id, &problem.prompt, &problem.answer] {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text);
            }
        }
        let hash = hexadecimal(hasher.finalize());
        Ok(Self { name: name(&config.source), format: config.verifier, train, held_out, hash, notes })
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

/// Training and held-out records. Neither side is empty: the problem with the smallest place is held out and the one with the
/// largest trained on, whatever the share.
fn divide(records: Vec<Record>, share: f64) -> Result<(Vec<Record>, Vec<Record>)> {
    let places: Vec<f64> = records.iter().map(|record| place(record.problem.trim())).collect();
    let smallest = places.iter().copied().fold(1.0, f64::min);
    let largest = places.iter().copied().fold(0.0, f64::max);
    if smallest >= largest {
        return Err(Error::field(
            "task.held_out",
            "is a share, but the data set has one problem only; give another data set with Other(..)",
        ));
    }
    let is_held_out = |place: f64| place <= smallest || (place < share && place < largest);
    let (held_out, train): (Vec<_>, Vec<_>) =
        records.into_iter().zip(places).partition(|(_, place)| is_held_out(*place));
    let records = |side: Vec<(Record, f64)>| side.into_iter().map(|(record, _)| record).collect();
    Ok((records(train), records(held_out)))
}

impl Task for Dataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn problem(&self, split: Split, seed: u64, index: u64) -> Problem {
        let problems = self.side(split);
        let count = problems.len() as u64;
        let mut order: Vec<usize> = (0..problems.len()).collect();
        rng::shuffle(&mut rng::stream(seed, Domain::ProblemOrder, [split as u64, index / count, 0]), &mut order);
        problems[order[(index % count) as usize]].0.clone()
    }

    fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        judge(self.format, &problem.answer, completion)
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

    fn hash(&self) -> Option<&str> {
        Some(&self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The task of a file with this many problems.
    fn task(count: usize, held_out: HeldOutSource) -> Result<Dataset> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.jsonl");
        let line = |n: usize| serde_json::json!({ "problem": format!("What is {n}?"), "answer": n }).to_string();
        std::fs::write(&path, (0..count).map(line).collect::<Vec<_>>().join("\n")).unwrap();
        let config =
            DatasetConfig { source: DataSource::Local(path), template: None, verifier: AnswerFormat::Math, held_out };
        Dataset::new(&config, &TextTokenizer::numbers(3).unwrap())
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
        let (small, large) =
            (task(1000, HeldOutSource::Share(0.1)).unwrap(), task(2000, HeldOutSource::Share(0.1)).unwrap());
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
        assert!(task(1, HeldOutSource::Share(0.5)).err().unwrap().to_string().contains("one problem only"));
    }

    #[test]
    fn another_data_set_can_be_held_out() {
        let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny.parquet");
        let task = task(5, HeldOutSource::Other(DataSource::Local(other))).unwrap();
        assert_eq!(task.all(Split::Train).unwrap().len(), 5);
        assert_eq!(task.all(Split::HeldOut).unwrap().len(), 3);
        let problem = task.problem(Split::HeldOut, 0, 4);
        assert!(problem.id.starts_with("tiny-"));
        assert!(task.verify(&problem, &format!("\\boxed{{{}}}", problem.answer)).verdict.is_correct());
    }
}
