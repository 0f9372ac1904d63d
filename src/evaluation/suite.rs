//! Suites: problems to measure on, and who judges the answers.

use crate::data::{PromptTemplate, Record, TrainingTexts, WORDS, named, read_records, same_answer};
use crate::error::{Error, Result};
use crate::experiment::{DataSource, EvaluationConfig, FileSuite, NamedSuite, SuiteConfig};
use crate::files::checksums::sha256_of_texts;
use crate::model::TextTokenizer;
use crate::tasks::dataset::{self, Named, Prompted, Prompting};
use crate::tasks::{Problem, Room, Split, Task, answer_classes, most_tokens};
use crate::verify::{AnswerFormat, Verification, verify};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The seed of held-out problems: one for all runs, so that runs with different seeds are measured
/// on the same problems.
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
    hash: String,
    /// What there is to say of the data, such as problems that had to be left out.
    pub notes: Vec<String>,
    /// SHA-256 of the text of the template that its prompts are made with, where there is one.
    pub template_hash: Option<String>,
}

impl Suite {
    /// The suite that an experiment describes: of `task`'s held-out problems, or of a data set.
    /// `tokenizer` brings the model's chat template; problems of a data set for which there is no
    /// `room` are left out. Downloads what is not there.
    pub fn new(
        config: &SuiteConfig,
        task: &Arc<dyn Task>,
        tokenizer: &TextTokenizer,
        room: Option<Room>,
    ) -> Result<Self> {
        match config {
            SuiteConfig::HeldOut(held_out) => Ok(Self::held_out(task.clone(), held_out.problems)),
            SuiteConfig::Named(suite) => Self::named(suite, tokenizer, room),
            SuiteConfig::File(suite) => Self::file(suite, tokenizer, room),
        }
    }

    /// The suites of an experiment's evaluations, in order, no two of one name.
    pub fn all(
        evaluations: &[EvaluationConfig],
        task: &Arc<dyn Task>,
        tokenizer: &TextTokenizer,
        room: Option<Room>,
    ) -> Result<Vec<Self>> {
        let suite =
            |evaluation: &EvaluationConfig| Self::new(&evaluation.suite, task, tokenizer, room);
        let mut suites = evaluations.iter().map(suite).collect::<Result<Vec<_>>>()?;
        Self::tell_apart(&mut suites);
        Ok(suites)
    }

    /// A published benchmark, from the hub or its cache.
    pub fn named(
        config: &NamedSuite,
        tokenizer: &TextTokenizer,
        room: Option<Room>,
    ) -> Result<Self> {
        let data = named(&config.name)?;
        let source = DataSource::Hub(data.source(config.revision.as_deref()));
        let records = read_records(&dataset::files(&source)?)?;
        let template =
            PromptTemplate::new(config.template.as_deref(), &config.template_variables, tokenizer)?;
        let (format, most_tokens) = (data.format, config.max_prompt_tokens);
        let prompting = Prompting { template: &template, format, tokenizer, room, most_tokens };
        let of = Named { name: data.name.to_string(), ..Named::of(&source) };
        Self::of_records(of, records, config.problems, Some(data.format), prompting)
    }

    /// The problems of a file, or of a folder of shards.
    pub fn file(config: &FileSuite, tokenizer: &TextTokenizer, room: Option<Room>) -> Result<Self> {
        let source = DataSource::Local(config.path.clone());
        let records = read_records(&dataset::files(&source)?)?;
        let template =
            PromptTemplate::new(config.template.as_deref(), &config.template_variables, tokenizer)?;
        let (format, most_tokens) = (config.verifier.unwrap_or_default(), config.max_prompt_tokens);
        let prompting = Prompting { template: &template, format, tokenizer, room, most_tokens };
        Self::of_records(Named::of(&source), records, config.problems, config.verifier, prompting)
    }

    /// The first `count` held-out problems of a task, each once.
    pub fn held_out(task: Arc<dyn Task>, count: usize) -> Self {
        let texts: HashMap<&str, &str> = task
            .all(Split::HeldOut)
            .into_iter()
            .flatten()
            .map(|(problem, text)| (problem.id.as_str(), text.as_str()))
            .collect();
        // Equal problems may be dealt under several numbers; each counts once, as long as there are
        // enough.
        let mut seen = BTreeSet::new();
        let problems: Vec<_> = (0..count as u64 * 20)
            .map(|index| task.problem(Split::HeldOut, HELD_OUT_SEED, index))
            .filter(|problem| seen.insert(problem.id.clone()))
            .take(count)
            .map(|problem| {
                let text = texts
                    .get(problem.id.as_str())
                    .map_or_else(|| problem.prompt.clone(), ToString::to_string);
                SuiteProblem { problem, text, subject: None, level: None }
            })
            .collect();
        let name = format!("{} held-out {}", task.name(), problems.len());
        let template_hash = task.template_hash().map(str::to_string);
        let texts =
            problems.iter().flat_map(|item| [&item.problem.id, &item.text, &item.problem.answer]);
        let hash = sha256_of_texts(texts.map(String::as_str));
        Self { name, problems, judge: Judge::Task(task), hash, notes: Vec::new(), template_hash }
    }

