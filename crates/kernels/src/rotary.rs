//! Rotary position embedding (Su et al., 2021), in the half-split layout of Llama and Qwen: element
//! i of a head turns together with element i + `head_dim` / 2 by the angle position * theta^(-2 i /
//! `head_dim`).

use super::cuda;
use super::storage::{fused, slice, with_slices};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};
use multiversion::multiversion;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Tokens per parallel task.
const TOKENS: usize = 64;

/// Positions of the first part of the tables.
const FIRST: usize = 4096;

/// Cosines and sines of some positions: each (positions, `head_dim` / 2).
type Table = (Vec<f32>, Vec<f32>);

/// Cosines and sines of all positions up to a limit, computed when they are first asked for.
#[derive(Clone)]
pub struct Rotary(Arc<Tables>);

struct Tables {
    /// Angle by which the elements of a pair turn from one position to the next: (`head_dim` / 2).
    frequencies: Vec<f32>,
    /// What cosines and sines are multiplied by.
    factor: f32,
    positions: usize,
    /// The first part has [`FIRST`] positions, and each other one as many as all before it.
    parts: Vec<OnceLock<Table>>,
    /// The parts up to each of them as one, for devices that keep the table whole.
    whole: Vec<OnceLock<Arc<Table>>>,
}

impl Rotary {
    /// Tables for `positions` positions of heads of `head_dim` elements with base `theta`.
    pub fn new(head_dim: usize, positions: usize, theta: f64) -> Self {
        Self::with_frequencies(Self::frequencies(head_dim, theta), 1.0, positions)
    }

    /// The angles per position of heads of `head_dim` elements with base `theta`: theta^(-2 i /
    /// `head_dim`).
    pub fn frequencies(head_dim: usize, theta: f64) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|i| 1.0 / (theta.powf(2.0 * i as f64 / head_dim as f64)) as f32)
            .collect()
    }

    /// Tables for `positions` positions, whose cosines and sines are multiplied by `factor`.
    pub fn with_frequencies(frequencies: Vec<f32>, factor: f32, positions: usize) -> Self {
        let parts = positions.div_ceil(FIRST).next_power_of_two().trailing_zeros() as usize + 1;
        Self(Arc::new(Tables {
            frequencies,
            factor,
            positions,
            parts: (0..parts).map(|_| OnceLock::new()).collect(),
            whole: (0..parts).map(|_| OnceLock::new()).collect(),
        }))
    }

    /// Number of positions that the tables cover.
    pub fn positions(&self) -> usize {
        self.0.positions
    }

    fn half(&self) -> usize {
        self.0.frequencies.len()
    }

    /// cos and sin (`head_dim` / 2) of a position.
    pub(super) fn rows(&self, position: u32) -> (&[f32], &[f32]) {
        let (position, half) = (position as usize, self.half());
        let part = part_of(position);
        let bounds = bounds(part, self.positions());
        let (cos, sin) = self.0.parts[part].get_or_init(|| self.0.table(bounds.clone()));
        let row = (position - bounds.start) * half..(position - bounds.start + 1) * half;
        (&cos[row.clone()], &sin[row])
    }

    /// A table of the positions from 0 to at least `last`, which is one of them.
    pub(super) fn whole(&self, last: u32) -> &Arc<Table> {
        let part = part_of(last as usize);
        let end = bounds(part, self.positions()).end;
        self.0.whole[part].get_or_init(|| Arc::new(self.0.table(0..end)))
    }

    /// cos and sin (tokens, 1, half) for the given positions.
    fn tensors(
        &self,
        positions: &[u32],
        dtype: DType,
        device: &Device,
    ) -> Result<(Tensor, Tensor)> {
        let shape = (positions.len(), 1, self.half());
        let cos: Vec<f32> =
            positions.iter().flat_map(|&p| self.rows(p).0.iter().copied()).collect();
        let sin: Vec<f32> =
            positions.iter().flat_map(|&p| self.rows(p).1.iter().copied()).collect();
        Ok((
            Tensor::from_vec(cos, shape, device)?.to_dtype(dtype)?,
            Tensor::from_vec(sin, shape, device)?.to_dtype(dtype)?,
        ))
    }

    fn check(&self, x: &Tensor, positions: &[u32]) -> Result<()> {
        let (tokens, _, head_dim) = x.dims3()?;
        if tokens != positions.len() || head_dim != 2 * self.half() {
            bail!(
                "rotary embedding of {:?} with {} positions and head size {}",
                x.shape(),
                positions.len(),
                2 * self.half()
            );
        }
        self.check_positions(positions)
    }

    /// Fails where a position is beyond the tables.
    pub fn check_positions(&self, positions: &[u32]) -> Result<()> {
        match positions.iter().max() {
            Some(&last) if last as usize >= self.positions() => {
                bail!("position {last} is beyond the model's {} positions", self.positions())
            }
            _ => Ok(()),
        }
    }
}

impl Tables {
    fn table(&self, positions: Range<usize>) -> Table {
        let angles = positions.flat_map(|p| self.frequencies.iter().map(move |f| p as f32 * f));
        angles.map(|angle| (angle.cos() * self.factor, angle.sin() * self.factor)).unzip()
    }
}

