//! Suites: problems to measure on, and who judges the answers.

use crate::data::{PromptTemplate, Record, TrainingTexts, WORDS, judge, named, read_records, same_answer};
use crate::error::{Error, Result};
use crate::experiment::{AnswerFormat, DataSource, FileSuite, NamedSuite, SuiteConfig};
use crate::model::{LanguageModel, TextTokenizer, hexadecimal};
use crate::tasks::{Problem, Split, Task, answer_classes, dataset};
use crate::verify::Verification;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The seed of held-out problems: one for all runs, so that runs with different seeds are measured on the same problems.
const HELD_OUT_SEED: u64 = 0;

/// A problem of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteProblem {
    /// Prompt and answer. No other problem of the suite has its id.
    pub problem: Problem,
    /// The problem's text without what the prompt adds to it.
    pub text: String,
    /// Subject, where the data set names one.
    pub subject: Option<String>,
    /// Difficulty, where the data set names one.
    pub level: Option<String>,
}

/// Who judges answers.
#[derive(Clone)]
enum Judge {
    Task(Arc<dyn Task>),
    Format(AnswerFormat),
}

/// Problems to measure on.
#[derive(Clone)]
pub struct Suite {
    /// Its name in records and tables.
    pub name: String,
    /// Its problems, at least one.
    pub problems: Vec<SuiteProblem>,
    judge: Judge,
    /// What there is to say of the data, such as problems that had to be left out.
    pub notes: Vec<String>,
}

impl Suite {
    /// The suite that an experiment describes: of `task`'s held-out problems, or of a data set. `tokenizer` brings the model's chat
    /// template. Downloads what is not there.
    pub fn new(config: &SuiteConfig, task: &Arc<dyn Task>, tokenizer: &TextTokenizer) -> Result<Self> {
        match config {
            SuiteConfig::HeldOut(held_out) => Ok(Self::held_out(task.clone(), held_out.problems)),
            SuiteConfig::Named(suite) => Self::named(suite, tokenizer),
            SuiteConfig::File(suite) => Self::file(suite, tokenizer),
        }
    }

    /// A published benchmark, from the hub or its cache.
    pub fn named(config: &NamedSuite, tokenizer: &TextTokenizer) -> Result<Self> {
        let data = named(&config.name)?;
        let records = read_records(&dataset::files(&DataSource::Hub(data.source(config.revision.as_deref())))?)?;
        let template = PromptTemplate::new(config.template.as_deref(), tokenizer)?;
        Self::of_records(data.name, records, config.problems, Some(data.format), &template)
    }

    /// The problems of a file.
    pub fn file(config: &FileSuite, tokenizer: &TextTokenizer) -> Result<Self> {
        let records = read_records(std::slice::from_ref(&config.path))?;
        let template = PromptTemplate::new(config.template.as_deref(), tokenizer)?;
        let name = config.path.file_stem().unwrap_or_default().to_string_lossy();
        Self::of_records(&name, records, config.problems, config.verifier, &template)
    }

    /// The first `count` held-out problems of a task, each once.
    pub fn held_out(task: Arc<dyn Task>, count: usize) -> Self {
        let texts: HashMap<&str, &str> = task
            .all(Split::HeldOut)
            .into_iter()
            .flatten()
            .map(|(problem, text)| (problem.id.as_str(), text.as_str()))
            .collect();
        // Equal problems may be dealt under several numbers; each counts once, as long as there are enough.
        let mut seen = BTreeSet::new();
        let problems: Vec<_> = (0..count as u64 * 20)
            .map(|index| task.problem(Split::HeldOut, HELD_OUT_SEED, index))
            .filter(|problem| seen.insert(problem.id.clone()))
            .take(count)
            .map(|problem| {
                let text = texts.get(problem.id.as_str()).map_or_else(|| problem.prompt.clone(), ToString::to_string);
                SuiteProblem { problem, text, subject: None, level: None }
            })
            .collect();
        let name = format!("{} held-out {}", task.name(), problems.len());
        Self { name, problems, judge: Judge::Task(task), notes: Vec::new() }
    }

