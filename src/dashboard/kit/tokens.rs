//! What is shown of the tokens of a completion: their quantities as colours, and where two texts
//! differ. No drawing here.

use crate::dashboard::kit::format;
use crate::dashboard::kit::theme::Theme;
use crate::run::GroupTokens;
use egui::Color32;
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use std::ops::Range;
use std::time::{Duration, Instant};

/// A quantity that every token has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TokenQuantity {
    /// |phi|.
    #[default]
    Size,
    /// The part in the cosine with the other response of the pair.
    Share,
    /// log p.
    Logprob,
    /// Entropy of the distribution it was drawn from.
    Entropy,
    /// The policy's probability by the sampler's.
    Ratio,
}

impl TokenQuantity {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Size, Self::Share, Self::Logprob, Self::Entropy, Self::Ratio];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Size => "|φ|",
            Self::Share => "part in the cosine",
            Self::Logprob => "log p",
            Self::Entropy => "entropy",
            Self::Ratio => "ratio",
        }
    }

    /// What it is, with its formula.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Size => {
                "|φ_t|, the length of the token's feature φ_t = W e_t − Σ_v p(v) W e_v: how hard \
                 the token pushes the last hidden state. Large where the policy was surprised."
            }
            Self::Share => {
                "What the token adds to the cosine of the two directions: α_t φ_t · Φ_j by the \
                 norms. The parts of all tokens of a completion add up to the cosine. Blue pulls \
                 the two together, orange apart."
            }
            Self::Logprob => {
                "Log-probability under the sampling distribution, nats. Darker is more probable."
            }
            Self::Entropy => {
                "Entropy of the distribution that the token was drawn from, nats. High where the \
                 text could continue in many ways."
            }
            Self::Ratio => {
                "Probability in the update's last pass over the completion by that while sampling. \
                 1 before the policy has moved. Struck through: clipping took the token's gradient \
                 away."
            }
        }
    }

    /// Its values over the tokens of response `index`; parts are those in the cosine with `other`.
    pub(crate) fn values(self, tokens: &GroupTokens, index: usize, other: usize) -> Vec<f32> {
        let range = tokens.range(index);
        let m = tokens.offsets.len().saturating_sub(1);
        match self {
            Self::Size => tokens.norms[range].to_vec(),
            Self::Share => range
                .map(|token| tokens.shares.get(token * m + other).copied().unwrap_or(f32::NAN))
                .collect(),
            Self::Logprob => tokens.logprobs[range].to_vec(),
            Self::Entropy => tokens.entropies[range].to_vec(),
            Self::Ratio => tokens.ratios[range].to_vec(),
        }
    }

    /// What a value is measured from: where the colour is neutral.
    pub(crate) fn neutral(self) -> f32 {
        if self == Self::Ratio { 1.0 } else { 0.0 }
    }

    /// The largest distance from neutral among `values`; above 0.
    pub(crate) fn reach(self, values: &[f32]) -> f32 {
        let distances = values.iter().map(|value| (value - self.neutral()).abs());
        let largest = distances.filter(|distance| distance.is_finite()).fold(0.0f32, f32::max);
        // Rounding is not worth a colour.
        let least = if self == Self::Ratio { 1e-3 } else { 1e-6 };
        largest.max(least)
    }

    /// The colour of a value where the map ends at `reach` from neutral; `None` for NaN.
    pub(crate) fn color(self, theme: &Theme, value: f32, reach: f32) -> Option<Color32> {
        match self {
            Self::Size | Self::Entropy => theme.novelty((value / reach).clamp(0.0, 1.0)),
            Self::Logprob => theme.novelty((-value / reach).clamp(0.0, 1.0)),
            Self::Share | Self::Ratio => theme.cosine(value - self.neutral(), reach),
        }
    }

    /// A value in words.
    pub(crate) fn format(self, value: f32) -> String {
        let value = f64::from(value);
        match self {
            Self::Share => format::signed(value, 4),
            Self::Ratio => format::number(value, 4),
            Self::Size | Self::Logprob | Self::Entropy => format::number(value, 3),
        }
    }
}

/// How completions are written in the pair panel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TextView {
    /// As they are.
    Plain,
    /// With what the other has not marked.
    #[default]
    Differences,
    /// Token by token, shaded by a quantity.
    Tokens(TokenQuantity),
}

impl TextView {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Differences => "differences",
            Self::Tokens(quantity) => quantity.name(),
        }
    }
}

/// How long two texts may be compared, so that a frame does not wait for two very long ones; what
/// is not compared by then counts as different.
const DIFFERENCES_TIME: Duration = Duration::from_millis(8);

