//! Memory that is used again: pages that the system has just handed out cost more than what is
//! computed in them.

use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Elements below which memory is not worth being cleared by several threads.
const ALONE: usize = 1 << 18;

/// `len` zeros. Large memory is cleared by all threads: the system hands out its pages when they
/// are touched for the first time, and that takes longer than what is done with them.
pub fn zeros(len: usize) -> Vec<f32> {
    if len < ALONE {
        return vec![0.0; len];
    }
    (0..len).into_par_iter().with_min_len(ALONE / 4).map(|_| 0.0).collect()
}

/// Buffers that are used again: what a pass frees here is there for the next one.
#[derive(Default)]
pub struct Buffers {
    of_passes: Vec<Vec<f32>>,
    /// Those of sums, whose lengths are always the same.
    of_sums: Vec<Vec<f32>>,
}

impl Buffers {
    /// `len` elements with whatever is in them.
    pub fn take(&mut self, len: usize) -> Vec<f32> {
        let capacity = |&i: &usize| self.of_passes[i].capacity();
        let places = 0..self.of_passes.len();
        let fitting = places.clone().filter(|i| capacity(i) >= len).min_by_key(capacity);
        let smaller = places.filter(|i| capacity(i) < len).max_by_key(capacity);
        // One that is nearly large enough was for the same use in a smaller pass. It grows: if a
        // much larger one were taken, that one's use would need another, and so on in every larger
        // pass.
        let is_too_large = fitting.is_some_and(|i| capacity(&i) > len + len / NEAR);
        let is_near = smaller.is_some_and(|i| capacity(&i) >= len - len / (NEAR + 1));
        let mut buffer = match fitting {
            Some(place) if !(is_too_large && is_near) => self.of_passes.swap_remove(place),
            _ => {
                // One that is too small makes room, so that there are never more than were in use
                // at one time.
                if let Some(place) = smaller {
                    self.of_passes.swap_remove(place);
                }
                Vec::with_capacity(len)
            }
        };
        buffer.resize(len, 0.0);
        buffer
    }

    /// `len` zeros.
    pub fn zeros(&mut self, len: usize) -> Vec<f32> {
        let mut buffer = self.take(len);
        buffer.fill(0.0);
        buffer
    }

    /// Takes back buffers.
    pub fn give(&mut self, buffers: impl IntoIterator<Item = Vec<f32>>) {
        self.of_passes.extend(buffers);
    }

    /// `len` zeros for a sum that outlives passes.
    pub fn sum(&mut self, len: usize) -> Vec<f32> {
        let Some(place) = self.of_sums.iter().position(|sum| sum.len() == len) else {
            return zeros(len);
        };
        let mut sum = self.of_sums.swap_remove(place);
        sum.par_chunks_mut(ALONE).for_each(|part| part.fill(0.0));
        sum
    }

    /// Takes back sums.
    pub fn give_sums(&mut self, sums: impl IntoIterator<Item = Vec<f32>>) {
        self.of_sums.extend(sums);
    }
}

/// Buffers whose lengths differ by less than this part are for the same use.
const NEAR: usize = 4;

/// Memory of a thread that goes back to it.
pub(super) struct OfThread(Vec<f32>);

impl OfThread {
    /// `len` elements with whatever is in them.
    pub(super) fn take(len: usize) -> Self {
        Self(with_thread_buffers(|buffers| buffers.take(len)))
    }
}

impl Deref for OfThread {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for OfThread {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for OfThread {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        with_thread_buffers(|buffers| buffers.give([buffer]));
    }
}

thread_local! {
    static OF_THREAD: RefCell<Buffers> = RefCell::default();
}

/// Does `work`, which must not call this function again, with the buffers of this thread.
pub(super) fn with_thread_buffers<T>(work: impl FnOnce(&mut Buffers) -> T) -> T {
    OF_THREAD.with_borrow_mut(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_buffer_that_fits_is_used_again() {
        let mut buffers = Buffers::default();
        let (small, large) = (vec![1.0; 10], vec![2.0; 100]);
        let places = [small.as_ptr(), large.as_ptr()];
        buffers.give([large, small]);
        let first = buffers.take(9);
        assert_eq!((first.as_ptr(), first.len()), (places[0], 9));
        let second = buffers.zeros(9);
        assert_eq!(second.as_ptr(), places[1]);
        assert_eq!(second, [0.0; 9]);
        assert_eq!(buffers.take(200).len(), 200, "there is always one");
    }

    #[test]
    fn zeros_are_as_many_as_asked_for() {
        for len in [0, 1, ALONE - 1, ALONE, 3 * ALONE + 7] {
            let zeros = super::zeros(len);
            assert!(zeros.len() == len && zeros.iter().all(|zero| zero.to_bits() == 0));
        }
    }

    #[test]
    fn buffers_do_not_pile_up_while_texts_become_longer() {
        let mut buffers = Buffers::default();
        for len in 1..100 {
            let (keys, scores) = (buffers.take(8 * len), buffers.take(len));
            buffers.give([keys, scores]);
        }
        assert_eq!(buffers.of_passes.len(), 2);
    }

    #[test]
    fn a_larger_pass_does_not_turn_small_buffers_into_large_ones() {
        let mut buffers = Buffers::default();
        for tokens in [90, 100, 95, 103, 110, 101, 117, 120, 124, 130] {
            let all: Vec<_> =
                [1, 1, 3, 3, 50].map(|width| buffers.take(width * tokens)).into_iter().collect();
            buffers.give(all);
        }
        let held: usize = buffers.of_passes.iter().map(Vec::capacity).sum();
        assert_eq!(held, (1 + 1 + 3 + 3 + 50) * 130);
    }

    #[test]
    fn a_sum_begins_with_zeros_in_the_memory_of_the_last_one_of_its_length() {
        let mut buffers = Buffers::default();
        let (small, large) = (vec![1.0; 10], vec![2.0; 2 * ALONE + 3]);
        let place = large.as_ptr();
        buffers.give_sums([small, large]);
        let sum = buffers.sum(2 * ALONE + 3);
        assert_eq!(sum.as_ptr(), place);
        assert!(sum.iter().all(|sum| sum.to_bits() == 0));
        assert_eq!(buffers.sum(9), [0.0; 9]);
        assert_eq!(buffers.of_sums.len(), 1);
    }

    #[test]
    fn memory_of_a_thread_is_there_for_its_next_use() {
        let first = OfThread::take(7).as_ptr();
        assert_eq!(OfThread::take(6).as_ptr(), first);
    }
}
