//! Loops that the compiler vectorises once they are inlined into a `#[multiversion]` function.

/// Lanes of a reduction: enough for one AVX-512 register, or several smaller ones.
pub(super) const LANES: usize = 16;

/// a b + c, rounded once where `FMA` says that the processor does so in one instruction.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// e^x to within 2 units in the last place, without branches: Cody-Waite reduction and the
/// polynomial of Cephes' `expf`. NaN stays NaN; arguments beyond the range of `f32` saturate.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to the nearest integer
    const LN_2_HIGH: f32 = 355.0 / 512.0; // the leading bits of ln 2, so that n * LN_2_HIGH is exact
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = x - n * LN_2_HIGH;
    let r = r - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let value = p * (r * r) + r + 1.0;
    let exponent =
        (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32).wrapping_add(127);
    value * f32::from_bits((exponent << 23) as u32)
}

/// Inner product, summed in a fixed order.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    let mut sum = fold(lanes);
    for (x, y) in a_rest.iter().zip(b_rest) {
        sum += x * y;
    }
    sum
}

/// Sum, in a fixed order.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn sum(a: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (blocks, rest) = a.as_chunks::<LANES>();
    for x in blocks {
        for i in 0..LANES {
            lanes[i] += x[i];
        }
    }
    fold(lanes) + rest.iter().sum::<f32>()
}

/// Largest element; negative infinity for none.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = a.as_chunks::<LANES>();
    for x in blocks {
        for i in 0..LANES {
            lanes[i] = if x[i] > lanes[i] { x[i] } else { lanes[i] };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m })
}

/// y += a x.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
pub(super) fn add_scaled(y: &mut [f32], a: f32, x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "it must take on the target features of its caller")]
fn fold(lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    let mut lanes = lanes;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these results are exact, or equal bit for bit")]
mod tests {
    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in -86_000..88_000 {
            let x = i as f32 * 1e-3;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(super::exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "relative error {worst:e}");
        assert!(super::exp(f32::NAN).is_nan());
        assert!(super::exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn reductions_agree_with_plain_sums_for_every_length() {
        for n in 0..70 {
            let a: Vec<f32> = (0..n).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
            let b: Vec<f32> = (0..n).map(|i| (i * 5 % 13) as f32 - 6.0).collect();
            assert_eq!(super::dot(&a, &b), a.iter().zip(&b).map(|(x, y)| x * y).sum::<f32>());
            assert_eq!(super::sum(&a), a.iter().sum::<f32>());
            assert_eq!(super::max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
