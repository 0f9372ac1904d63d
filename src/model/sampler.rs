//! Sampling completions, with what the rest of the pipeline needs of them recorded on the way:
//! log-probabilities, entropies, the sequence features of G2RL and hidden states, so that none of
//! them costs another forward pass.

use super::decoder::{Decoder, Drawn, SamplingMemory, Trace, Tracing};
use crate::error::{Error, Result};
use crate::geometry::TokenWeights;
use crate::kernels::{
    HeadDraws, TILE, Truncation, Uniforms, add_features, candidates, into_elements, on_gpu,
    one_pass_head, one_pass_head_on_gpu, place, thin_linear, truncated_draws_on_gpu,
};
use crate::rng::{self, Domain};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// Draws from the k likeliest tokens only, where given.
    pub top_k: Option<usize>,
    /// Draws from the smallest set of likeliest tokens whose probabilities sum to at least this,
    /// where given.
    pub top_p: Option<f64>,
    /// Most tokens of a completion, the end-of-sequence token included.
    pub max_new_tokens: usize,
}

/// Names one completion's stream of random numbers. Draws depend on nothing else, so neither
/// batching nor threads change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamKey {
    /// The run's seed.
    pub seed: u64,
    /// The training step, or another number that keeps purposes apart.
    pub step: u64,
    /// The prompt's number within the step.
    pub prompt: u64,
}

/// One prompt to complete.
#[derive(Clone, Debug)]
pub struct PromptRequest {
    /// Token ids of the prompt, at least one.
    pub ids: Vec<u32>,
    /// Its stream of random numbers; the sample's number within the group is added.
    pub key: StreamKey,
}

/// One sampled completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// Token ids, the end-of-sequence token included where the policy emitted one.
    pub ids: Vec<u32>,
    /// log p of each token under the sampling distribution, nats.
    pub logprobs: Vec<f32>,
    /// Entropy of the sampling distribution at each token, nats.
    pub entropies: Vec<f32>,
    /// Sum over tokens of alpha phi, with phi = W\[y\] - sum over v of p\[v\] W\[v\] and the alpha
    /// that was asked for, length d; empty where features were not asked for.
    pub feature_sum: Vec<f32>,
    /// Sum over tokens of the final hidden state that the token was drawn from, length d; empty
    /// where it was not asked for.
    pub hidden_sum: Vec<f32>,
    /// Whether it was cut off at the limit.
    pub truncated: bool,
}

/// What is recorded of completions while they are sampled, beside what always is.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// Asks for [`Completion::feature_sum`], and says how tokens are weighed in it.
    pub features: Option<TokenWeights>,
    /// Asks for [`Completion::hidden_sum`].
    pub hidden: bool,
    /// Of how many of the prompts, from the first on, completions are traced, where the network
    /// decodes in a way that can leave traces: on the CPU in `f32`.
    pub traced: usize,
    /// Where keys, values and traces are.
    pub memory: &'a SamplingMemory,
}

/// One row in flight.
struct Row {
    /// Place of its completion in the output.
    index: usize,
    rng: rand_chacha::ChaCha8Rng,
    finished: bool,
}

impl Row {
    /// The rows of all completions, in order.
    fn of(prompts: &[PromptRequest], samples: usize) -> Vec<Self> {
        (0..prompts.len() * samples)
            .map(|index| {
                let key = prompts[index / samples].key;
                let rest = [key.step, key.prompt, (index % samples) as u64];
                Self { index, rng: rng::stream(key.seed, Domain::Samples, rest), finished: false }
            })
            .collect()
    }
}

impl Decoder {
    /// Samples `samples` completions of each prompt; completion s of prompt p is at p * samples +
    /// s. `features` asks for [`Completion::feature_sum`] and says how tokens are weighed in it.
    /// `progress` is given the share of token steps that are done.
    pub fn sample(
        &self,
        prompts: &[PromptRequest],
        samples: usize,
        sampling: &Sampling,
        features: Option<TokenWeights>,
        progress: impl FnMut(f32),
    ) -> Result<Vec<Completion>> {
        let memory = &SamplingMemory::default();
        let recording = Recording { features, hidden: false, traced: 0, memory };
        let recorded = self.sample_recorded(prompts, samples, sampling, &recording, progress)?;
        Ok(recorded.into_iter().map(|(completion, _)| completion).collect())
    }

