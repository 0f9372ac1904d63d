//! Data sets: files of problems, from this machine or the Hugging Face hub, and the prompts that are made of them.
//!
//! ```text
//! DataSource --files--> rows (JSON objects) --columns by alias--> Record --template--> prompt
//! ```

mod answers;
mod csv;
mod files;
mod jinja;
mod json;
mod named;
mod overlap;
mod parquet;
mod prompt;
mod record;
mod shards;

pub(crate) use answers::{judge, same_answer};
pub(crate) use files::name;
pub use json::Label;
pub(crate) use named::{NAMED, named};
pub(crate) use overlap::{TrainingTexts, WORDS};
pub use prompt::PromptTemplate;
pub(crate) use prompt::settled as settled_template;
pub use record::{Record, Unusable, read_records};

/// Text from outside as it is shown in a line: cut where it is long, and with escapes for what would steer a terminal.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let steers = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::new();
    let mut length = 0;
    for c in text.chars() {
        let part = if steers(c) { c.escape_default().to_string() } else { c.to_string() };
        length += part.chars().count();
        if length > most {
            shown.push('…');
            break;
        }
        shown.push_str(&part);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_is_shown_is_short_and_steers_no_terminal() {
        assert_eq!(shown("Euler's \"Counting\" ü", 40), "Euler's \"Counting\" ü");
        assert_eq!(shown("a\u{1b}[2Jb\n\u{202e}", 40), "a\\u{1b}[2Jb\\n\\u{202e}");
        assert_eq!(shown(&"ä".repeat(70_000), 3), "äää…");
    }
}
