//! Lines to score: JSON objects with texts or token ids.

use crate::data::Label;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut, number};
use crate::files::lines::{bounded, misspelt, passed_over};
use crate::model::{LanguageModel, TextTokenizer};
use crate::verify::{AnswerFormat, stands_for_none, verify};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::Path;

/// One response to score.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreInput {
    /// The group that it belongs to, as written in its line: a text or a number.
    pub group: Label,
    /// Token ids of the prompt, at least one.
    pub prompt: Vec<u32>,
    /// Token ids of the response, at least one.
    pub response: Vec<u32>,
    /// Its base reward.
    pub reward: f32,
}

impl ScoreInput {
    /// Prompt and response.
    pub fn pair(&self) -> (&[u32], &[u32]) {
        (&self.prompt, &self.response)
    }
}

/// A line as it is written. Lines of a run folder's `rollouts/*.jsonl` are among those that are
/// understood; fields that are not named here are ignored.
#[derive(Deserialize)]
struct Line {
    group: Box<RawValue>,
    prompt: Option<String>,
    prompt_ids: Option<Vec<u32>>,
    #[serde(alias = "completion")]
    response: Option<String>,
    response_ids: Option<Vec<u32>>,
    reward: Option<f64>,
    gold: Option<Label>,
}

/// The names of [`Line`], and those of them that a line may lack.
const KNOWN: [&str; 8] =
    ["group", "prompt", "prompt_ids", "response", "completion", "response_ids", "reward", "gold"];
const OPTIONAL: [&str; 6] = ["prompt", "prompt_ids", "response", "response_ids", "reward", "gold"];

/// Most bytes of the file: its responses are all in memory at once.
const MOST_BYTES: u64 = 8 << 30;

/// Rewards further from 0 are refused.
const LARGEST_REWARD: f64 = 100.0;

/// Reads a file with one response a line. Token ids are used as they are, and before texts; texts
/// are tokenised, prompt and response each by itself, and nothing is added to them. A `gold` answer
/// instead of a reward gives +1 to a response whose last box holds it and -1 to others. Empty lines
/// are skipped. The first field that is passed over and nearly one of these is told to `warn`.
///
/// Fails, naming file and line, where a line is not such an object, or what it says does not fit
/// the model.
pub fn read_inputs(
    path: &Path,
    model: &LanguageModel,
    warn: impl FnOnce(&str),
) -> Result<Vec<ScoreInput>> {
    let file = std::fs::File::open(path).map_err(|e| {
        Error::input(format!("the responses to score cannot be read: {e} ({})", path.display()))
    })?;
    let mut inputs = Vec::new();
    let mut slip = None;
    // A pipe is welcome; one without an end is not.
    let mut bytes = 0;
    for (index, line) in bounded(std::io::BufReader::new(file)).enumerate() {
        let at = |problem: &str| {
            Error::input(format!("line {}: {problem} ({})", index + 1, path.display()))
        };
        let line = line.map_err(|e| at(&format!("cannot be read: {e}")))?;
        bytes += line.len() as u64 + 1;
        if bytes > MOST_BYTES {
            let most = MOST_BYTES >> 30;
            return Err(at(&format!(
                "the responses have more than {most} GiB, which no memory holds; score them in \
                 parts"
            )));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if slip.is_none() {
            slip = misspelt(&line, &KNOWN, &OPTIONAL)
                .map(|(key, near)| passed_over(index + 1, &key, near));
        }
        let line = parse(&line).map_err(|problem| at(&problem))?;
        inputs.push(input(line, model).map_err(|problem| at(&problem))?);
    }
    if let Some(slip) = slip {
        warn(&format!("{slip} ({})", path.display()));
    }
    if inputs.is_empty() {
        let remedy = "give one JSON object a line, with `group`, `prompt`, `response` and `reward`";
        return Err(Error::input(format!(
            "there is no response to score; {remedy} ({})",
            path.display()
        )));
    }
    Ok(inputs)
}

fn parse(line: &[u8]) -> Result<Line, String> {
    serde_json::from_slice(line).map_err(|error| {
        // The position within the line is a column; serde_json calls the line 1.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or(&text);
        format!(
            "column {}: {text}; a line is a JSON object such as {}",
            error.column(),
            r#"{"group": "g1", "prompt": "...", "response": "...", "reward": 1.0}"#
        )
    })
}

fn input(line: Line, model: &LanguageModel) -> Result<ScoreInput, String> {
    let group: Label = serde_json::from_str(line.group.get())
        .map_err(|_| "the field `group` must be a text or a number".to_string())?;
    let tokenizer = &model.tokenizer;
    let prompt = tokens(tokenizer, "prompt", line.prompt.as_deref(), line.prompt_ids)?;
    let response = tokens(tokenizer, "response", line.response.as_deref(), line.response_ids)?;
    if prompt.is_empty() {
        return Err("the prompt has no token; the first token of a response needs one before it"
            .to_string());
    }
    if response.is_empty() {
        return Err("the response has no token, so there is nothing to score; leave the line out"
            .to_string());
    }
    let (length, limit) = (prompt.len() + response.len(), model.config.max_position_embeddings);
    if length > limit {
        return Err(format!(
            "prompt and response have {length} tokens, but the model has {limit} positions; \
             shorten them"
        ));
    }
    if let Some(id) =
        prompt.iter().chain(&response).find(|&&id| id as usize >= model.config.vocab_size)
    {
        return Err(format!(
            "token id {id} is beyond the model's vocabulary of {}",
            model.config.vocab_size
        ));
    }
    let reward = match (line.reward, line.gold) {
        (Some(_), Some(_)) => {
            let problem = "the fields `reward` and `gold` are both there, and either decides the \
                           reward; give one of them";
            return Err(problem.to_string());
        }
        (Some(reward), None) if reward.abs() <= LARGEST_REWARD => reward as f32,
        (Some(reward), None) => {
            return Err(format!(
                "the reward {} is too large: novelty weighs by exp(reward), so rewards lie within \
                 {LARGEST_REWARD} of 0; usual are -1 and 1",
                number(reward)
            ));
        }
        (None, Some(gold)) if gold.text().trim().is_empty() || stands_for_none(gold.text()) => {
            return Err(format!(
                "the field `gold` is {:?}, which is not an answer that a response could hold; give \
                 the right answer, or `reward`",
                cut(gold.text(), MOST_SHOWN)
            ));
        }
        (None, Some(gold)) => {
            let text = match line.response {
                Some(text) => text,
                None => tokenizer.decode(&response).map_err(|error| error.to_string())?,
            };
            if verify(gold.text(), &text, AnswerFormat::Math).verdict.is_correct() {
                1.0
            } else {
                -1.0
            }
        }
        (None, None) => {
            return Err(
                "the fields `reward` and `gold` are both missing; give one of them".to_string()
            );
        }
    };
    Ok(ScoreInput { group, prompt, response, reward })
}

fn tokens(
    tokenizer: &TextTokenizer,
    name: &str,
    text: Option<&str>,
    ids: Option<Vec<u32>>,
) -> Result<Vec<u32>, String> {
    match (ids, text) {
        (Some(ids), _) => Ok(ids),
        (None, Some(text)) => tokenizer.encode(text).map_err(|error| error.to_string()),
        (None, None) => Err(format!("the field `{name}` is missing; give it, or `{name}_ids`")),
    }
}
