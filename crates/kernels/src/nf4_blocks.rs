//! The data type NF4 on slices: encoding and decoding.
//!
//! An element is one of 16 levels between -1 and 1, which a normal distribution reaches about
//! equally often, times the largest absolute value of its block. Two elements are in a byte, the
//! first in the upper half. That is the type of `QLoRA` (Dettmers et al., arXiv 2305.14314), as
//! bitsandbytes stores it.

use multiversion::multiversion;
use rayon::prelude::*;

/// Elements with one scale.
pub(super) const BLOCK: usize = 64;

/// What the codes stand for.
pub(super) const LEVELS: [f32; 16] = [
    -1.0,
    -0.696_192_8,
    -0.525_073_05,
    -0.394_917_5,
    -0.284_441_38,
    -0.184_773_43,
    -0.091_050_036,
    0.0,
    0.079_580_3,
    0.160_930_2,
    0.246_112_3,
    0.337_915_24,
    0.440_709_83,
    0.562_617,
    0.722_956_84,
    1.0,
];

/// The code of 0.
const ZERO: u8 = 7;

/// The middles between neighbouring levels. One of them belongs to the level below.
const MIDDLES: [f32; 15] = {
    let mut middles = [0.0; 15];
    let mut i = 0;
    while i < middles.len() {
        middles[i] = f32::midpoint(LEVELS[i], LEVELS[i + 1]);
        i += 1;
    }
    middles
};

