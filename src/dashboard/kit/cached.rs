//! Values that are computed once and kept until what they were computed from changes.

use std::sync::Arc;

/// The newest value, and what it was computed from.
#[derive(Clone, Debug)]
pub(crate) struct Cached<K, V>(Option<(K, V)>);

impl<K, V> Default for Cached<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: PartialEq, V: Clone> Cached<K, V> {
    /// The value for `key`; `compute` is called where the one that is kept is for another key.
    pub(crate) fn get(&mut self, key: K, compute: impl FnOnce() -> V) -> V {
        if let Some((of, value)) = &self.0
            && *of == key
        {
            return value.clone();
        }
        let value = compute();
        self.0 = Some((key, value.clone()));
        value
    }
}

/// A shared value as a key: equal only to itself, not to others of the same content.
#[derive(Clone, Debug)]
pub(crate) struct Same<T>(pub(crate) Arc<T>);

impl<T> PartialEq for Same<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_computed_again_where_its_key_changes_and_only_there() {
        let mut cached = Cached::default();
        let (one, equal) = (Arc::new(1), Arc::new(1));
        assert_eq!(cached.get(Same(Arc::clone(&one)), || "first"), "first");
        assert_eq!(cached.get(Same(one), || "second"), "first");
        assert_eq!(cached.get(Same(equal), || "second"), "second");
    }
}
