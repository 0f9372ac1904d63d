//! `orthant eval`: pass@k, the majority's and the mean accuracy of a model on a suite.

use super::arguments::{DtypeChoice, number, parse_device, parse_seed, whole};
use super::models::{load, model_files};
use super::stack::on_large_stack;
use super::terminal::{note, say};
use crate::data::NAMED;
use crate::error::{Error, Result, nearest};
use crate::escape::shown;
use crate::evaluation::{
    EvaluationFolder, EvaluationSettings, ProblemOutcome, Replaced, Suite, SuiteProblem, Summary,
    sample_suite,
};
use crate::experiment::{
    ArithmeticConfig, CountdownConfig, DatasetConfig, DeviceChoice, EvaluationConfig, FileSuite,
    HeldOutConfig, NamedSuite, RolloutConfig, TaskConfig, TemplateValue, TemplateVariables,
};
use crate::model::{LanguageModel, open_device};
use crate::tasks::{self, Room};
use crate::verify::AnswerFormat;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args)]
#[command(
    after_help = "Suites: MATH500, AMC, AIME24, AIME25, GPQA, MMLU-Pro, GSM8K (from the Hugging \
                  Face hub), countdown, arithmetic (held-out problems), or a file (.json, .jsonl, \
                  .csv, .tsv, .parquet, text also as .gz) or a folder of shards with `problem`, \
                  `question` or `prompt`, and `answer`.\n\nAn evaluation that was cut off \
                  continues where it was when it is started again with the same --out.\n\nExample: \
                  orthant eval --model countdown --suite countdown --samples 16 --limit 128"
)]
pub(super) struct EvalArguments {
    /// The model: a Hugging Face folder, a PEFT folder, or the name of a bundled model.
    #[arg(long, value_name = "DIR")]
    model: String,
    /// The base model of an adapter, where it is not the one that the adapter's settings name.
    #[arg(long, value_name = "DIR")]
    base: Option<String>,
    /// The problems: a suite's name, or a file.
    #[arg(long, value_name = "NAME_OR_FILE")]
    suite: String,
    /// Completions per problem.
    #[arg(
        long,
        value_name = "N",
        default_value_t = EvaluationConfig::SAMPLES,
        value_parser = whole::<usize>(1, EvaluationConfig::MOST_SAMPLES as i64),
    )]
    samples: usize,
    /// pass@k for these k, such as 1,4,16. Left out, the powers of 4 up to the number of samples,
    /// and that number.
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = whole::<usize>(1, EvaluationConfig::MOST_SAMPLES as i64),
    )]
    k: Vec<usize>,
    /// Sampling temperature; 0 takes the likeliest token.
    #[arg(
        long,
        value_name = "T",
        default_value_t = EvaluationConfig::TEMPERATURE,
        value_parser = number(EvaluationConfig::TEMPERATURES),
    )]
    temperature: f64,
    /// Draws from so many of the likeliest tokens only.
    #[arg(long, value_name = "K", value_parser = whole::<usize>(1, 1 << 22))]
    top_k: Option<usize>,
    /// Draws from the smallest set of likeliest tokens whose probabilities sum to at least P.
    #[arg(long, value_name = "P", value_parser = number(EvaluationConfig::TOP_P))]
    top_p: Option<f64>,
    /// Most tokens of a completion. Left out, 4096 or what the model's positions leave after the
    /// longest prompt.
    #[arg(
        long,
        value_name = "N",
        value_parser = whole::<u64>(1, RolloutConfig::MOST_NEW_TOKENS as i64),
    )]
    max_new_tokens: Option<u64>,
    /// The first so many problems only. Left out, all of a data set and 128 held-out problems.
    #[arg(
        long,
        value_name = "N",
        value_parser = whole::<u64>(1, EvaluationConfig::MOST_PROBLEMS as i64),
    )]
    limit: Option<u64>,
    /// What a problem is put into: `plain`, `qwen_boxed`, `choice`, `chat` (the model's chat
    /// template) or a Jinja file. Left out, `chat` where the model has a chat template, and else
    /// `plain`.
    #[arg(long, value_name = "NAME_OR_FILE")]
    template: Option<String>,
    /// A variable that the template reads, such as `enable_thinking=false` for Qwen3. May be given
    /// several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = template_variable)]
    template_variable: Vec<(String, TemplateValue)>,
    /// Leaves problems out whose prompts have more tokens. Those that leave no room for new tokens
    /// are left out anyway.
    #[arg(
        long,
        value_name = "N",
        value_parser = whole::<u64>(1, DatasetConfig::MOST_PROMPT_TOKENS as i64),
    )]
    max_prompt_tokens: Option<u64>,
    /// What the answers of a file are. Left out, choices where every answer is one letter from A to
    /// J, and mathematics where not.
    #[arg(long, value_name = "VERIFIER", value_parser = answer_format())]
    verifier: Option<AnswerFormat>,
    /// Continues an evaluation although model, problems or template are not those that it was
    /// begun with, and records what changed.
    #[arg(long)]
    accept_changes: bool,
    /// Decides every random draw.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_seed)]
    seed: u64,
    /// The folder for eval.json and samples.jsonl. Left out, `runs/eval-MODEL-SUITE`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where tensors live: auto, cpu or cuda:0.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceChoice,
    /// Type of weights and compute.
    #[arg(long, value_enum, default_value_t = DtypeChoice::F32)]
    dtype: DtypeChoice,
    /// Completions that are sampled at a time. Decides memory, not results. Left out, as many as
    /// fit into 4 GiB of keys and values.
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1, 1 << 20))]
    rows: Option<u64>,
    /// Prints a machine-readable line last.
    #[arg(long)]
    json: bool,
}

