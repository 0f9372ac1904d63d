//! Overlap: problems of an evaluation that the policy is also trained on.
//!
//! Of a problem's runs of 13 words (the length of Brown et al., "Language models are few-shot
//! learners", arXiv 2005.14165, appendix C) at least half must stand in training problems. One run
//! alone proves nothing in mathematics: "relatively prime positive integers find m n" is in every
//! tenth problem of some competitions. That a share of the sample decides follows Touvron et al.,
//! "Llama 2" (arXiv 2307.09288, appendix A.6). Shorter problems overlap where all of their words
//! are equal. A word is a run of letters and digits in lower case, or a sign of arithmetic: without
//! these, sums and products of the same numbers would be the same problem.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Words in a row that make an overlap.
pub(crate) const WORDS: usize = 13;

/// The share of a problem's runs that makes an overlap.
const SHARE: f64 = 0.5;

/// The texts of training problems, by the hashes of their runs of words.
pub(crate) struct TrainingTexts(HashSet<u64>);

impl TrainingTexts {
    /// Of these texts.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self(texts.flat_map(runs).collect())
    }

    /// Whether `text` overlaps with them.
    pub(crate) fn overlap(&self, text: &str) -> bool {
        let runs = runs(text);
        let shared = runs.iter().filter(|run| self.0.contains(run)).count();
        shared as f64 >= SHARE * runs.len() as f64
    }
}

/// A sign of arithmetic that tells problems apart, in one of the ways in which it is written.
fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        '+' => "+",
        '-' | '\u{2212}' => "-",
        '*' | '\u{d7}' | '\u{b7}' => "*",
        '/' | '\u{f7}' => "/",
        '^' => "^",
        '=' => "=",
        '<' => "<",
        '>' => ">",
        '!' => "!",
        '%' => "%",
        _ => return None,
    })
}

/// The words of a text in lower case. Signs that join letters or stand in a row, as in
/// `well-known` and `**`, are typography and not words.
fn words(lower: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut word = 0;
    for (at, c) in lower.char_indices().filter(|(_, c)| !c.is_alphanumeric()) {
        let (before, after) = (&lower[..at], &lower[at + c.len_utf8()..]);
        words.extend(Some(&lower[word..at]).filter(|word| !word.is_empty()));
        word = at + c.len_utf8();
        let (last, next) = (before.chars().next_back(), after.chars().next());
        let joins = |c: Option<char>| c.is_some_and(char::is_alphabetic);
        let is_typography =
            last == Some(c) || next == Some(c) || (c == '-' && joins(last) && joins(next));
        words.extend(sign(c).filter(|_| !is_typography));
    }
    words.extend(Some(&lower[word..]).filter(|word| !word.is_empty()));
    words
}

/// Hashes of the runs of [`WORDS`] words of a text, or of all words of a shorter text.
fn runs(text: &str) -> Vec<u64> {
    let lower = text.to_lowercase();
    let words = words(&lower);
    let hash = |run: &[&str]| {
        let mut hasher = DefaultHasher::new();
        run.hash(&mut hasher);
        hasher.finish()
    };
    if words.len() < WORDS { vec![hash(&words)] } else { words.windows(WORDS).map(hash).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_runs_of_thirteen_words_overlap_and_fewer_do_not() {
        let numbers =
            |range: std::ops::Range<u32>| range.map(|n| n.to_string()).collect::<Vec<_>>();
        let training = TrainingTexts::new([numbers(0..40).join(" ")].iter().map(String::as_str));
        assert!(training.overlap(&numbers(0..40).join(", ")));
        // 14 words, two runs, of which one is known.
        assert!(training.overlap(&format!("{} end", numbers(20..33).join(":"))));
        // 15 words, three runs, of which one is known: a stock phrase.
        assert!(!training.overlap(&format!("begin {} end", numbers(20..33).join(":"))));
        assert!(!training.overlap(&format!("{} end", numbers(20..32).join(" "))));
        assert!(
            !training.overlap(&numbers(20..32).join(" ")),
            "a short text overlaps with a short one only"
        );
    }

    #[test]
    fn short_texts_overlap_where_all_words_are_equal() {
        let training = TrainingTexts::new(["What is $1 + 1$?"].into_iter());
        assert!(training.overlap("what is  1+1"));
        assert!(!training.overlap("What is $1 + 2$?"));
        assert!(!training.overlap("What is $1 + 1$, then?"));
        assert!(!training.overlap("What is $1 * 1$?"));
        assert!(!training.overlap("What is $1 1$?"));
        let training = TrainingTexts::new(["A **well-known** sum: 2 \u{2212} 1"].into_iter());
        assert!(training.overlap("A well known sum: 2-1"));
    }
}
