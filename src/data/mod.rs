//! Data sets: files of problems, from this machine or the Hugging Face hub, and the prompts that
//! are made of them.
//!
//! ```text
//! DataSource --files--> rows (JSON objects) --columns by alias--> Record --template--> prompt
//! ```

mod answers;
mod choices;
mod columns;
mod csv;
mod endings;
mod files;
mod jinja;
mod json;
mod named;
mod overlap;
mod packed;
mod parquet;
mod prompt;
mod record;
mod row;
mod shards;

pub(crate) use answers::same_answer;
pub(crate) use endings::name;
pub use json::Label;
pub(crate) use named::{NAMED, named};
pub(crate) use overlap::{TrainingTexts, WORDS};
pub use prompt::PromptTemplate;
pub(crate) use prompt::settled as settled_template;
pub use record::{Record, Unusable, read_records};