/// Reads the name of a format.
fn answer_format() -> impl TypedValueParser<Value = AnswerFormat> {
    PossibleValuesParser::new(AnswerFormat::ALL.map(AnswerFormat::name))
        .try_map(|name| AnswerFormat::named(&name).ok_or("there is no such format"))
}

/// `name=value`, where the value is written as in JSON or as in Python, or else is a text.
fn template_variable(text: &str) -> Result<(String, TemplateValue), String> {
    let (name, value) =
        text.split_once('=').ok_or("write it as NAME=VALUE, such as enable_thinking=false")?;
    let parsed = match value.trim() {
        "True" => Some(TemplateValue::Bool(true)),
        "False" => Some(TemplateValue::Bool(false)),
        value => serde_json::from_str(value).ok(),
    };
    Ok((name.trim().to_string(), parsed.unwrap_or_else(|| TemplateValue::Text(value.to_string()))))
}

/// Most tokens of a completion where nobody says.
const NEW_TOKENS: usize = 4096;

impl EvalArguments {
    fn template_variables(&self) -> TemplateVariables {
        self.template_variable.iter().cloned().collect()
    }

    /// The suite, with problems that leave room for the new tokens that are asked for, or for one.
    fn suite(&self, model: &LanguageModel) -> Result<Suite> {
        let limit = self.limit.map(|limit| limit as usize);
        let (template, template_variables) = (self.template.clone(), self.template_variables());
        let max_prompt_tokens = self.max_prompt_tokens.map(|tokens| tokens as usize);
        let positions = model.config.max_position_embeddings;
        let room =
            Room { positions, new_tokens: self.max_new_tokens.map_or(1, |tokens| tokens as usize) };
        if room.most() == 0 {
            return Err(Error::input(format!(
                "--max-new-tokens {}: the model has {positions} positions, for prompt and \
                 completion together; lower it",
                room.new_tokens
            )));
        }
        let procedural = match self.suite.to_lowercase().as_str() {
            "countdown" => Some(TaskConfig::Countdown(CountdownConfig::default())),
            "arithmetic" => Some(TaskConfig::Arithmetic(ArithmeticConfig::default())),
            _ => None,
        };
        if let Some(config) = procedural {
            let has_prompts =
                template.is_some() || !template_variables.is_empty() || max_prompt_tokens.is_some();
            if has_prompts || self.verifier.is_some() {
                return Err(Error::input(format!(
                    "the suite {} has prompts and a verifier of its own; leave --template, \
                     --template-variable, --max-prompt-tokens and --verifier out",
                    self.suite
                )));
            }
            let task = tasks::build(&config, &model.tokenizer, Some(room))?;
            return Ok(Suite::held_out(task, limit.unwrap_or(HeldOutConfig::default().problems)));
        }
        if NAMED.iter().any(|suite| suite.name.eq_ignore_ascii_case(&self.suite)) {
            let config = NamedSuite {
                name: self.suite.clone(),
                template,
                template_variables,
                max_prompt_tokens,
                problems: limit,
                revision: None,
            };
            Suite::named(&config, &model.tokenizer, Some(room))
        } else if Path::new(&self.suite).exists() {
            let verifier = self.verifier;
            let path = PathBuf::from(&self.suite);
            let config = FileSuite {
                path,
                template,
                template_variables,
                max_prompt_tokens,
                verifier,
                problems: limit,
            };
            Suite::file(&config, &model.tokenizer, Some(room))
        } else {
            let names: Vec<&str> =
                NAMED.iter().map(|suite| suite.name).chain(["countdown", "arithmetic"]).collect();
            let near = nearest(&self.suite, names.iter().copied());
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            Err(Error::input(format!(
                "the suite `{}` is neither a file nor one of {}{near}",
                self.suite,
                names.join(", ")
            )))
        }
    }

