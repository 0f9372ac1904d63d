//! Hierarchical clustering of the rollouts of a group by their cosines, for an order in which like
//! directions stand together.

/// The leaves of the tree of average linkage (UPGMA: Sokal and Michener 1958) over the distances
/// 1 - cosine, from left to right.
///
/// `cosines` is row-major (m, m); one that is not a number counts as 0. At every merge the larger
/// cluster stands first, and of equal ones the one with the smaller index, so that the order does
/// not depend on anything else. O(m^3).
///
/// # Panics
///
/// Where `cosines` does not have m * m entries.
pub fn cluster_order(cosines: &[f32], m: usize) -> Vec<usize> {
    assert_eq!(cosines.len(), m * m, "a cosine for every pair");
    let mut clusters: Vec<Vec<usize>> = (0..m).map(|index| vec![index]).collect();
    // Mean cosine between clusters, updated by sizes as they merge.
    let mut mean: Vec<Vec<f64>> = (0..m)
        .map(|i| {
            let cosine = |j: usize| f64::from(cosines[i * m + j]);
            (0..m).map(|j| if cosine(j).is_finite() { cosine(j) } else { 0.0 }).collect()
        })
        .collect();
    while clusters.len() > 1 {
        let count = clusters.len();
        let mut best = (0, 1);
        for a in 0..count {
            for b in a + 1..count {
                if mean[a][b] > mean[best.0][best.1] {
                    best = (a, b);
                }
            }
        }
        let (a, b) = best;
        let (size_a, size_b) = (clusters[a].len() as f64, clusters[b].len() as f64);
        let merge =
            |(to_a, to_b): (&f64, &f64)| (size_a * to_a + size_b * to_b) / (size_a + size_b);
        let merged: Vec<f64> = mean[a].iter().zip(&mean[b]).map(merge).collect();
        for (row, &value) in mean.iter_mut().zip(&merged) {
            row[a] = value;
        }
        mean[a] = merged;
        mean.remove(b);
        for row in &mut mean {
            row.remove(b);
        }
        let mut second = clusters.remove(b);
        let first = &mut clusters[a];
        if (first.len(), std::cmp::Reverse(first[0])) < (second.len(), std::cmp::Reverse(second[0]))
        {
            std::mem::swap(first, &mut second);
        }
        first.extend(second);
    }
    clusters.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn like_directions_stand_together() {
        // Two blocks, {0, 2, 4} and {1, 3}, that oppose each other.
        let side = [1.0f32, -1.0, 1.0, -1.0, 1.0];
        let cosines: Vec<f32> =
            side.iter().flat_map(|a| side.iter().map(move |b| 0.9 * a * b)).collect();
        assert_eq!(cluster_order(&cosines, 5), [0, 2, 4, 1, 3]);
        assert_eq!(cluster_order(&[], 0), [0usize; 0]);
        assert_eq!(cluster_order(&[f32::NAN], 1), [0]);
    }

    proptest! {
        #[test]
        fn every_rollout_stands_once(m in 0usize..12, values in proptest::collection::vec(-1.0f32..1.0, 144)) {
            let cosines: Vec<f32> = (0..m * m).map(|place| values[place]).collect();
            let mut order = cluster_order(&cosines, m);
            order.sort_unstable();
            prop_assert_eq!(order, (0..m).collect::<Vec<_>>());
        }
    }
}
