//! Random numbers that stay the same: keyed streams and integer-based sampling.
//!
//! Every random choice belongs to a stream that is named by four words, such as seed, domain, index and attempt, so it depends
//! neither on what was drawn before nor on the number of threads. The sampling functions read nothing but `next_u32` and are
//! written out here, so that a stream keeps its meaning when the `rand` crates change theirs.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The domain of problems, for the second word of a [`stream`] key: the highest byte tells streams of different use apart.
pub const PROBLEMS: u64 = 1 << 56;

/// The domain of sampled tokens.
pub const SAMPLES: u64 = 2 << 56;
/// The domain of random initial weights.
pub const WEIGHTS: u64 = 3 << 56;
/// The domain of the random start of adapters.
pub const ADAPTERS: u64 = 8 << 56;
/// The domain of worked solutions.
pub const SOLUTIONS: u64 = 4 << 56;

/// The domain of the order of problems in a data set.
pub const PROBLEM_ORDER: u64 = 6 << 56;
/// The domain of the order of choices in a question.
pub const CHOICES: u64 = 7 << 56;

/// The domain of the order of minibatches.
pub const MINIBATCHES: u64 = 5 << 56;

/// The domain of a curriculum's choices.
pub const CURRICULUM: u64 = 6 << 56;

/// The stream with this name. Streams with different keys are independent.
pub fn stream(key: [u64; 4]) -> ChaCha8Rng {
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(key) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

/// A uniform integer in `0..n`, without bias (Lemire's multiplication with rejection); 0 where `n` is 0.
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
    fn streams_are_reproducible_and_every_word_of_the_key_matters() {
        let first = |key| stream(key).next_u32();
        assert_eq!(first([1, 2, 3, 4]), first([1, 2, 3, 4]));
        for word in 0..4 {
            for bit in [0, 31, 32, 63] {
                let mut key = [1, 2, 3, 4];
                key[word] ^= 1 << bit;
                assert_ne!(first(key), first([1, 2, 3, 4]));
            }
        }
    }

    #[test]
    fn streams_keep_their_values() {
        // Computed apart from the definition of ChaCha8. Other numbers would give every recorded seed a new meaning.
        let mut rng = stream([0; 4]);
        assert_eq!([rng.next_u32(), rng.next_u32()], [0x2fef_003e, 0xd640_5f89]);
        let mut rng = stream([7, PROBLEMS, 0, 0]);
        let drawn: Vec<u32> = (0..8).map(|_| below(&mut rng, 100)).collect();
        assert_eq!(drawn, [83, 98, 90, 26, 21, 77, 64, 95]);
    }

    #[test]
    fn below_is_uniform_and_in_range() {
        let mut rng = stream([1, 0, 0, 0]);
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
        let mut rng = stream([2, 0, 0, 0]);
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
    fn shuffling_gives_every_order_equally_often() {
        let mut rng = stream([3, 0, 0, 0]);
        let mut counts = std::collections::BTreeMap::<[u8; 3], u32>::new();
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            shuffle(&mut rng, &mut items);
            *counts.entry(items).or_default() += 1;
        }
        assert!(counts.len() == 6 && counts.values().all(|count| count.abs_diff(1000) < 150), "{counts:?}");
        shuffle(&mut rng, &mut [0u8; 0]);
    }
}
