//! Sentence encoders: what a response says, as a vector of unit length.
//!
//! | Encoder | Embeds | As |
//! |---|---|---|
//! | [`SentenceEncoder::Policy`] | the response's tokens after its last `</think>`, prompt and thinking being context | mean of the base model's final hidden states |
//! | [`SentenceEncoder::Bert`] | the response's text after its last `</think>` | mean of a BERT's last hidden states |
//!
//! The first needs no download; the second is what EVOL-RL (arXiv 2509.15194) compares texts by.
//! Cosines of the first are all high, because hidden states of a language model share a large
//! common part; they rank texts all the same.

use super::bert::{BATCH_TOKENS, BertEncoder};
use super::decoder::{Decoder, PackedTokens};
use super::frozen_network::FrozenNetwork;
use super::responses::micro_batches;
use super::tokenizer::TextTokenizer;
use crate::error::{Error, Result};
use candle_core::DType;

/// Ends the part of a response that is not meant for the reader.
const END_OF_THINKING: &str = "</think>";

/// A response to embed.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// Token ids of its prompt.
    pub prompt: &'a [u32],
    /// Its token ids, at least one.
    pub response: &'a [u32],
    /// Its text, without special tokens.
    pub text: &'a str,
}

/// Turns responses into vectors of unit length.
#[allow(clippy::large_enum_variant, reason = "a run has one of them")]
pub enum SentenceEncoder {
    /// The frozen base model.
    Policy(PolicyEncoder),
    /// A BERT-type sentence encoder.
    Bert(BertEncoder),
}

impl SentenceEncoder {
    /// The embedding of each passage, of unit length.
    ///
    /// Fails where an embedding is not finite or has no direction; the passage is named by its
    /// place.
    pub fn embed(&self, passages: &[Passage]) -> Result<Vec<Vec<f32>>> {
        self.with(|embed| embed(passages))
    }

    /// Does `work` with [`Self::embed`] as a function: an encoder whose network is offloaded is
    /// brought to its device once.
    pub fn with<T>(&self, work: impl FnOnce(&Embed) -> Result<T>) -> Result<T> {
        match self {
            Self::Policy(encoder) => encoder
                .network
                .with(|network| work(&|passages| units(encoder.vectors(network, passages)?))),
            Self::Bert(encoder) => work(&|passages| {
                let texts: Vec<&str> =
                    passages.iter().map(|passage| after_thinking(passage.text)).collect();
                units(encoder.embed(&texts)?)
            }),
        }
    }
}

/// Turns passages into vectors of unit length.
pub type Embed<'a> = dyn Fn(&[Passage]) -> Result<Vec<Vec<f32>>> + 'a;

fn units(vectors: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>> {
    vectors.into_iter().enumerate().map(|(place, vector)| unit(vector, place)).collect()
}

/// The text after the last `</think>`, or all of it.
fn after_thinking(text: &str) -> &str {
    text.rsplit_once(END_OF_THINKING).map_or(text, |(_, answer)| answer.trim_start())
}

fn unit(mut vector: Vec<f32>, place: usize) -> Result<Vec<f32>> {
    let norm = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return Err(Error::failed(format!(
            "the sentence encoder's vector of response {place} (from 0) has length {norm}; it \
             cannot be compared with others"
        )));
    }
    for value in &mut vector {
        *value = (f64::from(*value) / norm) as f32;
    }
    Ok(vector)
}

/// The base model as an encoder.
pub struct PolicyEncoder {
    network: FrozenNetwork,
    tokenizer: TextTokenizer,
}

impl PolicyEncoder {
    /// An encoder over a network that does not change during the run.
    pub fn new(network: FrozenNetwork, tokenizer: TextTokenizer) -> Self {
        Self { network, tokenizer }
    }

    fn vectors(&self, network: &Decoder, passages: &[Passage]) -> Result<Vec<Vec<f32>>> {
        let sequences: Vec<Vec<u32>> =
            passages.iter().map(|passage| [passage.prompt, passage.response].concat()).collect();
        let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
        let mut vectors = Vec::with_capacity(passages.len());
        for run in micro_batches(&lengths, BATCH_TOKENS) {
            let packed = PackedTokens::new(sequences[run.clone()].iter().map(Vec::as_slice));
            let hidden = network.forward(&packed)?.to_dtype(DType::F32)?; // (tokens, hidden)
            for (range, passage) in packed.segments.ranges().zip(&passages[run]) {
                let start = range.start + passage.prompt.len() + self.answer_start(passage)?;
                vectors
                    .push(hidden.narrow(0, start, range.end - start)?.mean(0)?.to_vec1::<f32>()?);
            }
        }
        Ok(vectors)
    }

