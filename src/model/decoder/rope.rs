//! How a model's rotary angles are scaled for sequences that are longer than those it was first
//! trained on.
//!
//! | `rope_type` | The angle f per position becomes |
//! |---|---|
//! | `default` | f |
//! | `linear` | f / factor |
//! | `dynamic` | f, up to `max_position_embeddings`, which is as far as this program goes |
//! | `yarn` (Peng et al., arXiv 2309.00071) | f / factor for pairs that turn less than `beta_slow` times within the original positions, f for those that turn more than `beta_fast` times, and in between a mean of both; cosines and sines grow by `attention_factor` |
//! | `llama3` | the same with wavelengths for bounds |
//!
//! Computed in `f32` in the order in which Transformers computes it.

use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::kernels::Rotary;
use crate::model::fields::Fields;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::f64::consts::TAU;

/// A scaling of rotary angles; field names are those of Hugging Face's `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are described where they come from, above")]
pub enum RopeScaling {
    /// All angles by the same factor.
    Linear { factor: f64 },
    /// The slow angles only, with a correction of the attention's temperature.
    Yarn {
        factor: f64,
        original_max_position_embeddings: usize,
        attention_factor: f64,
        beta_fast: f64,
        beta_slow: f64,
        truncate: bool,
    },
    /// The slow angles only, in the manner of Llama 3.
    Llama3 {
        factor: f64,
        original_max_position_embeddings: usize,
        low_freq_factor: f64,
        high_freq_factor: f64,
    },
}

/// What `config.json` says of rotary positions.
pub(in crate::model) struct Rope {
    pub(in crate::model) theta: f64,
    pub(in crate::model) scaling: Option<RopeScaling>,
}

impl Rope {
    /// Reads `rope_theta`, `rope_parameters` (as newer Transformers write it) and `rope_scaling`
    /// (as older ones do); `silent` is the base where none is given.
    pub(in crate::model) fn read(config: &Fields, positions: usize, silent: f64) -> Result<Self> {
        Self::read_beside(config, config.object("rope_parameters")?, positions, silent)
    }

    /// [`Self::read`] of layers that see everything, where sliding ones have rotary positions of
    /// their own.
    pub(in crate::model) fn read_of_full(
        config: &Fields,
        positions: usize,
        silent: f64,
    ) -> Result<Self> {
        let parameters = by_kind(config)?;
        let full = parameters.map(|parameters| parameters.object("full_attention")).transpose()?;
        Self::read_beside(config, full.flatten(), positions, silent)
    }

    /// The base of the sliding layers' rotary positions, which are not scaled.
    pub(in crate::model) fn read_of_sliding(config: &Fields, silent: f64) -> Result<f64> {
        let parameters = by_kind(config)?;
        let own =
            parameters.map(|parameters| parameters.object("sliding_attention")).transpose()?;
        let (mut theta, name) = (config.number("rope_local_base_freq")?, "rope_theta");
        if let Some(own) = own.flatten() {
            let right = "rotary positions of sliding layers have no such setting";
            let default = json!("default");
            let defaults = [("rope_type", default.clone()), ("type", default)];
            own.only(&defaults, [name], right)?;
            let within = own.number(name)?;
            if theta.is_some() && within.is_some() && within != theta {
                return Err(own.wrong(name, "but rope_local_base_freq is another; leave one out"));
            }
            theta = theta.or(within);
        }
        checked_theta("rope_local_base_freq", theta.unwrap_or(silent))
    }

    /// What `config` says itself, in `rope_scaling`, and in `parameters`.
    fn read_beside(
        config: &Fields,
        parameters: Option<Fields>,
        positions: usize,
        silent: f64,
    ) -> Result<Self> {
        let mut theta = config.number("rope_theta")?;
        let mut scaling: Option<Option<RopeScaling>> = None;
        for (name, parameters) in
            [("rope_parameters", parameters), ("rope_scaling", config.object("rope_scaling")?)]
        {
            let Some(parameters) = parameters.filter(|parameters| !parameters.map().is_empty())
            else {
                continue;
            };
            let within = parameters.number("rope_theta")?;
            if theta.is_some() && within.is_some() && within != theta {
                return Err(parameters.wrong(
                    "rope_theta",
                    "but it has another value elsewhere; leave one of them out",
                ));
            }
            theta = theta.or(within);
            let found = RopeScaling::read(&parameters, config, positions)?;
            // Versions of Transformers differ in which of the two they read, so a default beside a
            // scaling is not an agreement.
            if scaling.as_ref().is_some_and(|other| *other != found) {
                return Err(config.wrong(
                    name,
                    "but rope_parameters says something else; leave one of them out",
                ));
            }
            scaling = Some(found);
        }
        let theta = checked_theta("rope_theta", theta.unwrap_or(silent))?;
        Ok(Self { theta, scaling: scaling.flatten() })
    }
}