    /// [`Self::sample`] with whatever is to be recorded, and the traces.
    pub fn sample_recorded(
        &self,
        prompts: &[PromptRequest],
        samples: usize,
        sampling: &Sampling,
        recording: &Recording,
        mut progress: impl FnMut(f32),
    ) -> Result<Vec<(Completion, Option<Trace>)>> {
        let &Recording { features, hidden: wants_hidden, traced, memory } = recording;
        let hidden_size = self.spec().hidden_size;
        let blank = Completion {
            ids: Vec::new(),
            logprobs: Vec::new(),
            entropies: Vec::new(),
            feature_sum: vec![0.0; if features.is_some() { hidden_size } else { 0 }],
            hidden_sum: vec![0.0; if wants_hidden { hidden_size } else { 0 }],
            truncated: true,
        };
        let mut completions = vec![blank; prompts.len() * samples];
        if completions.is_empty() || sampling.max_new_tokens == 0 {
            return Ok(completions.into_iter().map(|completion| (completion, None)).collect());
        }
        self.check_prompts(prompts, sampling)?;
        let ids: Vec<&[u32]> = prompts.iter().map(|prompt| prompt.ids.as_slice()).collect();
        let tracing = Tracing { prompts: traced, memory };
        let (mut hidden, mut cache) =
            self.prefill(&ids, samples, sampling.max_new_tokens, tracing)?;
        let mut rows = Row::of(prompts, samples);
        // What is made on a GPU stays there until all is summed.
        let (mut features_on_gpu, mut hidden_on_gpu) = (None, None);
        for step in 0..sampling.max_new_tokens {
            if wants_hidden && on_gpu(&[&hidden]) {
                add_on_gpu(&mut hidden_on_gpu, completions.len(), &hidden, &rows, |_| 1.0)?;
            } else if wants_hidden {
                add_hidden(&mut completions, &hidden, &rows)?;
            }
            let (draws, phi) = self.draw(&hidden, &mut rows, sampling, features.is_some())?;
            if let (Some(weights), Some(phi)) = (features, &phi) {
                add_on_gpu(&mut features_on_gpu, completions.len(), phi, &rows, |row| {
                    weights.alpha(draws.entropies[row])
                })?;
            }
            let weights = features.filter(|_| phi.is_none());
            self.append(&mut completions, &mut rows, &draws, weights);
            progress((step + 1) as f32 / sampling.max_new_tokens as f32);
            let active: Vec<u32> =
                (0..rows.len() as u32).filter(|&r| !rows[r as usize].finished).collect();
            if active.is_empty() || step + 1 == sampling.max_new_tokens {
                break;
            }
            let mut tokens = draws.tokens;
            if cache.worth_retaining(active.len()) {
                cache.retain(&active)?;
                tokens = active.iter().map(|&r| tokens[r as usize]).collect();
                rows.retain(|row| !row.finished);
            }
            hidden = self.decode(&tokens, &mut cache)?;
        }
        if let Some(sums) = features_on_gpu {
            for (completion, sum) in completions.iter_mut().zip(sums.to_vec2()?) {
                completion.feature_sum = sum;
            }
        }
        if let Some(sums) = hidden_on_gpu {
            for (completion, sum) in completions.iter_mut().zip(sums.to_vec2()?) {
                completion.hidden_sum = sum;
            }
        }
        let mut sampled: Vec<_> =
            completions.into_iter().map(|completion| (completion, None)).collect();
        for (index, [prompt, records]) in cache.into_recorded() {
            let (Completion { ids, logprobs, entropies, .. }, trace) = &mut sampled[index];
            let drawn = Arc::new(Drawn {
                prompt: prompts[index / samples].ids.clone(),
                ids: ids.clone(),
                logprobs: logprobs.clone(),
                entropies: entropies.clone(),
            });
            *trace = Some(Trace { prompt, completion: records, drawn });
        }
        Ok(sampled)
    }

    /// Refuses prompts that cannot be continued.
    fn check_prompts(&self, prompts: &[PromptRequest], sampling: &Sampling) -> Result<()> {
        if prompts.iter().any(|prompt| prompt.ids.is_empty()) {
            return Err(Error::failed(
                "a prompt has no token; sampling needs at least one to start from",
            ));
        }
        let longest = prompts.iter().map(|prompt| prompt.ids.len()).max().unwrap_or(0);
        if longest + sampling.max_new_tokens > self.spec().max_position_embeddings {
            return Err(Error::failed(format!(
                "a prompt of {longest} tokens and {} new ones exceed the model's {} positions; \
                 lower max_new_tokens",
                sampling.max_new_tokens,
                self.spec().max_position_embeddings
            )));
        }
        Ok(())
    }

    /// Appends the draws to the completions of the rows that continue, with the features in them where
    /// there are `weights`. A row that has drawn the end is finished.
    fn append(
        &self,
        completions: &mut [Completion],
        rows: &mut [Row],
        draws: &HeadDraws,
        weights: Option<TokenWeights>,
    ) {
        let hidden_size = self.spec().hidden_size;
        for (r, row) in rows.iter_mut().enumerate().filter(|(_, row)| !row.finished) {
            let completion = &mut completions[row.index];
            completion.ids.push(draws.tokens[r]);
            completion.logprobs.push(draws.logprobs[r]);
            completion.entropies.push(draws.entropies[r]);
            if let Some(weights) = weights {
                let alpha = weights.alpha(draws.entropies[r]);
                for (sum, phi) in
                    completion.feature_sum.iter_mut().zip(&draws.phi[r * hidden_size..])
                {
                    *sum += alpha * phi;
                }
            }
            if self.spec().eos_token_ids.contains(&draws.tokens[r]) {
                completion.truncated = false;
                row.finished = true;
            }
        }
    }