    fn of_records(
        of: Named,
        records: Vec<Record>,
        limit: Option<usize>,
        format: Option<AnswerFormat>,
        prompting: Prompting<'_>,
    ) -> Result<Self> {
        let mut notes = Vec::new();
        let asked = format.unwrap_or_default();
        let records = dataset::usable_records(records, asked, &of, &mut notes)?;
        let letter = |record: &Record| matches!(record.answer.as_bytes(), [b'A'..=b'J']);
        let all_letters = records.iter().all(|record| record.has_choices || letter(record));
        let format =
            format.unwrap_or(if all_letters { AnswerFormat::Choice } else { AnswerFormat::Math });
        let prompting = Prompting { format, ..prompting };
        let problem = |Prompted { record, prompt, .. }: Prompted| {
            let problem = Problem { id: record.id, prompt, answer: record.answer };
            SuiteProblem {
                problem,
                text: record.problem,
                subject: record.subject,
                level: record.level,
            }
        };
        let prompted = prompting.prompts(records, &of, limit, &mut notes)?;
        let hash = sha256_of_texts(prompted.iter().flat_map(|item| item.record.texts()));
        let problems = prompted.into_iter().map(problem).collect();
        let template_hash = Some(prompting.template.hash().to_string());
        Ok(Self {
            name: of.name,
            problems,
            judge: Judge::Format(format),
            hash,
            notes,
            template_hash,
        })
    }

    /// Gives suites of one name names of their own: `test`, `test (2)`. Records and curves go by them.
    fn tell_apart(suites: &mut [Self]) {
        let mut taken = BTreeSet::new();
        for suite in suites {
            let numbered = (2..).map(|number| format!("{} ({number})", suite.name));
            let mut names = std::iter::once(suite.name.clone()).chain(numbered);
            suite.name = names.find(|name| !taken.contains(name)).unwrap_or_default();
            taken.insert(suite.name.clone());
        }
    }

    /// Judges one completion.
    pub fn verify(&self, problem: &Problem, completion: &str) -> Verification {
        match &self.judge {
            Judge::Task(task) => task.verify(problem, completion),
            Judge::Format(format) => verify(&problem.answer, completion, *format),
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
        let prompts: Vec<String> =
            self.problems.iter().map(|item| item.problem.prompt.clone()).collect();
        most_tokens(&prompts, tokenizer)
    }

    /// Refuses the suite where its longest prompt leaves too little of the model's `room` for
    /// completions.
    pub fn check_length(&self, tokenizer: &TextTokenizer, room: Room) -> Result<()> {
        let longest = self.longest_prompt(tokenizer)?;
        let Room { positions, new_tokens } = room;
        if longest + new_tokens <= positions {
            return Ok(());
        }
        let remedy = if longest < positions { "lower the number of new tokens, or " } else { "" };
        Err(Error::input(format!(
            "the suite {} has a prompt of {longest} tokens; with {new_tokens} new ones that is \
             more than the {positions} positions of the model; {remedy}choose other problems or \
             another template",
            self.name
        )))
    }

    /// What to say of problems that are also among those that `task` trains on, if any are.
    pub fn overlap(&self, task: &dyn Task) -> Option<String> {
        let training =
            TrainingTexts::new(task.all(Split::Train)?.iter().map(|(_, text)| text.as_str()));
        let shared: Vec<_> =
            self.problems.iter().filter(|item| training.overlap(&item.text)).collect();
        let example = shared.first()?;
        Some(format!(
            "{} of the {} problems of {} ({:.1} %) overlap with training problems (half of their \
             runs of {WORDS} words), such as {}: {}",
            shared.len(),
            self.problems.len(),
            self.name,
            100.0 * shared.len() as f64 / self.problems.len() as f64,
            example.problem.id,
            example.text.chars().take(100).collect::<String>()
        ))
    }

    /// SHA-256 of the problems: ids, texts and answers, without what the template makes of them.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}