    fn of_records(
        name: &str,
        records: Vec<Record>,
        limit: Option<usize>,
        format: Option<AnswerFormat>,
        template: &PromptTemplate,
    ) -> Result<Self> {
        let mut notes = Vec::new();
        let records = dataset::whole_records(records, name, &mut notes)?;
        let letter = |record: &Record| matches!(record.answer.as_bytes(), [b'A'..=b'J']);
        let all_letters = records.iter().all(|record| record.has_choices || letter(record));
        let format = format.unwrap_or(if all_letters { AnswerFormat::Choice } else { AnswerFormat::Math });
        let problems = records
            .into_iter()
            .take(limit.unwrap_or(usize::MAX))
            .map(|record| {
                let prompt = template.render(&record, format)?;
                let problem = Problem { id: record.id, prompt, answer: record.answer };
                Ok(SuiteProblem { problem, text: record.problem, subject: record.subject, level: record.level })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { name: name.to_string(), problems, judge: Judge::Format(format), notes })
    }

    /// Judges one completion.
    pub fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        match &self.judge {
            Judge::Task(task) => task.verify(problem, completion),
            Judge::Format(format) => judge(*format, &problem.answer, completion),
        }
    }

    /// Classes of the same answer, as [`answer_classes`] numbers them.
    pub fn classes(&self, problem: &Problem, answers: &[Option<&str>]) -> Vec<Option<usize>> {
        answer_classes(answers, |one, other| match &self.judge {
            Judge::Task(task) => task.same_answer(problem, one, other),
            Judge::Format(format) => same_answer(*format, one, other),
        })
    }

    /// The largest number of tokens of a prompt.
    pub fn longest_prompt(&self, tokenizer: &TextTokenizer) -> Result<usize> {
        let lengths = self.problems.par_iter().map(|item| Ok(tokenizer.encode(&item.problem.prompt)?.len()));
        Ok(lengths.collect::<Result<Vec<_>>>()?.into_iter().max().unwrap_or(0))
    }

    /// Refuses completions of `max_new_tokens` tokens if they are too long for the model after the longest prompt.
    pub fn check_length(&self, model: &LanguageModel, max_new_tokens: usize) -> Result<()> {
        let longest = self.longest_prompt(&model.tokenizer)?;
        let positions = model.config.max_position_embeddings;
        if longest + max_new_tokens <= positions {
            return Ok(());
        }
        Err(Error::input(format!(
            "the suite {} has a prompt of {longest} tokens; with {max_new_tokens} new ones that is more than the {positions} \
             positions of the model; lower the number of new tokens, or choose other problems or another template",
            self.name
        )))
    }

    /// What to say of problems that are also among those that `task` trains on, if any are.
    pub fn overlap(&self, task: &dyn Task) -> Option<String> {
        let training = TrainingTexts::new(task.all(Split::Train)?.iter().map(|(_, text)| text.as_str()));
        let shared: Vec<_> = self.problems.iter().filter(|item| training.overlap(&item.text)).collect();
        let example = shared.first()?;
        Some(format!(
            "{} of the {} problems of {} ({:.1} %) overlap with training problems (half of their runs of {WORDS} words), such as {}: {}",
            shared.len(),
            self.problems.len(),
            self.name,
            100.0 * shared.len() as f64 / self.problems.len() as f64,
            example.problem.id,
            example.text.chars().take(100).collect::<String>()
        ))
    }

    /// SHA-256 of the problems: ids, prompts and answers.
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for SuiteProblem { problem, .. } in &self.problems {
            for text in [&problem.id, &problem.prompt, &problem.answer] {
                hasher.update((text.len() as u64).to_le_bytes());
                hasher.update(text);
            }
        }
        hexadecimal(hasher.finalize())
    }
}