/// The two levels of every byte.
static PAIRS: [[f32; 2]; 256] = {
    let mut pairs = [[0.0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [LEVELS[byte >> 4], LEVELS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Elements of a parallel task.
const TASK: usize = 256 * BLOCK;

/// Encodes `values`: a byte for every two of them, and a scale for every block.
pub(super) fn encode(codes: &mut [u8], scales: &mut [f32], values: &[f32]) {
    codes
        .par_chunks_mut(TASK / 2)
        .zip(scales.par_chunks_mut(TASK / BLOCK))
        .zip(values.par_chunks(TASK))
        .for_each(|((codes, scales), values)| encode_blocks(codes, scales, values));
}

#[multiversion(targets = "simd")]
fn encode_blocks(codes: &mut [u8], scales: &mut [f32], values: &[f32]) {
    let blocks = codes.chunks_mut(BLOCK / 2).zip(scales).zip(values.chunks(BLOCK));
    for ((codes, scale), values) in blocks {
        *scale = values.iter().fold(0.0, |largest, value| value.abs().max(largest));
        let factor = 1.0 / scale.max(f32::MIN_POSITIVE);
        // Where a byte has no second element, it is 0.
        let mut levels = [ZERO; BLOCK];
        for (level, value) in levels.iter_mut().zip(values) {
            let value = value * factor;
            *level = MIDDLES.iter().map(|middle| u8::from(value > *middle)).sum();
        }
        for (code, [first, second]) in codes.iter_mut().zip(levels.as_chunks().0) {
            *code = first << 4 | second;
        }
    }
}

/// Decodes into `values`.
pub(super) fn decode(values: &mut [f32], codes: &[u8], scales: &[f32]) {
    values
        .par_chunks_mut(TASK)
        .zip(codes.par_chunks(TASK / 2))
        .zip(scales.par_chunks(TASK / BLOCK))
        .for_each(|((values, codes), scales)| {
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V4::try_new() {
                return wide::decode(simd, values, codes, scales);
            }
            decode_pairs(values, codes, scales);
        });
}

/// Decodes byte by byte.
fn decode_pairs(values: &mut [f32], codes: &[u8], scales: &[f32]) {
    for ((values, codes), scale) in
        values.chunks_mut(BLOCK).zip(codes.chunks(BLOCK / 2)).zip(scales)
    {
        let (pairs, last) = values.as_chunks_mut();
        for (pair, code) in pairs.iter_mut().zip(codes) {
            *pair = PAIRS[usize::from(*code)].map(|level| level * scale);
        }
        if let ([last], Some(code)) = (last, codes.last()) {
            *last = PAIRS[usize::from(*code)][0] * scale;
        }
    }
}

/// With vectors of 16 elements, in which all levels have room.
#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{BLOCK, LEVELS, decode_pairs};
    use pulp::NullaryFnOnce;
    use pulp::x86::V4;
    use std::arch::x86_64::__m512;

    const LANES: usize = LEVELS.len();

    pub(super) fn decode(simd: V4, values: &mut [f32], codes: &[u8], scales: &[f32]) {
        let whole = values.len() / BLOCK;
        let (values, last) = values.split_at_mut(whole * BLOCK);
        let (codes, last_codes) = codes.split_at(whole * BLOCK / 2);
        let (scales, last_scale) = scales.split_at(whole);
        simd.vectorize(Decode {
            simd,
            values: values.as_chunks_mut().0,
            codes: codes.as_chunks().0,
            scales,
        });
        decode_pairs(last, last_codes, last_scale);
    }

    struct Decode<'a> {
        simd: V4,
        values: &'a mut [[f32; LANES]],
        codes: &'a [[u8; LANES / 2]],
        scales: &'a [f32],
    }

    impl NullaryFnOnce for Decode<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            const VECTORS: usize = BLOCK / LANES;
            let Self { simd: V4 { sse2, sse4_1, avx512f, .. }, values, codes, scales } = self;
            let levels: __m512 = pulp::cast(LEVELS);
            let blocks =
                values.chunks_exact_mut(VECTORS).zip(codes.chunks_exact(VECTORS)).zip(scales);
            for ((values, codes), scale) in blocks {
                let scale = avx512f._mm512_set1_ps(*scale);
                for (values, codes) in values.iter_mut().zip(codes) {
                    // A byte in every 16 bits, then its upper half in the first 8 of them and its
                    // lower half in the second.
                    let bytes = pulp::cast([u64::from_le_bytes(*codes), 0]);
                    let bytes = sse4_1._mm_cvtepu8_epi16(bytes);
                    let first = sse2._mm_srli_epi16::<4>(bytes);
                    let second = sse2._mm_and_si128(bytes, sse2._mm_set1_epi16(15));
                    let both = sse2._mm_or_si128(first, sse2._mm_slli_epi16::<8>(second));
                    let index = avx512f._mm512_cvtepu8_epi32(both);
                    let elements = avx512f._mm512_permutexvar_ps(index, levels);
                    *values = pulp::cast(avx512f._mm512_mul_ps(elements, scale));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_decode_what_bytes_do_for_every_length() {
        for count in (0..300).chain([TASK - 1, 2 * TASK + 65]) {
            let codes: Vec<u8> =
                (0..count.div_ceil(2)).map(|i| ((i * 2_654_435) >> 7) as u8).collect();
            let scales: Vec<f32> = (0..count.div_ceil(BLOCK)).map(|i| 0.1 + i as f32).collect();
            let (mut found, mut expected) = (vec![f32::NAN; count], vec![f32::NAN; count]);
            decode(&mut found, &codes, &scales);
            decode_pairs(&mut expected, &codes, &scales);
            assert!(found == expected, "{count} elements");
        }
    }

    #[test]
    fn levels_are_kept_as_they_are() {
        let values: Vec<f32> = (0..5 * BLOCK + 9).map(|i| 3.0 * LEVELS[15 - i * 7 % 16]).collect();
        let mut codes = vec![0; values.len().div_ceil(2)];
        let mut scales = vec![0.0; values.len().div_ceil(BLOCK)];
        encode(&mut codes, &mut scales, &values);
        let mut decoded = vec![0.0; values.len()];
        decode(&mut decoded, &codes, &scales);
        assert!(decoded == values && scales == [3.0; 6]);
    }
}
