//! Data sets: files of problems, from this machine or the Hugging Face hub, and the prompts that are made of them.
//!
//! ```text
//! DataSource --files--> rows (JSON objects) --columns by alias--> Record --template--> prompt
//! ```

mod answers;
mod files;
mod named;
mod overlap;
mod prompt;
mod record;

pub(crate) use answers::{judge, same_answer};
pub(crate) use named::{NAMED, named};
pub(crate) use overlap::{TrainingTexts, WORDS};
pub use prompt::PromptTemplate;
pub use record::{Record, read_records};