/// What each of two texts has that the other has not, as ranges of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// In the first text.
    pub(crate) first: Vec<Range<usize>>,
    /// In the second text.
    pub(crate) second: Vec<Range<usize>>,
}

/// Compares two texts word by word; signs count as words.
pub(crate) fn differences(first: &str, second: &str) -> Differences {
    let (old, new) = (words(first), words(second));
    let texts = |words: &[Range<usize>], text: &str| -> Vec<String> {
        words.iter().map(|word| text[word.clone()].to_owned()).collect()
    };
    let deadline = Some(Instant::now() + DIFFERENCES_TIME);
    let operations = capture_diff_slices_deadline(
        Algorithm::Myers,
        &texts(&old, first),
        &texts(&new, second),
        deadline,
    );
    let mut differences = Differences::default();
    for operation in operations.into_iter().filter(|operation| operation.tag() != DiffTag::Equal) {
        for (range, words, found) in [
            (operation.old_range(), &old, &mut differences.first),
            (operation.new_range(), &new, &mut differences.second),
        ] {
            if let Some([begin, .., end] | [begin @ end]) = words.get(range) {
                found.push(begin.start..end.end);
            }
        }
    }
    differences
}

/// Runs of letters and digits; every other character is a word of its own, except that spaces join.
fn words(text: &str) -> Vec<Range<usize>> {
    let kind = |c: char| match c {
        c if c.is_alphanumeric() => 1,
        c if c == ' ' || c == '\t' => 2,
        _ => 0,
    };
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut last = 0;
    for (at, c) in text.char_indices() {
        let this = kind(c);
        match words.last_mut() {
            Some(word) if this != 0 && this == last => word.end = at + c.len_utf8(),
            _ => words.push(at..at + c.len_utf8()),
        }
        last = this;
    }
    words
}

/// Where the verifier's extraction stands in a completion: in its last box, else its last
/// occurrence.
pub(crate) fn answer_range(completion: &str, extracted: Option<&str>) -> Option<Range<usize>> {
    let answer = extracted.filter(|answer| !answer.is_empty())?;
    let boxed = completion.rfind(&format!("boxed{{{answer}}}")).map(|at| at + "boxed{".len());
    let start = boxed.or_else(|| completion.rfind(answer))?;
    Some(start..start + answer.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_signs_that_the_other_text_has_not_are_found() {
        let found = differences("4*7=28, so 28+9=37", "4*7=28, so 28-9=19");
        let texts = |text: &'static str, ranges: &[Range<usize>]| -> Vec<&'static str> {
            ranges.iter().map(|range| &text[range.clone()]).collect()
        };
        assert_eq!(texts("4*7=28, so 28+9=37", &found.first), ["+", "37"]);
        assert_eq!(texts("4*7=28, so 28-9=19", &found.second), ["-", "19"]);
        assert_eq!(differences("the same", "the same"), Differences::default());
        assert_eq!(differences("", "übrig").second, std::iter::once(0..6).collect::<Vec<_>>());
    }

    #[test]
    fn the_answer_is_found_in_its_box_before_anywhere_else() {
        let text = r"5 then \boxed{5} and again 5";
        assert_eq!(answer_range(text, Some("5")), Some(14..15));
        assert_eq!(answer_range("5 then 5", Some("5")), Some(7..8));
        assert_eq!(answer_range("none", Some("5")), None);
        assert_eq!(answer_range("none", None), None);
    }

    #[test]
    fn parts_are_those_in_the_cosine_with_the_other() {
        let tokens = GroupTokens {
            offsets: vec![0, 1, 3],
            ends: vec![1, 1, 2],
            norms: vec![1.0, 2.0, 3.0],
            shares: vec![1.0, -0.5, 0.25, 0.5, -0.75, 0.5],
            logprobs: vec![-1.0; 3],
            entropies: vec![0.5; 3],
            ratios: vec![1.0, 1.5, f32::NAN],
            clipped: vec![false; 3],
        };
        assert_eq!(TokenQuantity::Share.values(&tokens, 1, 0), [0.25, -0.75]);
        assert_eq!(TokenQuantity::Size.values(&tokens, 0, 1), [1.0]);
        let ratios = TokenQuantity::Ratio.values(&tokens, 1, 0);
        assert!(
            (TokenQuantity::Ratio.reach(&ratios) - 0.5).abs() < 1e-6,
            "NaN has no colour and no say"
        );
        assert_eq!(tokens.pieces(1, "ab"), ["a", "b"]);
        assert_eq!(tokens.range(2), 0..0);
    }
}