/// The part that holds a position.
fn part_of(position: usize) -> usize {
    (position / FIRST + 1).next_power_of_two().trailing_zeros() as usize
}

/// The positions of a part, of `positions` in all.
fn bounds(part: usize, positions: usize) -> Range<usize> {
    let end = (FIRST << part).min(positions);
    if part == 0 { 0..end } else { FIRST << (part - 1)..end }
}

/// Rotates x (tokens, heads, `head_dim`) by each token's position.
pub fn rotary_embedding(x: &Tensor, positions: &Arc<[u32]>, rotary: &Rotary) -> Result<Tensor> {
    rotary.check(x, positions)?;
    if fused(&[x]) {
        let op = RotaryOp { rotary: rotary.clone(), positions: positions.clone() };
        x.contiguous()?.apply_op1(op)
    } else if cuda::applies(&[x]) {
        cuda::rotary_embedding(x, positions, rotary)
    } else {
        rotary_embedding_reference(x, positions, rotary)
    }
}

/// [`rotary_embedding`] from plain candle operations.
pub fn rotary_embedding_reference(
    x: &Tensor,
    positions: &[u32],
    rotary: &Rotary,
) -> Result<Tensor> {
    rotary.check(x, positions)?;
    let (cos, sin) = rotary.tensors(positions, x.dtype(), x.device())?;
    let half = rotary.half();
    let first = x.narrow(2, 0, half)?;
    let second = x.narrow(2, half, half)?;
    let rotated_first = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
    let rotated_second = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
    Tensor::cat(&[rotated_first, rotated_second], 2)
}

struct RotaryOp {
    rotary: Rotary,
    positions: Arc<[u32]>,
}

/// Rotates one token's heads by (cos, sin), or back where `sign` is -1.
#[multiversion(targets = "simd")]
pub(super) fn rotate(y: &mut [f32], x: &[f32], cos: &[f32], sin: &[f32], sign: f32) {
    let half = cos.len();
    for (y, x) in y.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
        let (y1, y2) = y.split_at_mut(half);
        let (x1, x2) = x.split_at(half);
        for i in 0..half {
            let s = sign * sin[i];
            y1[i] = x1[i] * cos[i] - x2[i] * s;
            y2[i] = x2[i] * cos[i] + x1[i] * s;
        }
    }
}

impl RotaryOp {
    fn apply(&self, x: &[f32], width: usize, sign: f32) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(TOKENS * width)
            .zip(x.par_chunks(TOKENS * width))
            .zip(self.positions.par_chunks(TOKENS))
            .for_each(|((y, x), positions)| {
                for ((y, x), &position) in
                    y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(positions)
                {
                    let (cos, sin) = self.rotary.rows(position);
                    rotate(y, x, cos, sin, sign);
                }
            });
        y
    }
}

impl CustomOp1 for RotaryOp {
    fn name(&self) -> &'static str {
        "rotary-embedding"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, heads, head_dim) = layout.shape().dims3()?;
        let y = self.apply(slice(storage, layout)?, heads * head_dim, 1.0);
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, heads, head_dim) = x.dims3()?;
        with_slices([grad], |[g]| {
            Ok(Some(Tensor::from_vec(
                self.apply(g, heads * head_dim, -1.0),
                x.shape(),
                x.device(),
            )?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{agree, random};
    use super::*;

    #[test]
    fn fused_rotary_embedding_agrees_with_the_reference_forward_and_backward() {
        let rotary = Rotary::new(8, 32, 10_000.0);
        let positions: Arc<[u32]> = (0..70u32).map(|i| i * 5 % 31).collect();
        agree(
            &[random(&[70, 3, 8], 1)],
            |t| rotary_embedding(&t[0], &positions, &rotary),
            |t| rotary_embedding_reference(&t[0], &positions, &rotary),
            1e-5,
        );
    }

    #[test]
    fn tables_are_those_of_every_position_and_made_when_they_are_used() {
        // Two billion positions would be half a terabyte.
        let rotary = Rotary::new(64, 1 << 31, 10_000.0);
        let frequencies = Rotary::frequencies(64, 10_000.0);
        let whole = rotary.whole(9000).clone();
        assert_eq!(whole.0.len(), 16_384 * 32);
        for position in [0u32, 1, 4095, 4096, 8191, 8192, 9000, 16_383] {
            let (cos, sin) = rotary.rows(position);
            let expected: Vec<f32> =
                frequencies.iter().map(|f| (position as f32 * f).cos()).collect();
            assert_eq!(cos, expected);
            let row = position as usize * 32..(position as usize + 1) * 32;
            assert_eq!((cos, sin), (&whole.0[row.clone()], &whole.1[row]));
        }
        let short = Rotary::new(64, 5000, 10_000.0);
        assert_eq!(short.rows(4999), rotary.rows(4999));
        assert_eq!(short.whole(4097).0.len(), 5000 * 32);
        assert_eq!(Rotary::new(64, 3, 10_000.0).whole(2).0.len(), 3 * 32);
    }

    #[test]
    fn a_position_beyond_the_table_is_an_error() {
        let rotary = Rotary::new(8, 4, 10_000.0);
        let x = Tensor::zeros((1, 1, 8), DType::F32, &Device::Cpu).unwrap();
        assert!(rotary_embedding(&x, &Arc::from([4u32]), &rotary).is_err());
    }
}