    /// Everything that decides the samples, and what is read, by its hashes.
    fn decisive(
        &self,
        model: &LanguageModel,
        suite: &Suite,
        settings: &EvaluationSettings,
    ) -> Result<Map<String, Value>> {
        let mut inputs = Map::new();
        inputs.insert("the model's weights".to_string(), model.weights.hash()?.into());
        inputs.extend(
            model
                .hashes()
                .into_iter()
                .map(|(name, hash)| (format!("the model's {name}"), hash.into())),
        );
        inputs.insert("the problems of the suite".to_string(), suite.hash().into());
        inputs.extend(
            suite
                .template_hash
                .iter()
                .map(|hash| ("the template".to_string(), hash.clone().into())),
        );
        let dtype = self.dtype.to_possible_value();
        let settings = json!({
            "suite": suite.name,
            "model": self.model,
            "base": self.base,
            "samples": settings.samples,
            "temperature": settings.temperature,
            "top_k": settings.top_k,
            "top_p": settings.top_p,
            "max_new_tokens": settings.max_new_tokens,
            "seed": settings.seed,
            "dtype": dtype.map(|dtype| dtype.get_name().to_string()),
            "limit": self.limit,
            "max_prompt_tokens": self.max_prompt_tokens,
            "verifier": self.verifier.map(AnswerFormat::name),
            "template_variables": self.template_variables(),
            "inputs": inputs,
        });
        let Value::Object(settings) = settings else {
            return Err(Error::failed("settings are an object"));
        };
        Ok(settings)
    }

    /// The k of pass@k.
    fn k(&self, samples: usize) -> Result<Vec<usize>> {
        if let Some(k) = self.k.iter().find(|k| **k > samples) {
            return Err(Error::input(format!(
                "--k {k} is more than --samples {samples}; pass@{k} needs {k} samples of each \
                 problem: give a smaller --k or more --samples"
            )));
        }
        if self.k.is_empty() {
            let powers =
                std::iter::successors(Some(1), |k| Some(4 * k)).take_while(|k| *k < samples);
            return Ok(powers.chain([samples]).collect());
        }
        Ok(self.k.clone())
    }
}

