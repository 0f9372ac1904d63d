//! A layer's parameter as it is used, with what an adapter adds to it, and the products that a
//! linear layer makes of it, forward and backward.
//!
//! With scale B A added to W (LoRA: Hu et al., arXiv 2106.09685), y = x W^T + u B^T with
//! u = scale x A^T. From the gradient g of y: dW = g^T x, dB = g^T u, dA = t^T x and
//! dx = g W + t A, with t = scale g B.

use super::buffers::Buffers;
use super::matmul::{View, matmul};
use super::simd;
use multiversion::multiversion;
use rayon::prelude::*;

/// Elements per parallel task.
const ELEMENTS: usize = 16_384;

/// A parameter of a layer as it is used.
#[derive(Clone, Copy)]
pub struct LayerWeight<'a> {
    /// Its elements, (out, in) where it is that of a linear layer.
    pub elements: &'a [f32],
    /// What an adapter adds to the weight of a linear layer.
    pub low_rank: Option<LowRank<'a>>,
}

/// scale B A.
#[derive(Clone, Copy)]
pub struct LowRank<'a> {
    /// A (rank, in).
    pub a: &'a [f32],
    /// B (out, rank).
    pub b: &'a [f32],
    /// What the product is multiplied by.
    pub scale: f32,
}

/// Sums of gradients with respect to a [`LayerWeight`], of what is trained of it.
#[derive(Default)]
pub struct WeightSums {
    /// Of its elements, in their shape.
    pub elements: Option<Vec<f32>>,
    /// Of the adapter's A (rank, in).
    pub a: Option<Vec<f32>>,
    /// Of the adapter's B (out, rank).
    pub b: Option<Vec<f32>>,
}

impl LowRank<'_> {
    /// scale x A^T (n, rank) for x (n, `inner`).
    fn reduced(&self, x: &[f32], inner: usize, buffers: &mut Buffers) -> Vec<f32> {
        let mut reduced = product(x, self.a, inner, buffers);
        scale_elements(&mut reduced, self.scale);
        reduced
    }

    fn rank(&self, inner: usize) -> usize {
        self.a.len() / inner.max(1)
    }
}

impl LayerWeight<'_> {
    /// The result (n, out) for x (n, `inner`). Each of its rows is the same to the last bit
    /// whatever other rows there are.
    pub(super) fn linear(&self, x: &[f32], inner: usize, buffers: &mut Buffers) -> Vec<f32> {
        let mut y = product(x, self.elements, inner, buffers);
        if let Some(low_rank) = &self.low_rank {
            let reduced = low_rank.reduced(x, inner, buffers);
            let added = product(&reduced, low_rank.b, low_rank.rank(inner), buffers);
            add(&mut y, &added);
            buffers.give([reduced, added]);
        }
        y
    }

    /// Adds the gradients of what is trained to `sums`, from the gradient of the result, `grad` (n,
    /// `out`), and x (n, `inner`). Returns what [`Self::input_gradient`] needs of them.
    pub(super) fn add_gradients(
        &self,
        sums: &mut WeightSums,
        grad: &[f32],
        x: &[f32],
        (out, inner): (usize, usize),
        buffers: &mut Buffers,
    ) -> Option<Vec<f32>> {
        if let Some(sum) = &mut sums.elements {
            matmul(sum, View::new(grad, out).t(), View::new(x, inner), true);
        }
        let low_rank = self.low_rank.as_ref()?;
        let rank = low_rank.rank(inner);
        if let Some(sum) = &mut sums.b {
            let reduced = low_rank.reduced(x, inner, buffers);
            matmul(sum, View::new(grad, out).t(), View::new(&reduced, rank), true);
            buffers.give([reduced]);
        }
        let mut d_reduced = buffers.take(grad.len() / out.max(1) * rank);
        matmul(&mut d_reduced, View::new(grad, out), View::new(low_rank.b, rank), false);
        scale_elements(&mut d_reduced, low_rank.scale);
        if let Some(sum) = &mut sums.a {
            matmul(sum, View::new(&d_reduced, rank).t(), View::new(x, inner), true);
        }
        Some(d_reduced)
    }

    /// Writes the gradient of x (n, `inner`) to `d_x`, or adds it where `accumulate`, from the one
    /// of the result, `grad` (n, `out`), and what [`Self::add_gradients`] has returned.
    pub(super) fn input_gradient(
        &self,
        d_x: &mut [f32],
        grad: &[f32],
        (out, inner): (usize, usize),
        d_reduced: Option<Vec<f32>>,
        accumulate: bool,
        buffers: &mut Buffers,
    ) {
        matmul(d_x, View::new(grad, out), View::new(self.elements, inner), accumulate);
        if let Some((low_rank, d_reduced)) = self.low_rank.as_ref().zip(d_reduced) {
            let rank = low_rank.rank(inner);
            matmul(d_x, View::new(&d_reduced, rank), View::new(low_rank.a, inner), true);
            buffers.give([d_reduced]);
        }
    }
}

/// x (n, `inner`) times the transpose of `weight` (out, `inner`).
fn product(x: &[f32], weight: &[f32], inner: usize, buffers: &mut Buffers) -> Vec<f32> {
    let mut y = buffers.take(x.len() / inner.max(1) * (weight.len() / inner.max(1)));
    matmul(&mut y, View::new(x, inner), View::new(weight, inner).t(), false);
    y
}

/// y += x.
pub(super) fn add(y: &mut [f32], x: &[f32]) {
    y.par_chunks_mut(ELEMENTS).zip(x.par_chunks(ELEMENTS)).for_each(|(y, x)| add_elements(y, x));
}

#[multiversion(targets = "simd")]
pub(super) fn add_elements(y: &mut [f32], x: &[f32]) {
    simd::add_scaled(y, 1.0, x);
}

/// x *= scale.
#[multiversion(targets = "simd")]
pub fn scale_elements(x: &mut [f32], scale: f32) {
    for x in x {
        *x *= scale;
    }
}
