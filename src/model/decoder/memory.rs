//! Memory in which one step after another samples: what the system hands out anew costs more than
//! what is computed in it.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memory of keys, values and traces: what one step is done with is there for the next one. There
/// is never more than was in use at one time.
#[derive(Clone, Debug, Default)]
pub struct SamplingMemory(Arc<Mutex<ByLength>>);

type ByLength = HashMap<usize, Vec<Vec<f32>>>;

impl SamplingMemory {
    /// Gives back to the system what is not in use.
    pub fn clear(&self) {
        self.free().clear();
    }

    fn free(&self) -> MutexGuard<'_, ByLength> {
        // Whoever panicked has left whole vectors.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `len` elements with whatever is in them.
    pub(super) fn take(&self, len: usize) -> Kept {
        let used = self.free().get_mut(&len).and_then(Vec::pop);
        Kept { values: used.unwrap_or_else(|| vec![0.0; len]), memory: self.clone() }
    }

    /// `len` zeros.
    pub(super) fn zeros(&self, len: usize) -> Kept {
        let used = self.free().get_mut(&len).and_then(Vec::pop);
        let values = used.map_or_else(
            || vec![0.0; len],
            |mut values| {
                values.fill(0.0);
                values
            },
        );
        Kept { values, memory: self.clone() }
    }
}

/// Elements that go back to the memory they are of.
#[derive(Debug)]
pub(in crate::model) struct Kept {
    values: Vec<f32>,
    memory: SamplingMemory,
}

impl Deref for Kept {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        self.memory.free().entry(values.len()).or_default().push(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_there_for_the_next_of_its_length() {
        let memory = SamplingMemory::default();
        let mut first = memory.take(12);
        first.fill(1.0);
        let place = first.as_ptr();
        let other = memory.take(12);
        assert_ne!(other.as_ptr(), place);
        drop(first);
        assert_eq!(memory.take(5).len(), 5);
        let again = memory.zeros(12);
        assert_eq!((again.as_ptr(), &again[..]), (place, &[0.0; 12][..]));
        drop((again, other));
        let free = || memory.free().values().map(Vec::len).sum::<usize>();
        assert_eq!(free(), 3);
        memory.clear();
        assert_eq!(free(), 0);
    }
}