    /// The first token after the last `</think>`; the last token of all where nothing comes after
    /// it.
    fn answer_start(&self, passage: &Passage) -> Result<usize> {
        let ends = passage.text.matches(END_OF_THINKING).count();
        let (mut before, mut after) = (0, passage.response.len());
        // The number of ends in the first n tokens' text grows with n.
        while ends > 0 && before < after {
            let middle = usize::midpoint(before, after);
            let text = self.tokenizer.decode(&passage.response[..middle])?;
            if text.matches(END_OF_THINKING).count() < ends {
                before = middle + 1;
            } else {
                after = middle;
            }
        }
        Ok(before.min(passage.response.len().saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::ModelSource;
    use crate::model::LanguageModel;
    use candle_core::Device;

    fn bundled() -> LanguageModel {
        LanguageModel::load(
            &ModelSource::Bundled("countdown".to_string()),
            DType::F32,
            &Device::Cpu,
        )
        .unwrap()
    }

    fn encoder(model: &LanguageModel) -> PolicyEncoder {
        let network = FrozenNetwork::new(&model.config, &model.weights).unwrap();
        PolicyEncoder::new(network, model.tokenizer.clone())
    }

    #[test]
    fn only_the_text_after_the_last_thinking_block_counts() {
        assert_eq!(after_thinking("<think>a</think>b</think>\n c"), "c");
        assert_eq!(after_thinking("no thoughts"), "no thoughts");
        assert_eq!(after_thinking("all thoughts</think>"), "");
    }

    #[test]
    fn the_policy_averages_its_final_hidden_states_over_the_response_alone() {
        let model = bundled();
        let prompt = model.tokenizer.encode("Use 2 3 4 to make 20.\n").unwrap();
        let texts = ["2+3=5\n5*4=20\n\\boxed{(2+3)*4}", "x", "no</think>2+3=5 thus 20"];
        let ids: Vec<Vec<u32>> =
            texts.iter().map(|text| model.tokenizer.encode(text).unwrap()).collect();
        let passages: Vec<Passage> = texts
            .iter()
            .zip(&ids)
            .map(|(text, ids)| Passage { prompt: &prompt, response: ids, text })
            .collect();
        let encoder = SentenceEncoder::Policy(encoder(&model));
        let vectors = encoder.embed(&passages).unwrap();
        for (passage, vector) in passages.iter().zip(&vectors) {
            let whole = [passage.prompt, passage.response].concat();
            let hidden = model.frozen.forward(&PackedTokens::new([whole.as_slice()])).unwrap();
            let rows: Vec<Vec<f32>> = hidden.to_vec2().unwrap();
            // "no</think>" is ten tokens of the byte-level tokenizer.
            let skipped = if passage.text.contains("</think>") { 10 } else { 0 };
            let rows = &rows[prompt.len() + skipped..];
            let mean = |d: usize| {
                rows.iter().map(|row| f64::from(row[d])).sum::<f64>() / rows.len() as f64
            };
            let mean: Vec<f64> = (0..vector.len()).map(mean).collect();
            let norm = mean.iter().map(|x| x * x).sum::<f64>().sqrt();
            for (found, expected) in vector.iter().zip(mean) {
                assert!(
                    (f64::from(*found) - expected / norm).abs() < 1e-6,
                    "{found} {}",
                    expected / norm
                );
            }
        }
    }

    #[test]
    fn a_response_that_only_thinks_is_embedded_by_its_last_token() {
        let model = bundled();
        let prompt = model.tokenizer.encode("Use 2 3 4 to make 20.\n").unwrap();
        let response = model.tokenizer.encode("2+3</think>").unwrap();
        let passage = Passage { prompt: &prompt, response: &response, text: "2+3</think>" };
        assert_eq!(encoder(&model).answer_start(&passage).unwrap(), response.len() - 1);
    }

    #[test]
    fn a_vector_that_is_not_finite_is_an_error_that_names_its_response() {
        let model = bundled();
        let weights = model.weights.copy(&Device::Cpu).unwrap();
        let (_, norm) = weights.variables().find(|(name, _)| *name == "model.norm.weight").unwrap();
        norm.set(&norm.affine(f64::NAN, 0.0).unwrap()).unwrap();
        let network = FrozenNetwork::new(&model.config, &weights).unwrap();
        let encoder = SentenceEncoder::Policy(PolicyEncoder::new(network, model.tokenizer.clone()));
        let passage = Passage { prompt: &[1], response: &[2, 3], text: "" };
        let error = encoder.embed(&[passage]).unwrap_err().to_string();
        assert!(error.contains("response 0") && error.contains("sentence encoder"), "{error}");
    }
}
