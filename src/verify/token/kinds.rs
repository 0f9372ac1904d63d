//! What tokens there are.

/// A piece of an answer. Spacing, sizes (`\left`, `\big`), dollar signs and styles (`\mathit`,
/// `\underline`) are gone; marks that make another name of a name, such as `\overline` and `\vec`,
/// are commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verify) enum Token {
    /// Digits with at most one decimal point; thousands separators and superfluous leading zeros
    /// are gone.
    Number(String),
    /// The decimals of the number before this token repeat: the digits under the line.
    Repeating(String),
    /// One letter.
    Letter(char),
    /// Several letters in a row outside `\text`.
    Word(String),
    /// A word inside `\text` and the like.
    Text(String),
    /// A function, Greek letter or other command, without its backslash.
    Command(String),
    /// `\begin{...matrix}` or `array`.
    BeginMatrix,
    /// Its end.
    EndMatrix,
    /// Everything else, as the Unicode character that it is written with: `≤` for `\le`, `⦃` for
    /// `\{`, `⏎` for `\\`, `$` for a dollar as currency.
    Symbol(char),
}

/// How a comma between groups of three digits outside brackets is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verify) enum Commas {
    /// `1,234` is one number.
    Thousands,
    /// `1,234` are two numbers. `1,\!234` and `1{,}234` are one number all the same.
    Separate,
}