pub(super) fn run(arguments: &EvalArguments) -> Result<u8> {
    let samples = arguments.samples;
    let k = arguments.k(samples)?;
    let device = open_device(arguments.device, |warning| note!("warning: {warning}"))?;
    let model = load(
        model_files(&arguments.model, arguments.base.as_ref())?,
        arguments.dtype.dtype(),
        &device,
    )?;
    let suite = arguments.suite(&model)?;
    suite.notes.iter().for_each(|note| note!("warning: {note}"));
    let room = model
        .config
        .max_position_embeddings
        .saturating_sub(suite.longest_prompt(&model.tokenizer)?);
    let max_new_tokens =
        arguments.max_new_tokens.map_or(NEW_TOKENS.min(room).max(1), |tokens| tokens as usize);
    let room = Room { positions: model.config.max_position_embeddings, new_tokens: max_new_tokens };
    suite.check_length(&model.tokenizer, room)?;
    let settings = EvaluationSettings {
        samples,
        temperature: arguments.temperature,
        top_k: arguments.top_k,
        top_p: arguments.top_p,
        max_new_tokens,
        seed: arguments.seed,
        step: 0,
        rows: arguments.rows.map(|rows| rows as usize),
    };
    let decisive = arguments.decisive(&model, &suite, &settings)?;
    let template_variables = arguments.template_variables();
    let out = arguments.out.clone().unwrap_or_else(|| default_out(&arguments.model, &suite.name));
    let (mut folder, earlier) =
        EvaluationFolder::open(&out, &decisive, &suite, samples, arguments.accept_changes)?;
    earlier.notes.iter().for_each(|note| note!("warning: {note}"));
    let sampled = sample(&model, &suite, &settings, &mut folder, earlier.outcomes)?;

    let summary = Summary::new(&sampled.outcomes, samples, &k)?;
    let parts = |name| by_part(&suite, &sampled.outcomes, samples, &k, name);
    let subjects = parts(|item| item.subject.as_ref())?;
    let levels = parts(|item| item.level.as_ref())?;

    let mut result = Map::new();
    result.insert("suite".to_string(), suite.name.clone().into());
    result.insert("model".to_string(), arguments.model.clone().into());
    for (name, value) in fields(&summary)? {
        result.insert(name, value);
    }
    result.insert("temperature".to_string(), settings.temperature.into());
    result.extend(settings.top_k.map(|top_k| ("top_k".to_string(), top_k.into())));
    result.extend(settings.top_p.map(|top_p| ("top_p".to_string(), top_p.into())));
    result.insert("max_new_tokens".to_string(), max_new_tokens.into());
    result.insert("seed".to_string(), settings.seed.into());
    if !template_variables.is_empty() {
        result.insert("template_variables".to_string(), json!(template_variables));
    }
    if !earlier.replaced.is_empty() {
        result.insert(
            "replaced".to_string(),
            earlier.replaced.iter().map(Replaced::to_json).collect(),
        );
    }
    for (name, parts) in [("subjects", &subjects), ("levels", &levels)] {
        if !parts.is_empty() {
            let parts = parts
                .iter()
                .map(|(name, summary)| Ok((name.clone(), Value::Object(fields(summary)?))));
            result.insert(name.to_string(), Value::Object(parts.collect::<Result<_>>()?));
        }
    }
    folder.finish(&Value::Object(result.clone()))?;

    let pace = sampled.tokens_per_s;
    print(&suite, &summary, &subjects, &levels, sampled.earlier, pace, &out)?;
    if arguments.json {
        result.insert("tokens_per_s".to_string(), pace.map_or(Value::Null, Value::from));
        result.insert("out".to_string(), out.display().to_string().into());
        say!("{}", Value::Object(result))?;
    }
    Ok(0)
}

/// The outcomes of all problems of a suite.
struct Sampled {
    outcomes: Vec<ProblemOutcome>,
    /// How many of them an earlier try left.
    earlier: usize,
    /// Tokens per second, where any were sampled.
    tokens_per_s: Option<f64>,
}

/// Samples the problems that have no outcome yet, with a progress bar, and writes each into the
/// folder as soon as it is judged.
fn sample(
    model: &LanguageModel,
    suite: &Suite,
    settings: &EvaluationSettings,
    folder: &mut EvaluationFolder,
    mut outcomes: Vec<Option<ProblemOutcome>>,
) -> Result<Sampled> {
    let is_missing = |&number: &usize| outcomes[number].is_none();
    let missing: Vec<usize> = (0..outcomes.len()).filter(is_missing).collect();
    let first = outcomes.len() - missing.len();
    let started = Instant::now();
    let bar = ProgressBar::new(suite.problems.len() as u64).with_position(first as u64);
    let template = "{bar:24} {pos}/{len} problems  {msg}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }

    let mut tokens = 0;
    on_large_stack("eval", || {
        let mut numbers = missing.iter();
        let each = |samples: &[_]| {
            folder.append(samples)?;
            let outcome = ProblemOutcome::of(samples);
            tokens += outcome.tokens;
            if let Some(&number) = numbers.next() {
                outcomes[number] = Some(outcome);
            }
            let done = outcomes.iter().flatten();
            let (correct, done) = done.fold((0, 0), |(c, n), o| (c + o.correct, n + 1));
            let accuracy = 100.0 * correct as f64 / (done * samples.len()) as f64;
            bar.set_message(format!("accuracy {accuracy:.1} %"));
            Ok(())
        };
        let progress =
            |share: f32| bar.set_position(first as u64 + (share * missing.len() as f32) as u64);
        sample_suite(model, suite, &missing, settings, each, progress)
    })?;
    bar.finish_and_clear();
    let pace = tokens as f64 / started.elapsed().as_secs_f64();
    Ok(Sampled {
        outcomes: outcomes.into_iter().flatten().collect(),
        earlier: first,
        tokens_per_s: (tokens > 0).then_some(pace),
    })
}