/// The `rope_parameters` of each kind of layers.
fn by_kind(config: &Fields) -> Result<Option<Fields>> {
    let Some(parameters) = config.object("rope_parameters")? else { return Ok(None) };
    let right = "only full_attention and sliding_attention have rotary positions";
    parameters.only(&[], ["full_attention", "sliding_attention"], right)?;
    Ok(Some(parameters))
}

fn checked_theta(name: &str, theta: f64) -> Result<f64> {
    if theta > 1.0 {
        return Ok(theta);
    }
    Err(Error::input(format!("config.json's {name} is {theta}; it must be greater than 1")))
}

/// The text of `rope_type`, or of `type`, its older name.
fn kind(parameters: &Fields) -> Result<String> {
    let (new, old) = (parameters.text("rope_type")?, parameters.text("type")?);
    if let (Some(new), Some(old)) = (new, old)
        && new != old
    {
        return Err(parameters.wrong(
            "type",
            &format!("but rope_type is {:?}; leave one of them out", cut(new, MOST_SHOWN)),
        ));
    }
    Ok(new.or(old).unwrap_or("default").to_string())
}

impl RopeScaling {
    fn read(parameters: &Fields, config: &Fields, positions: usize) -> Result<Option<Self>> {
        let kind = kind(parameters)?;
        let own: &[&str] = match kind.as_str() {
            "default" => &[],
            "linear" | "dynamic" => &["factor"],
            "yarn" => &[
                "factor",
                "original_max_position_embeddings",
                "attention_factor",
                "beta_fast",
                "beta_slow",
                "mscale",
                "mscale_all_dim",
                "truncate",
            ],
            "llama3" => &[
                "factor",
                "original_max_position_embeddings",
                "low_freq_factor",
                "high_freq_factor",
            ],
            _ => {
                let name = if parameters.has("rope_type") { "rope_type" } else { "type" };
                let known = "default, linear, dynamic, yarn and llama3";
                return Err(
                    parameters.wrong(name, &format!("of rotary scaling, {known} can be used"))
                );
            }
        };
        let known = ["rope_type", "type", "rope_theta"].iter().chain(own).copied();
        let right = format!("rotary scaling of type {kind} has no such setting");
        parameters.only(&[("partial_rotary_factor", json!(1.0))], known, &right)?;
        if kind == "default" {
            return Ok(None);
        }
        let at_least = |name: &str, least: f64| {
            let value = parameters.number(name)?;
            match value {
                Some(value) if value < least => {
                    Err(parameters.wrong(name, &format!("it must be at least {least}")))
                }
                _ => Ok(value),
            }
        };
        let needed = |name: &str| at_least(name, 0.0)?.ok_or_else(|| parameters.missing(name));
        let factor = at_least("factor", 1.0)?.ok_or_else(|| parameters.missing("factor"))?;
        Ok(match kind.as_str() {
            "linear" => Some(Self::Linear { factor }),
            "yarn" => {
                // Zero is as good as absent, as it is to Transformers.
                let set =
                    |name: &str| Ok::<_, Error>(at_least(name, 0.0)?.filter(|value| *value > 0.0));
                let growth = |scale: f64| 0.1 * scale * factor.ln() + 1.0;
                let attention_factor =
                    match (set("attention_factor")?, set("mscale")?, set("mscale_all_dim")?) {
                        (Some(given), ..) => given,
                        (None, Some(scale), Some(all)) => growth(scale) / growth(all),
                        _ => growth(1.0),
                    };
                let (beta_fast, beta_slow) =
                    (set("beta_fast")?.unwrap_or(32.0), set("beta_slow")?.unwrap_or(1.0));
                if beta_fast < beta_slow {
                    return Err(parameters.wrong(
                        "beta_fast",
                        &format!("it must be at least beta_slow, {beta_slow}"),
                    ));
                }
                let original_max_position_embeddings = original(parameters, config, positions)?;
                let truncate = parameters.flag("truncate")?.unwrap_or(true);
                Some(Self::Yarn {
                    factor,
                    original_max_position_embeddings,
                    attention_factor,
                    beta_fast,
                    beta_slow,
                    truncate,
                })
            }
            "llama3" => {
                let (low, high) = (needed("low_freq_factor")?, needed("high_freq_factor")?);
                if low <= 0.0 || high <= low {
                    let right = format!(
                        "it must be greater than low_freq_factor, {low}, and that greater than 0"
                    );
                    return Err(parameters.wrong("high_freq_factor", &right));
                }
                let original_max_position_embeddings = original(parameters, config, positions)?;
                Some(Self::Llama3 {
                    factor,
                    original_max_position_embeddings,
                    low_freq_factor: low,
                    high_freq_factor: high,
                })
            }
            _ => None,
        })
    }

