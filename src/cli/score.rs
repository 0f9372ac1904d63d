//! `orthant score`: the geometry of any responses, whoever generated them.

use super::arguments::{number, parse_device, parse_seed, whole};
use super::models::{load, model_files};
use super::stack::on_large_stack;
use super::terminal::{note, say};
use crate::error::Result;
use crate::experiment::{DeviceChoice, RolloutConfig};
use crate::geometry::{
    CosineMatrix, IncorrectSign, NoveltyForm, PairStatistics, Shaping, TokenWeights, pearson,
    spearman,
};
use crate::methods::G2rl;
use crate::model::{GRADIENT_MEMORY, GradientForm, open_device};
use crate::scoring::{ScoreFolder, ScoreProgress, ScoreSettings, Scores, read_inputs, score};
use candle_core::DType;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "Each input line: {\"group\": \"g1\", \"prompt\": \"...\", \"response\": \"...\", \
                  \"reward\": 1.0}; prompt_ids and response_ids may replace the texts, and gold \
                  the reward. Lines of a run's rollouts/*.jsonl will do.\n\nExample: orthant score \
                  --model runs/RUN/checkpoints/step_000100 --input \
                  runs/RUN/rollouts/step_000100.jsonl --out scores"
)]
pub(super) struct ScoreArguments {
    /// The model: a Hugging Face folder, a PEFT folder, or the name of a bundled model.
    #[arg(long, value_name = "DIR")]
    model: String,
    /// The base model of an adapter, where it is not the one that the adapter's settings name.
    #[arg(long, value_name = "DIR")]
    base: Option<String>,
    /// The responses, one JSON object a line.
    #[arg(long, value_name = "FILE.jsonl")]
    input: PathBuf,
    /// The folder for scores.jsonl and scores.safetensors.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The sampling temperature that features and gradients belong to.
    #[arg(
        long,
        value_name = "T",
        default_value_t = RolloutConfig::default().temperature,
        value_parser = number(RolloutConfig::TEMPERATURE),
    )]
    temperature: f64,
    /// Strength of the shaping.
    #[arg(long, default_value_t = G2rl::default().lambda, value_parser = number(G2rl::LAMBDA))]
    lambda: f64,
    /// Shaped rewards are clipped to plus or minus this.
    #[arg(long, default_value_t = G2rl::default().clip, value_parser = number(G2rl::CLIP))]
    clip: f64,
    /// The length of the unexplained part of a direction, or its square.
    #[arg(long, value_enum, default_value_t = NoveltyChoice::Residual)]
    novelty: NoveltyChoice,
    /// How tokens are weighed in a feature: alike, or by the entropy of their distribution.
    #[arg(long, value_enum, default_value_t = AlphaChoice::Uniform)]
    alpha: AlphaChoice,
    /// Whether a novel wrong answer is penalised less (the paper's equations) or more (its prose).
    #[arg(long, value_enum, default_value_t = IncorrectChoice::AsEquation)]
    incorrect: IncorrectChoice,
    /// Leaves groups whose rewards are all equal unshaped.
    #[arg(long)]
    keep_uniform_groups: bool,
    /// Also computes the gradient of every response over all parameters, and the cosines between
    /// these.
    #[arg(long)]
    exact_gradients: bool,
    /// Projects gradients to this many numbers per tensor: less memory, for a standard error of a
    /// cosine of at most sqrt(2/K).
    #[arg(
        long,
        value_name = "K",
        requires = "exact_gradients",
        value_parser = whole::<u64>(16, (1 << 32) - 1),
    )]
    projection: Option<u64>,
    /// Decides the projection.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = parse_seed)]
    seed: u64,
    /// Where tensors live: auto, cpu or cuda:0.
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: DeviceChoice,
    /// Most tokens of one forward pass. Decides memory, not results.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = whole::<u64>(1, 1 << 30))]
    micro_batch_tokens: u64,
    /// Prints a machine-readable line last.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum NoveltyChoice {
    Residual,
    Squared,
}

#[derive(Clone, Copy, ValueEnum)]
enum IncorrectChoice {
    AsEquation,
    AsProse,
}

#[derive(Clone, Copy, ValueEnum)]
enum AlphaChoice {
    Uniform,
    Entropy,
}