/// Summaries of the parts of a suite that `name` tells apart, by their names; those without a name
/// are in none.
fn by_part(
    suite: &Suite,
    outcomes: &[ProblemOutcome],
    samples: usize,
    k: &[usize],
    name: fn(&SuiteProblem) -> Option<&String>,
) -> Result<Vec<(String, Summary)>> {
    let mut parts: BTreeMap<&String, Vec<ProblemOutcome>> = BTreeMap::new();
    for (item, outcome) in suite.problems.iter().zip(outcomes) {
        if let Some(name) = name(item).filter(|name| !name.is_empty()) {
            parts.entry(name).or_default().push(*outcome);
        }
    }
    let summary = |(name, outcomes): (&String, Vec<_>)| {
        Ok((name.clone(), Summary::new(&outcomes, samples, k)?))
    };
    parts.into_iter().map(summary).collect()
}

/// The folder where nobody names one.
fn default_out(model: &str, suite: &str) -> PathBuf {
    let model = Path::new(model).file_name().unwrap_or_default().to_string_lossy();
    let name = format!("eval-{model}-{suite}")
        .replace(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.')), "-");
    Path::new("runs").join(name)
}

/// A summary as it stands in `eval.json`.
fn fields(summary: &Summary) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    fields.insert("problems".to_string(), summary.problems.into());
    fields.insert("samples".to_string(), summary.samples.into());
    for (name, estimate) in summary.estimates() {
        let value = serde_json::to_value(estimate);
        fields.insert(
            name,
            value.map_err(|e| Error::failed(format!("cannot write an estimate: {e}")))?,
        );
    }
    fields.insert("length_mean".to_string(), summary.length_mean.into());
    fields.insert("truncated_ratio".to_string(), summary.truncated_ratio.into());
    fields.insert("no_answer_ratio".to_string(), summary.no_answer_ratio.into());
    Ok(fields)
}

/// Most characters of a name in the table.
const NAME_WIDTH: usize = 40;

fn print(
    suite: &Suite,
    summary: &Summary,
    subjects: &[(String, Summary)],
    levels: &[(String, Summary)],
    first: usize,
    pace: Option<f64>,
    out: &Path,
) -> Result<()> {
    say!(
        "{}: {} problems, {} samples each, %, with 95 % intervals over problems",
        suite.name,
        summary.problems,
        summary.samples
    )?;
    let subjects: Vec<_> =
        subjects.iter().map(|(name, part)| (shown(name, NAME_WIDTH), part)).collect();
    let levels: Vec<_> = levels
        .iter()
        .map(|(name, part)| (format!("level {}", shown(name, NAME_WIDTH)), part))
        .collect();
    let width = subjects
        .iter()
        .chain(&levels)
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(8);
    let estimates: Vec<_> = summary.estimates().collect();
    let names: Vec<String> = estimates.iter().map(|(name, _)| format!("{name:>20}")).collect();
    say!("{:width$}  problems{}", "", names.concat())?;
    let row = |name: &str, summary: &Summary| {
        let cells: Vec<String> = summary
            .estimates()
            .map(|(_, e)| {
                format!(
                    "{:>20}",
                    format!("{:.1} [{:.1}, {:.1}]", 100.0 * e.value, 100.0 * e.low, 100.0 * e.high)
                )
            })
            .collect();
        say!("{name:width$}  {:>8}{}", summary.problems, cells.concat())
    };
    row("all", summary)?;
    for (name, part) in subjects.iter().chain(&levels) {
        row(name, part)?;
    }
    let pace = pace.map_or(String::new(), |pace| format!(", {pace:.0} tokens/s"));
    let earlier =
        if first > 0 { format!(" ({first} problems were there already)") } else { String::new() };
    say!(
        "mean length {:.1} tokens, {:.1} % cut off, {:.1} % without an answer{pace}; in \
         {}{earlier}",
        summary.length_mean,
        100.0 * summary.truncated_ratio,
        100.0 * summary.no_answer_ratio,
        out.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_a_truth_value_a_number_a_list_or_a_text() {
        let value = |text: &str| template_variable(&format!("x={text}")).unwrap().1;
        for (text, expected) in [
            ("false", TemplateValue::Bool(false)),
            ("False", TemplateValue::Bool(false)),
            ("3", TemplateValue::Integer(3)),
            ("0.5", TemplateValue::Decimal(0.5)),
            ("\"3\"", TemplateValue::Text("3".to_string())),
            ("26 Jul 2024", TemplateValue::Text("26 Jul 2024".to_string())),
            (
                "[1, \"a\"]",
                TemplateValue::List(vec![
                    TemplateValue::Integer(1),
                    TemplateValue::Text("a".to_string()),
                ]),
            ),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        assert!(template_variable("x").is_err());
    }
}
