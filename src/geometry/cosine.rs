//! Unit features and the cosine matrix of a group.

use super::EPSILON;
use crate::error::{Error, Result};

/// Splits `features` (m, dim) into rows, after checking that they are m whole rows of finite
/// numbers.
fn rows(features: &[f32], dim: usize) -> Result<Vec<&[f32]>> {
    if dim == 0 || !features.len().is_multiple_of(dim) {
        return Err(Error::input(format!(
            "{} feature values do not make rows of {dim}",
            features.len()
        )));
    }
    let rows: Vec<&[f32]> = features.chunks_exact(dim).collect();
    match rows.iter().position(|row| row.iter().any(|value| !value.is_finite())) {
        Some(row) => Err(Error::input(format!(
            "the features of response {row} (from 0) are not finite numbers"
        ))),
        None => Ok(rows),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// The norm of a row plus eps: what a feature is divided by.
fn divisor(row: &[f32]) -> f64 {
    dot(row, row).sqrt() + EPSILON
}

/// Unit features `Phi_hat = Phi / (norm(Phi) + eps)`: (m, dim) in, (m, dim) out, row-major. A zero
/// feature stays zero.
///
/// Fails where `features` is not a whole number of rows of `dim` finite numbers.
pub fn unit_features(features: &[f32], dim: usize) -> Result<Vec<f32>> {
    let mut unit = Vec::with_capacity(features.len());
    for row in rows(features, dim)? {
        let divisor = divisor(row);
        unit.extend(row.iter().map(|&value| (f64::from(value) / divisor) as f32));
    }
    Ok(unit)
}

/// Cosines between the gradient directions of a group's responses: (m, m), row-major, exactly
/// symmetric, within [-1, 1].
///
/// `S_ij = <Phi_i, Phi_j> / ((norm(Phi_i) + eps) (norm(Phi_j) + eps))`. By the same formula the
/// diagonal is `(n / (n + eps))^2` for norm n: a little below 1, and 0 for a zero feature, whose
/// cosines with the others are 0 too.
#[derive(Clone, Debug, PartialEq)]
pub struct CosineMatrix {
    size: usize,
    values: Vec<f32>,
}

impl CosineMatrix {
    /// The cosine matrix of `features` (m, dim), row-major; they need not be normalised.
    ///
    /// Fails where `features` is not a whole number of rows of `dim` finite numbers.
    pub fn from_features(features: &[f32], dim: usize) -> Result<Self> {
        let rows = rows(features, dim)?;
        let divisors: Vec<f64> = rows.iter().map(|row| divisor(row)).collect();
        Ok(Self::from_rows(&rows, &divisors))
    }

    /// The cosine matrix of `vectors` (m, dim), row-major, that have unit length already, such as
    /// sentence embeddings.
    ///
    /// Fails where `vectors` is not a whole number of rows of `dim` finite numbers.
    pub fn from_unit_vectors(vectors: &[f32], dim: usize) -> Result<Self> {
        let rows = rows(vectors, dim)?;
        Ok(Self::from_rows(&rows, &vec![1.0; rows.len()]))
    }

    fn from_rows(rows: &[&[f32]], divisors: &[f64]) -> Self {
        let size = rows.len();
        let mut values = vec![0.0; size * size];
        for i in 0..size {
            for j in i..size {
                let cosine =
                    (dot(rows[i], rows[j]) / (divisors[i] * divisors[j])).clamp(-1.0, 1.0) as f32;
                values[i * size + j] = cosine;
                values[j * size + i] = cosine;
            }
        }
        Self { size, values }
    }

    /// The cosine matrix of vectors with these inner `products` (size, size), row-major and
    /// symmetric: `P_ij / sqrt(P_ii P_jj)`, without eps; a zero vector has cosine 0 with all,
    /// itself included.
    ///
    /// Fails where the number of products is wrong or a product is not finite.
    pub fn from_products(products: &[f64], size: usize) -> Result<Self> {
        if Some(products.len()) != size.checked_mul(size)
            || products.iter().any(|product| !product.is_finite())
        {
            return Err(Error::input(format!(
                "{} products do not make a {size} x {size} cosine matrix of finite numbers",
                products.len()
            )));
        }
        let norm = |i: usize| products[i * size + i].max(0.0).sqrt();
        let mut values = vec![0.0; size * size];
        for i in 0..size {
            for j in i..size {
                let norms = norm(i) * norm(j);
                let cosine = if norms > 0.0 {
                    (products[i * size + j] / norms).clamp(-1.0, 1.0) as f32
                } else {
                    0.0
                };
                values[i * size + j] = cosine;
                values[j * size + i] = cosine;
            }
        }
        Ok(Self { size, values })
    }

    /// A matrix computed earlier, such as one read back from a run folder: `values` (size, size),
    /// row-major.
    ///
    /// Fails where the number of values is wrong, a value is not in [-1, 1], or the matrix is not
    /// symmetric.
    pub fn from_values(values: Vec<f32>, size: usize) -> Result<Self> {
        if Some(values.len()) != size.checked_mul(size) {
            return Err(Error::input(format!(
                "{} values do not make a {size} x {size} cosine matrix",
                values.len()
            )));
        }
        if let Some(value) = values.iter().find(|value| !(-1.0..=1.0).contains(*value)) {
            return Err(Error::input(format!("a cosine lies in [-1, 1], found {value}")));
        }
        let matrix = Self { size, values };
        for (i, j) in matrix.indices() {
            let (upper, lower) = (matrix.values[i * size + j], matrix.values[j * size + i]);
            if upper.to_bits() != lower.to_bits() {
                return Err(Error::input(format!(
                    "a cosine matrix is symmetric, found {upper} at ({i}, {j}) and {lower} at \
                     ({j}, {i})"
                )));
            }
        }
        Ok(matrix)
    }

    /// m, the number of responses.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The cosine between responses `i` and `j`; NaN where one of them is not in the group.
    pub fn get(&self, i: usize, j: usize) -> f32 {
        if i < self.size && j < self.size { self.values[i * self.size + j] } else { f32::NAN }
    }

    /// All values, (m, m) row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, (m, m) row-major, without a copy.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// Row `i`: the cosines of response `i` with all m responses. Empty where there is no such
    /// response.
    pub fn row(&self, i: usize) -> &[f32] {
        if i < self.size { &self.values[i * self.size..(i + 1) * self.size] } else { &[] }
    }

    /// The cosines of all unordered pairs, i < j, row by row: m (m - 1) / 2 of them.
    pub fn pairs(&self) -> impl Iterator<Item = f32> + '_ {
        self.indexed_pairs().map(|(_, _, cosine)| cosine)
    }

    /// All unordered pairs i < j with their cosines, row by row.
    pub fn indexed_pairs(&self) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
        self.indices().map(|(i, j)| (i, j, self.values[i * self.size + j]))
    }

    fn indices(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let size = self.size;
        (0..size).flat_map(move |i| (i + 1..size).map(move |j| (i, j)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_directions_have_known_cosines() {
        let matrix =
            CosineMatrix::from_features(&[3.0, 0.0, 0.0, 0.5, -2.0, 0.0, 1.0, 1.0], 2).unwrap();
        assert_eq!(matrix.size(), 4);
        let expected = [0.0, -1.0, 0.5f32.sqrt(), 0.0, 0.5f32.sqrt(), -(0.5f32.sqrt())];
        for (cosine, expected) in matrix.pairs().zip(expected) {
            assert!((cosine - expected).abs() < 5e-6, "{cosine} {expected}");
        }
        assert_eq!(matrix.pairs().count(), 6);
        assert_eq!(matrix.row(1)[3].to_bits(), matrix.get(3, 1).to_bits());
    }

    #[test]
    fn a_zero_feature_has_cosine_zero_with_everything() {
        let matrix = CosineMatrix::from_features(&[0.0, 0.0, 1.0, 2.0], 2).unwrap();
        assert_eq!(&matrix.values()[..3], &[0.0; 3]);
        assert!(matrix.get(1, 1) > 0.99999 && matrix.get(1, 1) < 1.0);
        assert_eq!(unit_features(&[0.0, 0.0], 2).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn unit_vectors_are_compared_without_eps() {
        let matrix = CosineMatrix::from_unit_vectors(&[0.6, 0.8, 1.0, 0.0, 0.6, 0.8], 2).unwrap();
        assert!((matrix.get(0, 1) - 0.6).abs() < 1e-7 && (matrix.get(0, 2) - 1.0).abs() < 1e-7);
    }

    #[test]
    fn bad_features_are_refused() {
        assert!(CosineMatrix::from_features(&[1.0, 2.0, 3.0], 2).is_err());
        assert!(CosineMatrix::from_features(&[1.0], 0).is_err());
        assert!(CosineMatrix::from_features(&[1.0, f32::NAN], 2).is_err());
        assert!(CosineMatrix::from_unit_vectors(&[1.0, f32::NAN], 2).is_err());
        assert!(unit_features(&[f32::INFINITY], 1).is_err());
        assert!(CosineMatrix::from_values(vec![1.0, 0.5, 0.4, 1.0], 2).is_err());
        assert!(CosineMatrix::from_values(vec![1.5], 1).is_err());
        assert!(CosineMatrix::from_values(vec![1.0], 2).is_err());
        assert!(CosineMatrix::from_values(vec![1.0, 0.5, 0.5, 1.0], 2).is_ok());
        assert!(CosineMatrix::from_features(&[], 3).is_ok_and(|matrix| matrix.size() == 0));
    }

    #[test]
    fn indices_outside_the_group_give_nan_and_nothing() {
        let matrix = CosineMatrix::from_features(&[1.0, 2.0], 1).unwrap();
        assert!(matrix.get(0, 2).is_nan() && matrix.get(2, 0).is_nan());
        assert!(matrix.row(2).is_empty());
    }
}
