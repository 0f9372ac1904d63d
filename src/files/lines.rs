//! Files of one JSON object a line: lines of bounded length, and what a writer that was killed
//! leaves behind.

use super::without_mark;
use crate::error::nearest;
use crate::escape::{MOST_SHOWN, cut};
use serde::de::IgnoredAny;
use std::io::{self, BufRead, Read};

/// Most bytes of a line: far more than any response has, and less than any machine's memory.
const LINE_BYTES: u64 = 64 << 20;

/// The lines of a stream without their ends, and without a byte order mark before the first. One
/// without an end, such as `/dev/zero`, is refused after so many bytes. What
/// [`without_mark`](super::without_mark) refuses is refused here.
pub(crate) fn bounded(from: impl BufRead) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let mut is_first = true;
    pieces(from)
        .map(move |line| if std::mem::take(&mut is_first) { without_mark(line?) } else { line })
}

fn pieces(mut from: impl BufRead) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match from.by_ref().take(LINE_BYTES + 1).read_until(b'\n', &mut line) {
            Err(error) => Some(Err(error)),
            Ok(0) => None,
            Ok(_) if line.ends_with(b"\n") => {
                line.pop();
                Some(Ok(line))
            }
            Ok(_) if line.len() as u64 > LINE_BYTES => {
                let why = format!(
                    "it has more than {} MiB, the most that is read of a line",
                    LINE_BYTES >> 20
                );
                Some(Err(io::Error::new(io::ErrorKind::FileTooLarge, why)))
            }
            Ok(_) => Some(Ok(line)),
        }
    })
}

/// A key of an object that is passed over, although it is nearly one of `optional` that the object
/// lacks, and that one.
pub(crate) fn misspelt<'a>(
    line: &[u8],
    known: &[&str],
    optional: &[&'a str],
) -> Option<(String, &'a str)> {
    let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    let is_slip = |key: &str, name: &str| {
        strsim::damerau_levenshtein(&key.to_lowercase(), name) <= (name.len() / 3).clamp(1, 2)
    };
    let lacking = optional.iter().copied().filter(|name| !keys.contains_key(*name));
    let lacking: Vec<&str> = lacking.collect();
    keys.into_iter().map(|(key, _)| key).filter(|key| !known.contains(&key.as_str())).find_map(
        |key| {
            let near = nearest(&key, lacking.iter().copied()).filter(|name| is_slip(&key, name))?;
            Some((key, near))
        },
    )
}

/// What is said of such a key.
pub(crate) fn passed_over(number: usize, key: &str, near: &str) -> String {
    let key = cut(key, MOST_SHOWN);
    format!("line {number} has the unknown field `{key}`, which is ignored; did you mean `{near}`?")
}

/// What stands in a file of lines whose writer may have been killed.
pub(crate) struct Lines<'a, T> {
    /// Lines that can be read: number from 1, what they say, and their text.
    pub(crate) whole: Vec<(usize, T, &'a str)>,
    /// Numbers of lines that cannot.
    pub(crate) damaged: Vec<usize>,
    /// Whether the last line is the beginning of one: a kill leaves it.
    pub(crate) is_cut_off: bool,
}

impl<'a, T> Lines<'a, T> {
    /// Takes a file apart; `read` says what a line says, if it can be read. Empty lines are
    /// skipped.
    pub(crate) fn read(bytes: &'a [u8], read: impl Fn(&str) -> Option<T>) -> Self {
        let mut lines = Self { whole: Vec::new(), damaged: Vec::new(), is_cut_off: false };
        for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let text = std::str::from_utf8(line).ok().map(str::trim_end);
            match text.and_then(|text| Some((read(text)?, text))) {
                Some((what, text)) => lines.whole.push((index + 1, what, text)),
                None if line.trim_ascii().is_empty() => {}
                None if is_beginning(line) => lines.is_cut_off = true,
                None => lines.damaged.push(index + 1),
            }
        }
        lines
    }
}