    /// The angles per position of heads of `head_dim` elements with base `theta`, and what cosines
    /// and sines are multiplied by.
    fn frequencies(&self, head_dim: usize, theta: f64) -> (Vec<f32>, f32) {
        let plain = Rotary::frequencies(head_dim, theta);
        match *self {
            Self::Linear { factor } => (plain.iter().map(|f| f / factor as f32).collect(), 1.0),
            Self::Yarn {
                factor,
                original_max_position_embeddings,
                attention_factor,
                beta_fast,
                beta_slow,
                truncate,
            } => {
                let dims = head_dim as f64;
                // The pair that turns so many times within the original positions.
                let pair = |turns: f64| {
                    dims * (original_max_position_embeddings as f64 / (turns * TAU)).ln()
                        / (2.0 * theta.ln())
                };
                let (low, high) = (pair(beta_fast), pair(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, high) = (low.max(0.0), high.min(dims - 1.0));
                let width = if (high - low).abs() < f64::EPSILON { 0.001 } else { high - low };
                let mixed = plain.iter().enumerate().map(|(i, f)| {
                    let kept = 1.0 - ((i as f32 - low as f32) / width as f32).clamp(0.0, 1.0);
                    f / factor as f32 * (1.0 - kept) + f * kept
                });
                (mixed.collect(), attention_factor as f32)
            }
            Self::Llama3 {
                factor,
                original_max_position_embeddings,
                low_freq_factor,
                high_freq_factor,
            } => {
                let (factor, original) = (factor as f32, original_max_position_embeddings as f32);
                let (low, high) = (low_freq_factor as f32, high_freq_factor as f32);
                let mixed = plain.iter().map(|&f| {
                    let wavelength = TAU as f32 / f;
                    if wavelength > original / low {
                        f / factor
                    } else if wavelength < original / high {
                        f
                    } else {
                        let kept = (original / wavelength - low) / (high - low);
                        (1.0 - kept) * f / factor + kept * f
                    }
                });
                (mixed.collect(), 1.0)
            }
        }
    }

    /// The longest sequence that it is meant for, where it says so: `yarn` is added to a model's
    /// settings by hand, and their `max_position_embeddings` then stays that of before.
    pub(in crate::model) fn positions(&self) -> Option<usize> {
        match self {
            Self::Yarn { factor, original_max_position_embeddings, .. } => {
                Some((factor * *original_max_position_embeddings as f64) as usize)
            }
            Self::Linear { .. } | Self::Llama3 { .. } => None,
        }
    }

    /// As it stands in `config.json`.
    pub(in crate::model) fn to_json(scaling: Option<&Self>) -> Value {
        scaling.and_then(|scaling| serde_json::to_value(scaling).ok()).unwrap_or(Value::Null)
    }
}

/// The positions that the model was first trained on.
fn original(parameters: &Fields, config: &Fields, positions: usize) -> Result<usize> {
    const NAME: &str = "original_max_position_embeddings";
    let (within, beside) = (parameters.count(NAME)?, config.count(NAME)?);
    match (within, beside) {
        (Some(within), Some(beside)) if within != beside => Err(config.wrong(
            NAME,
            &format!("but it is {within} within rope_scaling; leave one of them out"),
        )),
        (Some(0), _) => Err(parameters.wrong(NAME, "it must be at least 1")),
        _ => Ok(within.or(beside).unwrap_or(positions).max(1)),
    }
}

/// The tables of a network.
pub(super) fn rotary(
    head_dim: usize,
    positions: usize,
    theta: f64,
    scaling: Option<&RopeScaling>,
) -> Rotary {
    match scaling {
        None => Rotary::new(head_dim, positions, theta),
        Some(scaling) => {
            let (frequencies, factor) = scaling.frequencies(head_dim, theta);
            Rotary::with_frequencies(frequencies, factor, positions)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rope> {
        Rope::read(&Fields::parse("config.json", text)?, 40_960, 10_000.0)
    }

    #[derive(Deserialize)]
    struct Cases {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        rope_scaling: Value,
        head_dim: usize,
        rope_theta: f64,
        factor: f32,
        frequencies: Vec<f32>,
    }

    #[test]
    fn angles_of_every_kind_are_those_of_transformers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rope.json");
        let cases: Cases = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(cases.cases.len() >= 32);
        for case in cases.cases {
            let fields =
                json!({ "rope_theta": case.rope_theta, "rope_scaling": case.rope_scaling });
            let rope = read(&fields.to_string()).unwrap();
            let plain = || (Rotary::frequencies(case.head_dim, rope.theta), 1.0);
            let (frequencies, factor) = rope
                .scaling
                .as_ref()
                .map_or_else(plain, |scaling| scaling.frequencies(case.head_dim, rope.theta));
            assert!((factor - case.factor).abs() < 1e-6, "{} {factor}", case.rope_scaling);
            assert_eq!(frequencies.len(), case.frequencies.len());
            for (found, expected) in frequencies.iter().zip(&case.frequencies) {
                assert!(
                    (found - expected).abs() <= 1e-6 * expected.abs(),
                    "{} {found} {expected}",
                    case.rope_scaling
                );
            }
            // What is written reads back as the same.
            let written = json!({ "rope_theta": rope.theta, "rope_scaling": RopeScaling::to_json(rope.scaling.as_ref()) });
            assert_eq!(read(&written.to_string()).unwrap().scaling, rope.scaling);
        }
    }

    #[test]
    fn settings_are_read_from_all_places_and_contradictions_are_refused() {
        let yarn = r#""factor": 4.0, "original_max_position_embeddings": 32768"#;
        let expected = read(&format!(r#"{{"rope_scaling": {{"rope_type": "yarn", {yarn}}}}}"#))
            .unwrap()
            .scaling;
        assert!(expected.is_some());
        for text in [
            format!(r#"{{"rope_scaling": {{"type": "yarn", {yarn}}}}}"#),
            format!(r#"{{"rope_scaling": {{"type": "yarn", "rope_type": "yarn", {yarn}}}}}"#),
            format!(
                r#"{{"rope_parameters": {{"rope_theta": 10000, "rope_type": "yarn", {yarn}}}, "rope_scaling": null}}"#
            ),
            format!(
                r#"{{"rope_parameters": {{"rope_type": "yarn", {yarn}}}, "rope_scaling": {{"type": "yarn", {yarn}}}}}"#
            ),
            format!(r#"{{"rope_parameters": {{}}, "rope_scaling": {{"type": "yarn", {yarn}}}}}"#),
            r#"{"rope_scaling": {"type": "yarn", "factor": 4}, "original_max_position_embeddings": 32768}"#.to_string(),
        ] {
            assert_eq!(read(&text).unwrap().scaling, expected, "{text}");
        }
        for none in [
            "{}",
            r#"{"rope_scaling": {}}"#,
            r#"{"rope_parameters": {"rope_type": "default"}, "rope_scaling": {"type": "default"}}"#,
            r#"{"rope_scaling": {"type": "default", "rope_type": "default"}}"#,
        ] {
            assert_eq!(read(none).unwrap().scaling, None);
        }
        for (text, words) in [
            (
                r#"{"rope_scaling": {"type": "longrope", "short_factor": [1]}}"#,
                ["rope_scaling.type", "longrope"],
            ),
            (r#"{"rope_scaling": {"rope_type": "yarn"}}"#, ["rope_scaling.factor", "missing"]),
            (
                r#"{"rope_scaling": {"rope_type": "yarn", "factor": 0.5}}"#,
                ["factor is 0.5", "at least 1"],
            ),
            (
                r#"{"rope_scaling": {"rope_type": "yarn", "type": "linear", "factor": 2}}"#,
                ["type is \"linear\"", "yarn"],
            ),
            (
                r#"{"rope_scaling": {"rope_type": "default", "mrope_section": [1, 2]}}"#,
                ["mrope_section", "no such setting"],
            ),
            (
                r#"{"rope_scaling": {"rope_type": "linear", "factor": 2, "partial_rotary_factor": 0.5}}"#,
                ["partial_rotary", "0.5"],
            ),
            (
                r#"{"rope_theta": 5, "rope_parameters": {"rope_theta": 6}}"#,
                ["rope_parameters.rope_theta is 6", "elsewhere"],
            ),
            (r#"{"rope_theta": 0.5}"#, ["rope_theta is 0.5", "greater than 1"]),
            (
                r#"{"rope_parameters": {"rope_type": "linear", "factor": 2}, "rope_scaling": {"type": "linear", "factor": 3}}"#,
                ["rope_scaling", "something else"],
            ),
            (
                r#"{"rope_parameters": {"rope_type": "yarn", "factor": 2}, "rope_scaling": {"rope_type": "default"}}"#,
                [
                    "rope_scaling is {\"rope_type\":\"default\"}",
                    "rope_parameters says something else",
                ],
            ),
            (
                r#"{"rope_parameters": {"rope_type": "default"}, "rope_scaling": {"type": "yarn", "factor": 2}}"#,
                ["rope_scaling is", "rope_parameters says something else"],
            ),
            (
                r#"{"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}}"#,
                ["high_freq_factor", "greater"],
            ),
        ] {
            let message = read(text).map(|_| ()).unwrap_err().to_string();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    }
}
