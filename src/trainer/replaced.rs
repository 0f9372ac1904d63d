//! What of a run's inputs was replaced while it went on.

use crate::run::{Event, Manifest, ReplacedInput};
use crate::tasks::TRAINING_DATA;

/// What the weights that a run starts from are called.
pub(super) const WEIGHTS: &str = "the base model's weights";

/// A manifest as it was after `step`: what was replaced or read otherwise later is again what it
/// was before. What is hashed in another way since then is not known any more.
pub(super) fn taken_back(mut manifest: Manifest, step: u64) -> Manifest {
    let mut later = Vec::new();
    // Of the same step, what was replaced comes before what was read otherwise.
    for list in [&mut manifest.replaced, &mut manifest.reread] {
        later.extend(list.extract_if(.., |entry| entry.step > step));
    }
    later.sort_by_key(|entry| entry.step);
    for ReplacedInput { input, from, to, .. } in later.into_iter().rev() {
        match manifest.inputs.remove(&input) {
            _ if input == WEIGHTS => manifest.model_hash = from,
            // It was not read before.
            Some(hash) if hash == to && from.is_empty() => {}
            Some(hash) if hash == to => drop(manifest.inputs.insert(input, from)),
            // It was read before.
            None if to.is_empty() => drop(manifest.inputs.insert(input, from)),
            _ if input == TRAINING_DATA => manifest.data_hash = from,
            _ => {}
        }
    }
    manifest
}

/// The event of an input that was replaced and accepted.
pub(super) fn event(replaced: &ReplacedInput) -> Event {
    let ReplacedInput { step, input, from, to } = replaced;
    Event::warning(
        *step,
        format!("{input} was replaced: its SHA-256 was {from} and is {to} from here on"),
    )
}
