//! How well one list of numbers predicts another.

/// Pearson's correlation of two lists of the same length; `None` for fewer than two pairs or where
/// one of them is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let count = x.len().min(y.len());
    if count < 2 {
        return None;
    }
    let mean = |values: &[f64]| values.iter().take(count).sum::<f64>() / count as f64;
    let (x_mean, y_mean) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (x - x_mean, y - y_mean);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    let norms = (xx * yy).sqrt();
    (norms > 0.0 && norms.is_finite()).then(|| (xy / norms).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation: [`pearson`] of the ranks, equal values sharing the mean of theirs.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    pearson(&ranks(x), &ranks(y))
}

/// Ranks from 1; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a].total_cmp(&values[b]).is_eq()) {
        for &place in tied {
            ranks[place] = before as f64 + (tied.len() + 1) as f64 / 2.0;
        }
        before += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_agree_with_numpy() {
        // numpy.corrcoef of these lists, and of their average ranks.
        let x = [1.0, 2.0, 2.0, 4.0, 7.0];
        let y = [0.5, 0.1, 0.9, 3.0, 2.0];
        assert!(
            (pearson(&x, &y).unwrap() - 0.680_229_001_173_564_4).abs() < 1e-9,
            "{:?}",
            pearson(&x, &y)
        );
        assert!(
            (spearman(&x, &y).unwrap() - 0.718_184_846_459_607_9).abs() < 1e-9,
            "{:?}",
            spearman(&x, &y)
        );
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert_eq!(pearson(&[1.0], &[2.0]), None);
        assert_eq!(spearman(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(pearson(&[], &[]), None);
    }

    proptest! {
        #[test]
        fn ranks_do_not_see_a_monotone_change(values in prop::collection::vec(-3.0f64..3.0, 3..20)) {
            let changed: Vec<f64> = values.iter().map(|value| value.exp()).collect();
            if let Some(correlation) = spearman(&values, &changed) {
                prop_assert!((correlation - 1.0).abs() < 1e-9);
            }
        }
    }
}
