//! What the procedural tasks share: dealing problems to the splits, and the proof that a task's
//! settings have problems at all.

use super::{Problem, Split};
use crate::error::{Error, Result};
use crate::rng::{self, Domain};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// One problem in this many is held out.
const HELD_OUT_SHARE: u64 = 10;

/// Settings are accepted if each of the first `TRIALS` problems of both splits is found within
/// `TRIAL_ATTEMPTS` draws and at least `MIN_DISTINCT` of them differ.
const TRIALS: u64 = 64;
const TRIAL_ATTEMPTS: u64 = 4096;
const MIN_DISTINCT: usize = 8;

/// The draws that one problem may take. Settings that pass the trial need about 4096 at worst on
/// average, so reaching this bound is a matter of chances like exp(-256).
const ATTEMPTS: u64 = 1 << 20;

/// The split of the problem with this canonical name: SHA-256 of the name, first eight bytes as a
/// little-endian integer, modulo ten; 0 is held out. Name and split go together whatever the seed,
/// so the splits share no problem.
pub fn split_of(id: &str) -> Split {
    let digest = Sha256::digest(id.as_bytes());
    let word = digest.iter().take(8).rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    if word.is_multiple_of(HELD_OUT_SHARE) { Split::HeldOut } else { Split::Train }
}

/// A problem of each split, for the draw that finds none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FallbackProblems {
    train: Problem,
    held_out: Problem,
}

impl FallbackProblems {
    /// Deals some problems of both splits to prove that `draw` finds them; `settings` names field
    /// and value for the error.
    pub(super) fn prove(
        settings: &str,
        draw: impl Fn(&mut ChaCha8Rng) -> Option<Problem>,
    ) -> Result<Self> {
        let prove = |split| {
            let found = (0..TRIALS)
                .map(|index| deal(split, 0, index, TRIAL_ATTEMPTS, &draw))
                .collect::<Option<Vec<_>>>()
                .unwrap_or_default();
            let distinct: BTreeSet<&str> =
                found.iter().map(|problem| problem.id.as_str()).collect();
            let enough = distinct.len() >= MIN_DISTINCT;
            found.into_iter().next().filter(|_| enough).ok_or_else(|| {
                let part = match split {
                    Split::Train => "training",
                    Split::HeldOut => "held-out",
                };
                Error::input(format!(
                    "{settings}: (almost) no {part} problem has these settings; {TRIALS} problems \
                     of at most {TRIAL_ATTEMPTS} draws each must give {MIN_DISTINCT} different \
                     ones; choose settings that more problems have"
                ))
            })
        };
        Ok(Self { train: prove(Split::Train)?, held_out: prove(Split::HeldOut)? })
    }

    /// Problem number `index` of `split`: the first suitable one that `draw` makes from the stream
    /// (seed, split, index, attempt). Should the bound on attempts be reached, a problem that was
    /// found at construction stands in, of the same split.
    pub(super) fn problem(
        &self,
        split: Split,
        seed: u64,
        index: u64,
        draw: impl Fn(&mut ChaCha8Rng) -> Option<Problem>,
    ) -> Problem {
        deal(split, seed, index, ATTEMPTS, draw).unwrap_or_else(|| match split {
            Split::Train => self.train.clone(),
            Split::HeldOut => self.held_out.clone(),
        })
    }
}

fn deal(
    split: Split,
    seed: u64,
    index: u64,
    attempts: u64,
    draw: impl Fn(&mut ChaCha8Rng) -> Option<Problem>,
) -> Option<Problem> {
    let split_word = match split {
        Split::Train => 0,
        Split::HeldOut => 1,
    };
    (0..attempts).find_map(|attempt| {
        let mut rng = rng::stream(seed, Domain::Problems, [split_word, index, attempt]);
        draw(&mut rng).filter(|problem| split_of(&problem.id) == split)
    })
}

/// `Ok` if `value` lies in `allowed`, and else the error that names field, value and range.
pub(super) fn check_range<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: T,
    allowed: std::ops::RangeInclusive<T>,
) -> Result<()> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let (low, high) = allowed.into_inner();
    Err(Error::field(field, format!("is {value}; it must be between {low} and {high}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_of_a_name_never_changes() {
        // From Python: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little") % 10 ==
        // 0
        let held_out: Vec<u32> = (1..100)
            .filter(|target| split_of(&format!("countdown/2,4,7,9={target}")) == Split::HeldOut)
            .collect();
        assert_eq!(held_out, [9, 20, 36, 44, 63, 71, 82, 84, 85, 92]);
    }

    #[test]
    fn one_name_in_ten_is_held_out() {
        let held_out = (0..20_000)
            .filter(|number| split_of(&format!("name/{number}")) == Split::HeldOut)
            .count();
        assert!(held_out.abs_diff(2000) < 150, "{held_out}");
    }
}
