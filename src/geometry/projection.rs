//! Two dimensions in which the directions of a group spread most.

use nalgebra::{DMatrix, SymmetricEigen};

/// The directions of a group in the plane of their two principal axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Projection {
    /// Coordinates of each direction, at most 1 from the origin: a short one points out of the
    /// plane.
    pub coordinates: Vec<[f64; 2]>,
    /// Share of the directions' squared length that lies along each axis, largest first.
    pub shares: [f64; 2],
}

/// Projects m unit directions, known by their cosines (row-major (m, m)), onto the two axes along
/// which their squared length is largest: principal components without centring, because the origin
/// means something. With the eigenvalues `l_k` and eigenvectors `u_k` of the cosine matrix,
/// direction i lies at `(sqrt(l_1) u_1i, sqrt(l_2) u_2i)` (classical scaling, Torgerson 1952). Of
/// each axis the sign is such that the coordinates' sum is not negative. `None` where a cosine is
/// not finite, there are not m x m of them, or the decomposition does not converge.
pub fn project(cosines: &[f32], m: usize) -> Option<Projection> {
    if m == 0 || cosines.len() != m * m || cosines.iter().any(|cosine| !cosine.is_finite()) {
        return None;
    }
    let matrix = DMatrix::from_iterator(m, m, cosines.iter().map(|&cosine| f64::from(cosine)));
    let decomposition = SymmetricEigen::try_new(matrix, f64::EPSILON, 1000 * m)?;
    let values = &decomposition.eigenvalues;
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let mut projection = Projection { coordinates: vec![[0.0; 2]; m], shares: [0.0; 2] };
    for (axis, &place) in order.iter().take(2).enumerate() {
        let length = values[place].max(0.0);
        let vector = decomposition.eigenvectors.column(place);
        let sign = if vector.sum() < 0.0 { -1.0 } else { 1.0 };
        for (at, component) in projection.coordinates.iter_mut().zip(vector.iter()) {
            at[axis] = sign * length.sqrt() * component;
        }
        projection.shares[axis] = if total > 0.0 { length / total } else { 0.0 };
    }
    Some(projection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gram(directions: &[Vec<f64>]) -> Vec<f32> {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() as f32;
        directions.iter().flat_map(|a| directions.iter().map(move |b| dot(a, b))).collect()
    }

    #[test]
    fn directions_in_a_plane_keep_their_lengths_and_angles() {
        let angles = [0.0f64, 0.3, 2.0, -1.2];
        let directions: Vec<Vec<f64>> =
            angles.iter().map(|angle| vec![angle.cos(), angle.sin(), 0.0]).collect();
        let projection = project(&gram(&directions), 4).unwrap();
        assert!((projection.shares.iter().sum::<f64>() - 1.0).abs() < 1e-6);
        for (a, at) in angles.iter().zip(&projection.coordinates) {
            for (b, other) in angles.iter().zip(&projection.coordinates) {
                let dot = at[0] * other[0] + at[1] * other[1];
                assert!((dot - (a - b).cos()).abs() < 1e-5, "{dot} for {a} and {b}");
            }
        }
    }

    #[test]
    fn one_direction_and_none_are_no_trouble() {
        let one = project(&[1.0], 1).unwrap();
        assert!((one.coordinates[0][0] - 1.0).abs() < 1e-6 && one.coordinates[0][1].abs() < 1e-6);
        assert_eq!(project(&[], 0), None);
        assert_eq!(project(&[1.0, f32::NAN, f32::NAN, 1.0], 2), None);
        assert_eq!(project(&[1.0], 2), None);
    }

    proptest! {
        #[test]
        fn no_projection_is_longer_than_its_direction(seed in proptest::collection::vec(-1.0f64..1.0, 24)) {
            let directions: Vec<Vec<f64>> = seed
                .chunks(4)
                .map(|direction| {
                    let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-9);
                    direction.iter().map(|x| x / norm).collect()
                })
                .collect();
            let projection = project(&gram(&directions), 6).unwrap();
            prop_assert!(projection.coordinates.iter().all(|[x, y]| x.hypot(*y) <= 1.0 + 1e-4));
            prop_assert!(projection.shares[0] >= projection.shares[1]);
        }
    }
}