    /// Draws the next token of every row from its hidden state (rows, hidden). Features that are
    /// made on a GPU (rows, hidden) are returned beside the draws, not in them.
    fn draw(
        &self,
        hidden: &Tensor,
        rows: &mut [Row],
        sampling: &Sampling,
        features: bool,
    ) -> Result<(HeadDraws, Option<Tensor>)> {
        if sampling.temperature == 0.0 || sampling.top_k.is_some() || sampling.top_p.is_some() {
            return self.draw_of_few(hidden, rows, sampling, features);
        }
        // Small vocabularies are one tile, and their streams need no second number.
        let tiles = self.spec().vocab_size > TILE;
        let uniforms = rows.iter_mut().map(|Row { rng, .. }| Uniforms {
            token: rng::unit_f64(rng),
            tile: if tiles { rng::unit_f64(rng) } else { 0.0 },
        });
        let uniforms: Vec<Uniforms> = uniforms.collect();
        if on_gpu(&[hidden, self.head()]) {
            return Ok(one_pass_head_on_gpu(
                hidden,
                self.head(),
                sampling.temperature,
                &uniforms,
                features,
            )?);
        }
        Ok((one_pass_head(hidden, self.head(), sampling.temperature, &uniforms, features)?, None))
    }

    /// [`Self::draw`] where only some tokens are possible, which all logits decide together.
    fn draw_of_few(
        &self,
        hidden: &Tensor,
        rows: &mut [Row],
        sampling: &Sampling,
        features: bool,
    ) -> Result<(HeadDraws, Option<Tensor>)> {
        let (head, vocabulary) = (self.head(), self.spec().vocab_size);
        let Sampling { temperature, top_k, top_p, .. } = *sampling;
        let truncation = Truncation { temperature, top_k, top_p };
        if on_gpu(&[hidden, head]) {
            let uniforms: Vec<f64> =
                rows.iter_mut().map(|row| rng::unit_f64(&mut row.rng)).collect();
            return Ok(truncated_draws_on_gpu(hidden, head, &truncation, &uniforms, features)?);
        }
        let logits = thin_linear(hidden, head)?.to_dtype(DType::F32)?;
        let mut logits = into_elements(logits)
            .ok_or_else(|| Error::failed("logits are not in the memory of the machine"))?;
        let mut draws = HeadDraws::default();
        let drawn: Vec<(u32, f32, f32)> = logits
            .par_chunks_mut(vocabulary)
            .zip(rows.par_iter_mut())
            .map(|(logits, row)| {
                let found = candidates(logits, &truncation);
                let index = place(&found.probabilities, rng::unit_f64(&mut row.rng));
                if features {
                    found.spread(logits);
                }
                (found.tokens[index], found.probabilities[index].ln(), found.entropy)
            })
            .collect();
        for (token, logprob, entropy) in drawn {
            draws.tokens.push(token);
            draws.logprobs.push(logprob);
            draws.entropies.push(entropy);
        }
        if features {
            let probabilities = Tensor::from_vec(logits, (rows.len(), vocabulary), head.device())?
                .to_dtype(head.dtype())?;
            let chosen = head
                .index_select(&Tensor::from_slice(&draws.tokens, rows.len(), head.device())?, 0)?;
            let phi = (chosen - probabilities.matmul(head)?)?.to_dtype(DType::F32)?;
            draws.phi = phi.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?;
        }
        Ok((draws, None))
    }
}

/// Adds hidden states (rows, hidden) to the sums of the completions that continue.
fn add_hidden(completions: &mut [Completion], hidden: &Tensor, rows: &[Row]) -> Result<()> {
    let (_, width) = hidden.dims2()?;
    let hidden: Vec<f32> = hidden.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    for (row, hidden) in rows.iter().zip(hidden.chunks_exact(width)) {
        if !row.finished {
            let sum = &mut completions[row.index].hidden_sum;
            sum.iter_mut().zip(hidden).for_each(|(sum, hidden)| *sum += hidden);
        }
    }
    Ok(())
}

/// Adds `values` (rows, hidden), each row times its `weight`, to the sums of all completions, on the
/// GPU; those of finished rows count nothing.
fn add_on_gpu(
    sums: &mut Option<Tensor>,
    completions: usize,
    values: &Tensor,
    rows: &[Row],
    weight: impl Fn(usize) -> f32,
) -> Result<()> {
    let values = values.to_dtype(DType::F32)?.contiguous()?;
    let shape = (completions, values.dim(1)?);
    let sums = match sums {
        Some(sums) => sums,
        None => sums.insert(Tensor::zeros(shape, DType::F32, values.device())?),
    };
    let index: Vec<u32> = rows.iter().map(|row| row.index as u32).collect();
    let weights: Vec<f32> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| if row.finished { 0.0 } else { weight(number) })
        .collect();
    Ok(add_features(sums, &values, &index, &weights)?)
}
