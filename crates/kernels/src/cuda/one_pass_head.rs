//! The head of a decode step; see [`crate::one_pass_head`].
//!
//! W is gone through in chunks that stay in the GPU's second-level cache between their two
//! products, so it is read from memory once. Per chunk: z = h W^T, then a kernel that makes e^((z -
//! top) / T) of it, draws a candidate for each of the sampler's tiles and scales down what was
//! summed where the maximum rose, then E += e^((z - top) / T) W. Both products are cuBLAS's.
//! Tokens, log-probabilities and entropies come back to the host; features stay on the device.

use super::super::{HeadDraws, TILE, Uniforms};
use super::launch::{Program, aligned, arguments, launch, multiply, uninitialised};
use candle_core::{DType, Result, Tensor};

pub(super) static PROGRAM: Program = Program {
    name: "one_pass_head",
    source: include_str!("one_pass_head.cu"),
    kernels: &["head_chunk", "head_finish", "head_add_features"],
};

/// Bytes of W in a chunk: well below the second-level cache (40 MiB on an A100, 50 MiB on an H100),
/// which other operands share.
const CHUNK_BYTES: usize = 16 << 20;

const THREADS: usize = 256;

/// [`crate::one_pass_head`] on a GPU. Features (rows, d) stay there, and are not in the
/// draws.
pub fn one_pass_head(
    hidden: &Tensor,
    head: &Tensor,
    temperature: f64,
    uniforms: &[Uniforms],
    features: bool,
) -> Result<(HeadDraws, Option<Tensor>)> {
    let bytes = head.dim(1)? * head.dtype().size_in_bytes();
    chunked(
        hidden,
        head,
        temperature,
        uniforms,
        features,
        (CHUNK_BYTES / bytes / TILE).max(1) * TILE,
    )
}

/// `chunk` is a multiple of [`TILE`].
fn chunked(
    hidden: &Tensor,
    head: &Tensor,
    temperature: f64,
    uniforms: &[Uniforms],
    features: bool,
    chunk: usize,
) -> Result<(HeadDraws, Option<Tensor>)> {
    let (hidden, head) = (aligned(&hidden.detach())?, aligned(&head.detach())?);
    let ((rows, d), vocabulary) = (hidden.dims2()?, head.dim(0)?);
    let (dtype, device) = (hidden.dtype(), hidden.device());
    let program = PROGRAM.of(dtype);
    let inverse_temperature = (1.0 / temperature) as f32;
    let tiles = vocabulary.div_ceil(TILE);
    let width = if features { d } else { 0 };
    let chunk = chunk.min(vocabulary);

    let uniforms: Vec<f64> = uniforms.iter().flat_map(|u| [u.token, u.tile]).collect();
    let uniforms = Tensor::from_vec(uniforms, (rows, 2), device)?;
    let states = Tensor::from_vec([0.0, 0.0, f64::NEG_INFINITY].repeat(rows), (rows, 3), device)?;
    let expected = Tensor::zeros((rows, width.max(1)), DType::F32, device)?;
    let logits = uninitialised(rows * chunk, DType::F32, device)?;
    let weights = uninitialised(rows * chunk, dtype, device)?;
    let [masses, tops, logs] = [(); 3].map(|()| uninitialised((rows, tiles), DType::F32, device));
    let (masses, tops, logs) = (masses?, tops?, logs?);
    let candidates = uninitialised((rows, tiles), DType::U32, device)?;
    let results = uninitialised((rows, 3), DType::U32, device)?;
    for first in (0..vocabulary).step_by(chunk) {
        let tokens = chunk.min(vocabulary - first);
        let w = head.narrow(0, first, tokens)?;
        let logits = logits.narrow(0, 0, rows * tokens)?.reshape((rows, tokens))?;
        let weights = weights.narrow(0, 0, rows * tokens)?.reshape((rows, tokens))?;
        multiply(&logits, &hidden, &w.t()?, false)?;
        let arguments = arguments![
            &logits,
            &weights,
            &states,
            &expected,
            &uniforms,
            &candidates,
            &logs,
            &masses,
            &tops,
            tokens,
            first,
            tiles,
            width,
            inverse_temperature
        ];
        launch(program, "head_chunk", [rows, 1], THREADS, arguments)?;
        if features {
            multiply(&expected, &weights, &w, true)?;
        }
    }
    let arguments = arguments![
        &states,
        &uniforms,
        &candidates,
        &logs,
        &masses,
        &tops,
        &head,
        &expected,
        &results,
        tiles,
        width,
        inverse_temperature
    ];
    launch(program, "head_finish", [rows, 1], THREADS, arguments)?;
    let mut draws = HeadDraws::default();
    for result in results.to_vec2::<u32>()? {
        draws.tokens.push(result[0]);
        draws.logprobs.push(f32::from_bits(result[1]));
        draws.entropies.push(f32::from_bits(result[2]));
    }
    Ok((draws, features.then_some(expected)))
}

