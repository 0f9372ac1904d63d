//! Names from outside that become parts of paths: in this machine's cache and in the hub's
//! addresses.
//!
//! A hub, an adapter's settings and a list of shards can say anything. What is not a plain name is
//! refused before it is used.

use crate::error::{Error, Result};
use crate::escape::is_obeyed;
use std::fmt::Write;

/// Most bytes of a part of a path: what file systems allow.
const PART_BYTES: usize = 255;

/// Refuses what is not `owner/name` (or, as the hub's first repositories, `name`).
pub(super) fn check_repository(repo: &str) -> Result<()> {
    let is_part = |part: &str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !part.is_empty() && part.len() <= 96 && part.chars().all(is_known) && !part.starts_with('.')
    };
    // The cache's folders have `--` where the repository has a slash.
    let is_clear = !repo.contains("--") && !repo.contains("..");
    if is_clear && repo.split('/').count() <= 2 && repo.split('/').all(is_part) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{repo:?} is not a repository of the hub; write owner/name, such as Qwen/Qwen3-1.7B-Base"
    )))
}

/// Refuses a revision that is not a plain name of a branch, tag or commit.
pub(super) fn check_revision(repo: &str, revision: &str) -> Result<()> {
    if is_plain(revision) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{revision:?} is not a revision of {repo}; write a branch, a tag or a commit, such as \
         main, without .. and odd characters"
    )))
}

/// Refuses a file that is not inside of its repository.
pub(super) fn check_file(repo: &str, file: &str) -> Result<()> {
    if is_plain(file) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{file:?} is not a file of {repo}; write its path in the repository, such as \
         data/train.parquet, without .. and odd characters"
    )))
}

/// Parts between slashes, none of which is empty or leads upwards, of characters that mean nothing
/// else anywhere.
fn is_plain(path: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= PART_BYTES;
    let is_known = |c: char| {
        !is_obeyed(c)
            && !c.is_control()
            && !matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
    };
    path.len() <= 1024 && path.split('/').all(is_part) && path.chars().all(is_known)
}

/// Whether this is the name of a commit: 40 hexadecimal digits.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_hexadecimal(text)
}

/// Whether this can be what the hub calls a file's content: a hash, perhaps with a number of parts.
pub(super) fn is_etag(text: &str) -> bool {
    (8..=128).contains(&text.len()) && is_hexadecimal(&text.replace('-', ""))
}

fn is_hexadecimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A path as part of an address; slashes stay where they separate files.
pub(super) fn encoded(path: &str, keeps_slashes: bool) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        if is_plain || (byte == b'/' && keeps_slashes) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ignored = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_become_parts_of_paths() {
        for plain in [
            "main",
            "refs/convert/parquet",
            "v1.0",
            "0000.parquet",
            "algebra/train/0000.parquet",
            "größe",
            ".a",
            "a b.csv",
        ] {
            assert!(
                check_revision("a/b", plain).is_ok() && check_file("a/b", plain).is_ok(),
                "{plain}"
            );
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "..",
            "a\\b",
            "a\nb",
            "a\u{9b}b",
            "a\u{202e}b",
            "C:x",
            "a?b",
        ] {
            for error in [check_revision("a/b", bad), check_file("a/b", bad)] {
                assert_eq!(error.unwrap_err().exit_status(), 2, "{bad:?}");
            }
        }
        assert!(!is_plain(&"a".repeat(300)));
        for repo in ["gpt2", "Qwen/Qwen3-1.7B-Base", "a_b/c.d"] {
            assert!(check_repository(repo).is_ok(), "{repo}");
        }
        for repo in [
            "", "/", "a/", "/a", "a/b/c", "../a", "a/..", "a/.b", "a--b/c", "a b/c", "a/b\\c",
            "a/b?c", "é/b",
        ] {
            assert_eq!(check_repository(repo).unwrap_err().exit_status(), 2, "{repo:?}");
        }
    }

    #[test]
    fn commits_and_contents_are_hashes() {
        assert!(is_commit(&"0a".repeat(20)));
        for bad in ["", "main", "../..", &"0A".repeat(20), &"0a".repeat(21)] {
            assert!(!is_commit(bad), "{bad}");
        }
        for etag in [&"0a".repeat(20), &"0a".repeat(32), "0123456789abcdef0123456789abcdef-12"] {
            assert!(is_etag(etag), "{etag}");
        }
        for bad in [
            "",
            "-",
            "--------",
            "../../../victim",
            "/etc/passwd",
            "abc/def",
            "a.part",
            &"a".repeat(400),
        ] {
            assert!(!is_etag(bad), "{bad}");
        }
    }

    #[test]
    fn addresses_hold_names_as_they_are() {
        assert_eq!(encoded("refs/convert/parquet", false), "refs%2Fconvert%2Fparquet");
        assert_eq!(encoded("a/b#c%41", true), "a/b%23c%2541");
    }
}
