//! The checksums of a folder's files, as `sha256sum` writes and checks them.

use super::{SETTINGS_BYTES, open_regular, read_text};
use crate::error::{Error, Result};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The file that holds them.
pub(crate) const CHECKSUMS: &str = "SHA256SUMS";

/// SHA-256 of a text or of bytes, in hexadecimal.
pub(crate) fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hexadecimal(Sha256::digest(bytes))
}

/// SHA-256 over texts, each with its length before it.
pub(crate) fn sha256_of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hexadecimal(hasher.finalize())
}

/// SHA-256 of a file's content.
pub(crate) fn sha256_of_file(path: &Path) -> io::Result<String> {
    digest(Sha256::new(), &mut open_regular(path)?)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: impl IntoIterator<Item = u8>) -> String {
    let digits = bytes.into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

/// The rest of a file, hashed, in hexadecimal.
pub(crate) fn digest<D: Digest>(mut hasher: D, file: &mut File) -> io::Result<String> {
    let mut piece = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(hexadecimal(hasher.finalize().iter().copied()));
        }
        hasher.update(&piece[..length]);
    }
}

/// Writes the checksums of all files in `folder`.
pub(crate) fn write(folder: &Path) -> Result<()> {
    let failed = Error::io("writing checksums", folder);
    let text = lines(folder).and_then(|text| std::fs::write(folder.join(CHECKSUMS), text));
    text.map_err(failed)
}

fn lines(folder: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != CHECKSUMS {
            files.push(entry.path());
        }
    }
    files.sort();
    let sums = files.par_iter().map(|path| sha256_of_file(path)).collect::<io::Result<Vec<_>>>()?;
    let line = |(path, sum): (&PathBuf, String)| {
        format!("{sum}  {}\n", path.file_name().unwrap_or_default().to_string_lossy())
    };
    Ok(files.iter().zip(sums).map(line).collect())
}

/// Refuses files in `folder` that are not what its checksums say, which must be there and name all
/// tensors.
pub(crate) fn verify(folder: &Path) -> Result<()> {
    let list = folder.join(CHECKSUMS);
    let damaged = |why: String| Error::input(format!("{why} ({})", list.display()));
    let text = listed(&list)?
        .ok_or_else(|| damaged("the checksums of its files are missing".to_string()))?;
    let entries = entries(&text)
        .map_err(|line| damaged(format!("line {line} of the checksums is damaged")))?;
    for entry in folder.read_dir().map_err(Error::io("reading a folder", folder))? {
        let name = entry.map_err(Error::io("reading a folder", folder))?.file_name();
        let name = name.to_string_lossy();
        if is_of_tensors(&name) && entries.iter().all(|(_, known)| *known != name) {
            return Err(damaged(format!("the checksums do not name {name}")));
        }
    }
    check(folder, &entries)
}

/// Refuses files of a model in `folder` that are not what its checksums say. A list of another form
/// is not this program's, and passes.
pub(crate) fn verify_model(folder: &Path) -> Result<()> {
    let Some(text) = listed(&folder.join(CHECKSUMS))? else { return Ok(()) };
    let Ok(mut entries) = entries(&text) else { return Ok(()) };
    entries.retain(|(_, name)| is_of_model(name));
    check(folder, &entries).map_err(|error| {
        Error::input(format!(
            "{error}; give it back what it was, or take {CHECKSUMS} away where the change is meant"
        ))
    })
}

/// Whether a model is read from a file of this name.
fn is_of_model(name: &str) -> bool {
    let ending = Path::new(name).extension().unwrap_or_default();
    ["safetensors", "json", "jinja", "txt"].iter().any(|known| ending == *known)
        && !name.starts_with("trainer")
}

fn is_of_tensors(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "safetensors")
}

/// The text of a list of checksums, where there is one.
fn listed(list: &Path) -> Result<Option<String>> {
    match read_text(list, SETTINGS_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Error::input(format!("the checksums cannot be read: {error} ({})", list.display())))
        }
    }
}

/// Sums and names of a list as this program writes it, or the number of the first line that is of
/// another form.
fn entries(text: &str) -> Result<Vec<(&str, &str)>, usize> {
    let is_sum = |sum: &str| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    let entry = |(number, line): (usize, _)| {
        let entry = str::split_once(line, "  ")
            .filter(|(sum, name)| is_sum(sum) && !name.contains(['/', '\\']));
        entry.ok_or(number + 1)
    };
    text.lines().enumerate().map(entry).collect()
}

