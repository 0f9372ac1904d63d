//! What a token attends to, and how its scores are scaled.

/// Reach and scale of a layer's attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scope {
    /// Scores are divided by the square root of this number.
    pub scalar: f64,
    /// How many tokens of its sequence a token sees: itself and those just before it. Without a
    /// window it sees all before it.
    pub window: Option<usize>,
}

impl Scope {
    /// Scores divided by the square root of the size of heads, and no window.
    pub fn full(head_dim: usize) -> Self {
        Self { scalar: head_dim as f64, window: None }
    }

    /// What scores are multiplied by.
    pub fn scale(self) -> f32 {
        1.0 / (self.scalar as f32).sqrt()
    }

    /// [`Self::scale`] in 64 bits.
    pub(super) fn wide_scale(self) -> f64 {
        1.0 / self.scalar.sqrt()
    }

    /// The first place in its sequence that a token at `place` sees.
    pub fn first(self, place: usize) -> usize {
        self.window.map_or(0, |window| (place + 1).saturating_sub(window))
    }

    /// Whether a token at `place` sees the one at `other`.
    pub(super) fn sees(self, place: usize, other: usize) -> bool {
        (self.first(place)..=place).contains(&other)
    }

    /// The window as kernels take it, which count in 32 bits with a sign.
    pub(super) fn window_or_largest(self) -> u32 {
        const LARGEST: u32 = i32::MAX as u32;
        self.window.map_or(LARGEST, |window| window.min(LARGEST as usize) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_the_token_itself() {
        let scope = Scope { window: Some(3), ..Scope::full(16) };
        assert_eq!([0, 2, 3, 9].map(|place| scope.first(place)), [0, 0, 1, 7]);
        assert!(scope.sees(5, 3) && scope.sees(5, 5) && !scope.sees(5, 2) && !scope.sees(5, 6));
        assert!(Scope::full(16).sees(1000, 0) && !Scope::full(16).sees(0, 1));
    }
}