/// sums\[index\[r\]\] += alpha\[r\] phi\[r\]: `sums` (any, d) and `phi` (rows, d) in `f32`; indices
/// are distinct, and rows with an alpha of 0 are left out, whatever is in them.
pub fn add_features(sums: &Tensor, phi: &Tensor, index: &[u32], alpha: &[f32]) -> Result<()> {
    let (rows, d) = phi.dims2()?;
    let index = Tensor::from_slice(index, rows, phi.device())?;
    let alpha = Tensor::from_slice(alpha, rows, phi.device())?;
    let arguments = arguments![phi, &index, &alpha, sums, d];
    launch(PROGRAM.of(DType::F32), "head_add_features", [rows, 1], THREADS, arguments)
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{difference, random, rounded, values, within_bf16};
    use super::super::super::one_pass_head as on_cpu;
    use super::super::emulate;
    use super::*;
    use candle_core::Device;

    fn uniforms(rows: usize) -> Vec<Uniforms> {
        let draws = values(&random(&[2 * rows], 7));
        let unit = |draw: f32| f64::from(draw) / 3.0 + 0.5;
        draws.chunks(2).map(|u| Uniforms { token: unit(u[0]), tile: unit(u[1]) }).collect()
    }

    fn vector(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_emulated_head_agrees_with_the_cpu() {
        if !emulate::available() {
            return;
        }
        // Less than a tile, tiles that end within a chunk, several chunks; a rising maximum shrinks
        // what was summed.
        for (rows, d, vocabulary, chunk) in
            [(3, 6, 19, 512), (4, 16, 1300, 512), (2, 24, 2700, 1024)]
        {
            for temperature in [0.7, 1.0] {
                let (h, w) = (random(&[rows, d], 1), (random(&[vocabulary, d], 2) * 0.5).unwrap());
                let u = uniforms(rows);
                for features in [true, false] {
                    let expected = on_cpu(&h, &w, temperature, &u, features).unwrap();
                    let (found, phi) = chunked(&h, &w, temperature, &u, features, chunk).unwrap();
                    assert_eq!(found.tokens, expected.tokens);
                    assert!(
                        difference(&vector(&found.logprobs), &vector(&expected.logprobs)) < 1e-5
                    );
                    assert!(
                        difference(&vector(&found.entropies), &vector(&expected.entropies)) < 1e-5
                    );
                    assert_eq!(phi.is_some(), features);
                    if let Some(phi) = phi {
                        assert!(
                            difference(&phi.flatten_all().unwrap(), &vector(&expected.phi)) < 1e-5
                        );
                    }
                }
                let (h, w) = (rounded(&h), rounded(&w));
                let (found, phi) = chunked(&h, &w, temperature, &u, true, chunk).unwrap();
                let wide = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
                let expected = on_cpu(&wide(&h), &wide(&w), temperature, &u, true).unwrap();
                assert_eq!(found.tokens, expected.tokens);
                // Logits are in `f32`, so only the features see that probabilities were rounded.
                assert!(difference(&vector(&found.logprobs), &vector(&expected.logprobs)) < 1e-5);
                assert!(difference(&vector(&found.entropies), &vector(&expected.entropies)) < 1e-5);
                within_bf16(&phi.unwrap().flatten_all().unwrap(), &vector(&expected.phi));
            }
        }
    }

    #[test]
    fn extreme_logits_and_logits_that_are_not_finite_are_as_on_the_cpu() {
        if !emulate::available() {
            return;
        }
        let scale = Tensor::new(&[[0.0f32], [1.0], [300.0], [f32::NAN]], &Device::Cpu).unwrap();
        let h = random(&[4, 8], 4).broadcast_mul(&scale).unwrap();
        let (w, u) = (random(&[1100, 8], 2), uniforms(4));
        let (found, _) = chunked(&h, &w, 0.5, &u, true, 512).unwrap();
        let expected = on_cpu(&h, &w, 0.5, &u, true).unwrap();
        assert_eq!(found.tokens[..3], expected.tokens[..3]);
        for row in 0..3 {
            // A logit of 1,000 in `f32` is off by 1e-4 where sums have another order.
            assert!((found.logprobs[row] - expected.logprobs[row]).abs() < 1e-3);
            assert!((found.entropies[row] - expected.entropies[row]).abs() < 1e-3);
        }
        assert!((found.entropies[0] - 1100f32.ln()).abs() < 1e-5);
        assert!(found.logprobs[3].is_nan() && found.tokens[3] < 1100);
    }

    #[test]
    fn features_are_added_where_they_belong() {
        if !emulate::available() {
            return;
        }
        let (sums, phi) =
            (Tensor::ones((4, 3), DType::F32, &Device::Cpu).unwrap(), random(&[2, 3], 1));
        add_features(&sums, &phi, &[2, 0], &[0.5, 0.0]).unwrap();
        let (sums, phi) = (values(&sums), values(&phi));
        for (i, sum) in sums.iter().enumerate() {
            let expected = if i / 3 == 2 { 1.0 + 0.5 * phi[i % 3] } else { 1.0 };
            assert!((sum - expected).abs() < 1e-7);
        }
    }
}