fn check(folder: &Path, listed: &[(&str, &str)]) -> Result<()> {
    let check = |(sum, name): &(&str, &str)| {
        let path = folder.join(name);
        let found = sha256_of_file(&path)
            .map_err(|e| Error::input(format!("cannot read {name}: {e} ({})", path.display())))?;
        if found == *sum {
            return Ok(());
        }
        Err(Error::input(format!(
            "{name} is damaged or was changed: its SHA-256 is {}, and {CHECKSUMS} beside it says \
             {} ({})",
            short(&found),
            short(sum),
            path.display()
        )))
    };
    listed.par_iter().map(check).collect::<Vec<_>>().into_iter().collect()
}

/// That something has another hash than before, in words.
pub(crate) fn differs(what: &str, from: &str, to: &str) -> String {
    format!("SHA-256 of {what} was {} and is {}", short(from), short(to))
}

/// The beginning of a hash, for messages.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_and_a_missing_file_are_found_and_files_that_came_later_are_nobodys_concern() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "").unwrap();
        std::fs::write(path("b.safetensors"), vec![7; 3 << 20]).unwrap();
        write(folder.path()).unwrap();
        let text = std::fs::read_to_string(path(CHECKSUMS)).unwrap();
        assert!(
            text.starts_with(
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a\n"
            ),
            "{text}"
        );
        std::fs::write(path("notes"), "mine").unwrap();
        verify(folder.path()).unwrap();
        let mut bytes = std::fs::read(path("b.safetensors")).unwrap();
        bytes[2 << 20] ^= 4;
        std::fs::write(path("b.safetensors"), bytes).unwrap();
        let error = verify(folder.path()).unwrap_err();
        assert!(
            error.exit_status() == 2 && error.to_string().contains("b.safetensors is damaged"),
            "{error}"
        );
        assert!(
            verify_model(folder.path())
                .unwrap_err()
                .to_string()
                .contains("b.safetensors is damaged")
        );
        write(folder.path()).unwrap();
        std::fs::remove_file(path("a")).unwrap();
        assert!(verify(folder.path()).unwrap_err().to_string().contains("cannot read a"));
        verify_model(folder.path()).unwrap();
    }

    #[test]
    fn whatever_a_model_is_read_from_is_checked_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let read = [
            "config.json",
            "tokenizer.json",
            "chat_template.jinja",
            "merges.txt",
            "model.safetensors",
        ];
        let other = ["README.md", "experiment.ron", "trainer.json", "trainer.safetensors"];
        for name in read.iter().chain(&other) {
            std::fs::write(path(name), "a").unwrap();
        }
        write(folder.path()).unwrap();
        for name in other {
            std::fs::write(path(name), "b").unwrap();
        }
        verify_model(folder.path()).unwrap();
        for name in read {
            std::fs::write(path(name), "b").unwrap();
            let error = verify_model(folder.path()).unwrap_err();
            let told = error.to_string();
            assert!(
                error.exit_status() == 2
                    && told.contains(&format!("{name} is damaged or was changed")),
                "{told}"
            );
            assert!(told.contains("take SHA256SUMS away"), "{told}");
            std::fs::write(path(name), "a").unwrap();
        }
    }

    #[test]
    fn a_list_of_this_program_names_all_tensors_and_one_of_another_form_is_somebody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a.safetensors"), "a").unwrap();
        assert!(
            verify(folder.path())
                .unwrap_err()
                .to_string()
                .contains("the checksums of its files are missing")
        );
        verify_model(folder.path()).unwrap();
        std::fs::write(path(CHECKSUMS), "").unwrap();
        assert!(
            verify(folder.path()).unwrap_err().to_string().contains("do not name a.safetensors")
        );
        let binary = format!("{} *a.safetensors\n", "0".repeat(64));
        for text in ["x\n", &binary] {
            std::fs::write(path(CHECKSUMS), text).unwrap();
            assert!(
                verify(folder.path()).unwrap_err().to_string().contains("line 1 of the checksums"),
                "{text}"
            );
            verify_model(folder.path()).unwrap();
        }
    }
}
