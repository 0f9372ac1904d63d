//! The task that an experiment describes.

use super::{Room, Task, arithmetic, countdown, dataset};
use crate::error::{Error, Result};
use crate::experiment::TaskConfig;
use crate::model::TextTokenizer;
use std::sync::Arc;

/// Says that a task is one of another program.
pub(crate) fn foreign(name: &str) -> Error {
    Error::input(format!(
        "the task `{name}` is not part of this program; task: Custom(..) is for programs that add \
         their own task"
    ))
}

/// The task that an experiment describes, for a model with this tokenizer and with `room` for
/// prompts. Problems of a data set that are longer are left out.
pub fn build(
    config: &TaskConfig,
    tokenizer: &TextTokenizer,
    room: Option<Room>,
) -> Result<Arc<dyn Task>> {
    match config {
        TaskConfig::Dataset(c) => Ok(Arc::new(dataset::Dataset::new(c, tokenizer, room)?)),
        TaskConfig::Countdown(c) => {
            Ok(Arc::new(countdown::Countdown::new(c.numbers, c.target, c.largest)?))
        }
        TaskConfig::Custom(name) => Err(foreign(name)),
        TaskConfig::Arithmetic(c) => {
            Ok(Arc::new(arithmetic::Arithmetic::new(c.operations, c.largest)?))
        }
    }
}
