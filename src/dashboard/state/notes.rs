//! What panels keep about one run: each has a type of its own for that, which nobody else has to
//! know.

use std::any::Any;

/// Values, one of each type. They go with the run.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<Box<dyn Any>>);

impl Notes {
    /// The value of that type; its default where there is none.
    pub(crate) fn get<T: Any + Clone + Default>(&self) -> T {
        self.0.iter().find_map(|value| value.downcast_ref::<T>()).cloned().unwrap_or_default()
    }

    /// Keeps a value in place of the one of its type.
    pub(crate) fn set<T: Any>(&mut self, value: T) {
        self.0.retain(|other| !other.is::<T>());
        self.0.push(Box::new(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_value() {
        let mut notes = Notes::default();
        assert_eq!(notes.get::<u32>(), 0);
        notes.set(1u32);
        notes.set("a".to_owned());
        notes.set(2u32);
        assert_eq!((notes.get::<u32>(), notes.get::<String>()), (2, "a".to_owned()));
    }
}
