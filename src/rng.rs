//! Random numbers that stay the same: keyed streams and integer-based sampling.
//!
//! Every random choice belongs to a stream that is named by a seed, a [`Domain`] and a key, such as
//! index and attempt, so it depends neither on what was drawn before nor on the number of threads.
//! The sampling functions read nothing but `next_u32` and are written out here, so that a stream
//! keeps its meaning when the `rand` crates change theirs.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for: the highest byte of the second word of its key, so that streams of
/// different use never meet. A number that is given away twice does not compile; a number that has
/// been changed gives every recorded seed a new meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Domain {
    /// Whatever tests draw.
    Tests = 0,
    /// Problems of procedural tasks.
    Problems = 1,
    /// Sampled tokens.
    Samples = 2,
    /// Random initial weights.
    Weights = 3,
    /// Worked solutions.
    Solutions = 4,
    /// The order of minibatches.
    Minibatches = 5,
    /// The order of problems in a data set.
    ProblemOrder = 6,
    /// The order of choices in a question.
    Choices = 7,
    /// The random start of adapters.
    Adapters = 8,
    /// A curriculum's choices.
    Curriculum = 9,
    /// Random projections.
    Projections = 10,
    /// What is left to chance so that a method can be compared with it.
    Controls = 11,
}

/// The stream with this name. Streams with different seeds, domains or keys are independent. The
/// key's first word has 56 bits.
pub fn stream(seed: u64, domain: Domain, key: [u64; 3]) -> ChaCha8Rng {
    const KEY_BITS: u32 = 56;
    let of_domain = (domain as u64) << KEY_BITS | key[0] & ((1 << KEY_BITS) - 1);
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip([seed, of_domain, key[1], key[2]]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

/// A uniform integer in `0..n`, without bias (Lemire's multiplication with rejection); 0 where `n`
/// is 0.
pub fn below(rng: &mut impl Rng, n: u32) -> u32 {
    if n == 0 {
        return 0;
    }
    let threshold = n.wrapping_neg() % n;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(n);
        if product as u32 >= threshold {
            return (product >> 32) as u32;
        }
    }
}

/// A uniform number in `[0, 1)` with 24 random bits.
pub fn unit_f32(rng: &mut impl Rng) -> f32 {
    const STEP: f32 = 1.0 / (1u32 << 24) as f32;
    (rng.next_u32() >> 8) as f32 * STEP
}

/// A uniform number in `[0, 1)` with 53 random bits, from two words of the stream.
pub fn unit_f64(rng: &mut impl Rng) -> f64 {
    const STEP: f64 = 1.0 / (1u64 << 53) as f64;
    let high = u64::from(rng.next_u32());
    let low = u64::from(rng.next_u32());
    ((high << 32 | low) >> 11) as f64 * STEP
}

/// Words of the stream that [`normal`] reads.
pub const WORDS_OF_NORMAL: u128 = 4;

/// A number from the standard normal distribution (Box and Muller).
pub fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit_f64(rng)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit_f64(rng)).cos()
}

/// Puts `items` in a uniformly random order (Fisher and Yates).
pub fn shuffle<T>(rng: &mut impl Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let other = below(rng, last as u32 + 1) as usize;
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_every_part_of_the_name_matters() {
        let first = |seed, domain, key| stream(seed, domain, key).next_u32();
        let expected = first(1, Domain::Tests, [2, 3, 4]);
        assert_eq!(first(1, Domain::Tests, [2, 3, 4]), expected);
        for bit in [0, 31, 32, 55, 63] {
            assert_ne!(first(1 ^ 1 << bit, Domain::Tests, [2, 3, 4]), expected);
            // The first word of the key leaves the domain alone.
            for word in if bit < 56 { 0..3 } else { 1..3 } {
                let mut key = [2, 3, 4];
                key[word] ^= 1 << bit;
                assert_ne!(first(1, Domain::Tests, key), expected, "{word} {bit}");
            }
        }
    }

    /// The first problem of a curriculum and the order of a data set's problems came from one
    /// stream once.
    #[test]
    fn no_two_domains_share_a_stream() {
        let all = [
            Domain::Tests,
            Domain::Problems,
            Domain::Samples,
            Domain::Weights,
            Domain::Solutions,
            Domain::Minibatches,
            Domain::ProblemOrder,
            Domain::Choices,
            Domain::Adapters,
            Domain::Curriculum,
        ];
        for key in [[0; 3], [1, 0, 0], [u64::MAX; 3]] {
            let mut firsts: Vec<u64> =
                all.iter().map(|&domain| stream(7, domain, key).next_u64()).collect();
            firsts.sort_unstable();
            firsts.dedup();
            assert_eq!(firsts.len(), all.len(), "{key:?}");
        }
    }

    #[test]
    fn streams_keep_their_values() {
        // Computed apart from the definition of ChaCha8. Other numbers would give every recorded
        // seed a new meaning.
        let mut rng = stream(0, Domain::Tests, [0; 3]);
        assert_eq!([rng.next_u32(), rng.next_u32()], [0x2fef_003e, 0xd640_5f89]);
        let mut rng = stream(7, Domain::Problems, [0; 3]);
        let drawn: Vec<u32> = (0..8).map(|_| below(&mut rng, 100)).collect();
        assert_eq!(drawn, [83, 98, 90, 26, 21, 77, 64, 95]);
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = stream(1, Domain::Tests, [0; 3]);
        assert_eq!(below(&mut rng, 0), 0);
        assert_eq!(below(&mut rng, 1), 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[below(&mut rng, 7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
        assert!((0..1000).all(|_| below(&mut rng, u32::MAX) < u32::MAX));
    }

    #[test]
    fn unit_numbers_lie_in_the_half_open_interval_and_average_one_half() {
        let mut rng = stream(2, Domain::Tests, [0; 3]);
        let (mut sum_f32, mut sum_f64) = (0.0, 0.0);
        for _ in 0..10_000 {
            let (single, double) = (unit_f32(&mut rng), unit_f64(&mut rng));
            assert!((0.0..1.0).contains(&single) && (0.0..1.0).contains(&double));
            sum_f32 += f64::from(single);
            sum_f64 += double;
        }
        assert!((sum_f32 / 10_000.0 - 0.5).abs() < 0.02 && (sum_f64 / 10_000.0 - 0.5).abs() < 0.02);
    }

    #[test]
    fn a_normal_number_is_found_by_its_place_in_the_stream() {
        let mut rng = stream(4, Domain::Tests, [0; 3]);
        let all: Vec<f64> = (0..40).map(|_| normal(&mut rng)).collect();
        for (place, number) in all.iter().enumerate() {
            let mut rng = stream(4, Domain::Tests, [0; 3]);
            rng.set_word_pos(place as u128 * WORDS_OF_NORMAL);
            assert_eq!(normal(&mut rng).to_bits(), number.to_bits());
        }
    }

    #[test]
    fn shuffling_gives_every_order_equally_often() {
        let mut rng = stream(3, Domain::Tests, [0; 3]);
        let mut counts = std::collections::BTreeMap::<[u8; 3], u32>::new();
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            shuffle(&mut rng, &mut items);
            *counts.entry(items).or_default() += 1;
        }
        assert!(
            counts.len() == 6 && counts.values().all(|count| count.abs_diff(1000) < 150),
            "{counts:?}"
        );
        shuffle(&mut rng, &mut [0u8; 0]);
    }
}