impl ScoreArguments {
    fn settings(&self) -> ScoreSettings {
        let form = match self.projection {
            None => GradientForm::Exact { memory_bytes: GRADIENT_MEMORY },
            Some(dimension) => {
                GradientForm::Sketch { dimension: dimension as usize, seed: self.seed }
            }
        };
        ScoreSettings {
            temperature: self.temperature,
            novelty: match self.novelty {
                NoveltyChoice::Residual => NoveltyForm::Residual,
                NoveltyChoice::Squared => NoveltyForm::Squared,
            },
            alpha: match self.alpha {
                AlphaChoice::Uniform => TokenWeights::Uniform,
                AlphaChoice::Entropy => TokenWeights::Entropy,
            },
            shaping: Shaping {
                lambda: self.lambda as f32,
                clip: self.clip as f32,
                incorrect: match self.incorrect {
                    IncorrectChoice::AsEquation => IncorrectSign::AsEquation,
                    IncorrectChoice::AsProse => IncorrectSign::AsProse,
                },
                shape_uniform_groups: !self.keep_uniform_groups,
            },
            gradients: self.exact_gradients.then_some(form),
            micro_batch_tokens: self.micro_batch_tokens as usize,
        }
    }
}

pub(super) fn run(arguments: &ScoreArguments) -> Result<u8> {
    let settings = arguments.settings();
    // Found before the work rather than after it.
    let folder = ScoreFolder::open(&arguments.out, &arguments.input)?;
    let device = open_device(arguments.device, |warning| note!("warning: {warning}"))?;
    let model = load(model_files(&arguments.model, arguments.base.as_ref())?, DType::F32, &device)?;
    let inputs = read_inputs(&arguments.input, &model, |warning| note!("warning: {warning}"))?;

    let bar = ProgressBar::new(inputs.len() as u64);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:24} {pos}/{len} responses  {msg}  {eta} left")
    {
        bar.set_style(style);
    }
    let mut gradients = 0;
    let scores = on_large_stack("score", || {
        score(&model, &inputs, &settings, |progress| match progress {
            ScoreProgress::Responses(more) => bar.inc(more as u64),
            ScoreProgress::Gradient => {
                gradients += 1;
                bar.set_message(format!("{gradients} gradients"));
            }
        })
    });
    bar.finish_and_clear();
    let scores = scores?;
    folder.write(&scores)?;
    summarize(&scores, settings.gradients, arguments)?;
    Ok(0)
}

fn summarize(
    scores: &Scores,
    form: Option<GradientForm>,
    arguments: &ScoreArguments,
) -> Result<()> {
    let cosines: Vec<f32> = scores.groups.iter().flat_map(|group| group.cosines.pairs()).collect();
    let statistics = PairStatistics::of(cosines.iter().copied());
    say!(
        "{} responses in {} groups; scores in {}",
        scores.responses.len(),
        scores.groups.len(),
        arguments.out.display()
    )?;
    if statistics.pairs > 0 {
        say!(
            "feature cosines of {} pairs: mean {:.4}, negative {:.1} %, near-orthogonal {:.1} %",
            statistics.pairs,
            statistics.mean,
            100.0 * statistics.negative_ratio,
            100.0 * statistics.orthogonal_ratio
        )?;
    }
    let wide = |cosines: &[f32]| cosines.iter().copied().map(f64::from).collect::<Vec<_>>();
    let gradient_cosines: Vec<f32> = scores
        .groups
        .iter()
        .filter_map(|group| group.gradient_cosines.as_ref())
        .flat_map(CosineMatrix::pairs)
        .collect();
    let fidelity = |correlation: fn(&[f64], &[f64]) -> Option<f64>| {
        correlation(&wide(&cosines), &wide(&gradient_cosines))
    };
    let (linear, rank) = if gradient_cosines.is_empty() {
        (None, None)
    } else {
        (fidelity(pearson), fidelity(spearman))
    };
    if let (Some(linear), Some(rank)) = (linear, rank) {
        say!("feature cosines against gradient cosines: Pearson {linear:.3}, Spearman {rank:.3}")?;
    }
    if let Some(form @ GradientForm::Sketch { dimension, .. }) = form {
        let error = form.standard_error();
        say!(
            "gradient cosines from projections to {dimension} numbers per tensor: standard error \
             at most {error:.3}"
        )?;
    }
    if arguments.json {
        let line = serde_json::json!({
            "responses": scores.responses.len(),
            "groups": scores.groups.len(),
            "out": arguments.out.display().to_string(),
            "cosine_mean": statistics.mean,
            "fidelity_pearson": linear,
            "fidelity_spearman": rank,
            "gradient_standard_error": form.map(GradientForm::standard_error),
        });
        say!("{line}")?;
    }
    Ok(())
}
