//! Memory that is used again: pages that the system has just handed out cost more than what is
//! computed in them.

use rayon::prelude::*;
use std::cell::RefCell;

/// Elements below which memory is not worth being cleared by several threads.
const ALONE: usize = 1 << 18;

/// `len` zeros. Large memory is cleared by all threads: the system hands out its pages when they are
/// touched for the first time, and that takes longer than what is done with them.
pub fn zeros(len: usize) -> Vec<f32> {
    if len < ALONE {
        return vec![0.0; len];
    }
    (0..len).into_par_iter().with_min_len(ALONE / 4).map(|_| 0.0).collect()
}

/// Buffers that are used again: what a pass frees here is there for the next one.
#[derive(Default)]
pub struct Buffers(Vec<Vec<f32>>);

impl Buffers {
    /// `len` elements with whatever is in them.
    pub fn take(&mut self, len: usize) -> Vec<f32> {
        let capacity = |&i: &usize| self.0[i].capacity();
        let places = 0..self.0.len();
        let mut buffer = if let Some(place) =
            places.clone().filter(|i| capacity(i) >= len).min_by_key(capacity)
        {
            self.0.swap_remove(place)
        } else {
            // One that is too small makes room, so that there are never more than were in use at
            // one time.
            if let Some(place) = places.max_by_key(capacity) {
                self.0.swap_remove(place);
            }
            Vec::with_capacity(len)
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
        self.0.extend(buffers);
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
        assert_eq!(buffers.0.len(), 2);
    }
}