/// Whether a line is the beginning of an object without an end.
fn is_beginning(line: &[u8]) -> bool {
    line.starts_with(b"{")
        && !line.ends_with(b"\n")
        && serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

/// Numbers of lines or steps in words: `line 3`, `lines 3, 5 and 2 more`.
pub(crate) fn numbered(noun: &str, numbers: &[usize]) -> String {
    const MOST: usize = 5;
    let plural = if numbers.len() == 1 { "" } else { "s" };
    let first = numbers.iter().take(MOST).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let more = numbers.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{noun}{plural} {first}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_leaves_the_beginning_of_a_line_and_anything_else_is_damage() {
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["n"].as_u64();
        for (end, damaged, is_cut_off) in [
            ("".as_bytes(), &[] as &[usize], false),
            (b"{\"n\"", &[], true),
            (b"{", &[], true),
            (b"{\"n\":3,\"text\":\"\xc3", &[], true),
            (b"\xff\xfe", &[4], false),
            (b"\0\0\0", &[4], false),
            (b"{\"n\"}", &[4], false),
            (b"{\"n\"\n", &[4], false),
            (b"{}", &[4], false),
            (b"\n\n{}\n", &[6], false),
        ] {
            let bytes = [b"{\"n\":1}\nx\n{\"n\":2}\n", end].concat();
            let lines = Lines::read(&bytes, read);
            let whole: Vec<(usize, u64)> =
                lines.whole.iter().map(|(number, n, _)| (*number, *n)).collect();
            assert_eq!(whole, [(1, 1), (3, 2)]);
            assert_eq!(
                (lines.damaged, lines.is_cut_off),
                ([&[2], damaged].concat(), is_cut_off),
                "{end:?}"
            );
        }
        // Whole but for its end.
        assert_eq!(Lines::read(b"{\"n\":1}", read).whole.len(), 1);
        assert_eq!(numbered("line", &[3]), "line 3");
        assert_eq!(numbered("line", &[3, 5]), "lines 3, 5");
        assert_eq!(numbered("line", &[1, 2, 3, 4, 5, 6, 9]), "lines 1, 2, 3, 4, 5 and 2 more");
    }

    #[test]
    fn a_mark_before_the_first_line_is_skipped_and_other_beginnings_are_named() {
        let lines = |bytes: &[u8]| bounded(bytes).collect::<io::Result<Vec<_>>>();
        let marked = lines("\u{feff}a\n\u{feff}b".as_bytes()).unwrap();
        assert_eq!(marked, [b"a".to_vec(), "\u{feff}b".as_bytes().to_vec()]);
        for (bytes, words) in [
            (b"\xff\xfea\0\n\0".as_slice(), "UTF-16"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
        ] {
            let error = lines(bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn slips_of_the_keyboard_are_told_from_other_keys() {
        let found = |line: &str| {
            misspelt(line.as_bytes(), &["id", "format"], &["format"]).map(|(key, _)| key)
        };
        for key in ["formt", "fromat", "Format", "formats"] {
            assert_eq!(found(&format!("{{\"id\": 1, \"{key}\": 2}}")).as_deref(), Some(key));
        }
        for line in ["{\"id\": 1, \"form\": 2, \"format\": 3}", "{\"from\": 1, \"model\": 2}", "3"]
        {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn a_stream_without_line_ends_is_given_up() {
        let text = b"a\n\nb".as_slice();
        let lines: Vec<Vec<u8>> = bounded(text).map(Result::unwrap).collect();
        assert_eq!(lines, [b"a".to_vec(), Vec::new(), b"b".to_vec()]);
        let mut endless = bounded(io::BufReader::new(io::repeat(0)));
        let error = endless.next().unwrap().unwrap_err();
        assert!(error.to_string().contains("more than 64 MiB"), "{error}");
    }
}
