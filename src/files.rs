//! The one way to read a small file that somebody else made, and to put a whole file in its place.

pub(crate) mod checksums;
pub(crate) mod folder;
pub(crate) mod lines;
pub(crate) mod lock;
pub(crate) mod space;
pub(crate) mod staging;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Most bytes of a file of settings: an experiment, a configuration, a template, a list of shards.
pub(crate) const SETTINGS_BYTES: u64 = 16 << 20;

/// Most bytes of a tokenizer's file. Those of large vocabularies have about 30 MiB.
pub(crate) const TOKENIZER_BYTES: u64 = 256 << 20;

/// Opens a regular file. Devices, pipes and folders are refused: they may have no end.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // Asked before it is opened: opening a pipe that nobody writes to would wait for ever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// Opens a file to write into, which is one of this program's own. A link is refused: it would lead
/// to a file of somebody else.
pub(crate) fn open_own(path: &Path, options: &OpenOptions) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
        }
        Ok(_) => options.open(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => options.open(path),
        Err(error) => Err(error),
    }
}

/// How the file begins that stands for one that Git LFS has not fetched.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// What to say of a file that begins like this, where it only stands for the one that is meant.
pub(crate) fn not_fetched(beginning: &[u8]) -> Option<&'static str> {
    beginning.starts_with(POINTER).then_some(
        "it is a pointer of Git LFS (git-lfs), not the file itself; run `git lfs pull` in its \
         repository",
    )
}

/// As many bytes as [`not_fetched`] looks at, or all where there are fewer.
pub(crate) fn beginning(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(POINTER.len() as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Refuses with this reason what a file holds.
fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The content of a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let why = format!("it has more than {limit} bytes, the most that is read of such a file");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    not_fetched(&bytes).map_or(Ok(bytes), |why| Err(refused(why)))
}

/// The text of a regular file of at most `limit` bytes, without a byte order mark. Text in UTF-16,
/// and bytes that are not UTF-8, are refused by name.
pub(crate) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    decode(read(path, limit)?)
}

/// Bytes of a file as text; see [`read_text`].
pub(crate) fn decode(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(without_mark(bytes)?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|&byte| byte == b'\n').count();
        refused(&format!("line {line} is not valid UTF-8"))
    })
}

/// The beginning of a text without a byte order mark. Refuses text in UTF-16, and what only stands
/// for a file.
pub(crate) fn without_mark(mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(refused("it is text in UTF-16; save it as UTF-8"));
    }
    if let Some(why) = not_fetched(&bytes) {
        return Err(refused(why));
    }
    if bytes.starts_with(MARK) {
        bytes.drain(..MARK.len());
    }
    Ok(bytes)
}

/// Puts a whole file in its place: written under another name, synced, renamed. After a crash there
/// is the old file or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    place(path, bytes, true)?;
    path.parent().map_or(Ok(()), sync)
}

/// The same for a file that is synced later: whoever reads it finds it whole, but a loss of power
/// may empty it.
pub(crate) fn write_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    place(path, bytes, false)
}

/// Keeps a copy of a file beside it, under a name with `ending` that nothing there has yet. Returns
/// its path.
pub(crate) fn copy_aside(path: &Path, ending: &str) -> io::Result<PathBuf> {
    let copy = free_name(path, ending);
    if let Err(error) = fs::copy(path, &copy).and_then(|_| sync(&copy)) {
        // On a full disk half of one would only take up room.
        fs::remove_file(&copy).ok();
        return Err(error);
    }
    Ok(copy)
}

/// `path` with an ending that nothing there has yet.
pub(crate) fn free_name(path: &Path, ending: &str) -> PathBuf {
    let names =
        std::iter::once(ending.to_string()).chain((2..).map(|number| format!("{ending}-{number}")));
    let mut paths = names.map(|ending| path.with_added_extension(ending));
    paths.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| path.to_path_buf())
}

fn place(path: &Path, bytes: &[u8], is_synced: bool) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let mut file = open_own(&temporary, File::options().write(true).create(true).truncate(true))?;
    let written = file.write_all(bytes);
    drop(file);
    let synced = written.and_then(|()| if is_synced { sync(&temporary) } else { Ok(()) });
    let placed = synced.and_then(|()| rename(&temporary, path));
    if placed.is_err() {
        // On a full disk it would only take up room.
        fs::remove_file(&temporary).ok();
    }
    placed
}

/// Brings a file, or the names in a folder, to the disk.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    trace::note("sync", path);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    // Other systems have no way to sync a folder.
    if cfg!(unix) || !path.is_dir() { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Gives a file or folder another name.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(test)]
    trace::note("rename", to);
    fs::rename(from, to)
}

/// What a thread has brought to the disk and renamed, in order: no test can cut the power.
#[cfg(test)]
pub(crate) mod trace {
    use std::cell::RefCell;
    use std::path::Path;

    thread_local! {
        static DONE: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(what: &str, path: &Path) {
        DONE.with_borrow_mut(|done| done.push(format!("{what} {}", path.display())));
    }

    /// What `work` does, as `sync PATH` and `rename PATH`, without the beginning `home` of all
    /// paths.
    pub(crate) fn of(home: &Path, work: impl FnOnce()) -> Vec<String> {
        DONE.take();
        work();
        let home = format!("{}/", home.display());
        DONE.take().iter().map(|line| line.replace(&home, "")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_without_its_mark_up_to_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_whole(&path, "\u{feff}{\"a\": 1}".as_bytes()).unwrap();
        assert_eq!(read_text(&path, 100).unwrap(), "{\"a\": 1}");
        assert_eq!(read(&path, 11).unwrap().len(), 11);
        assert_eq!(read(&path, 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        write_whole(&path, b"one\n\xc3(").unwrap();
        assert_eq!(read_text(&path, 100).unwrap_err().to_string(), "line 2 is not valid UTF-8");
        write_whole(&path, &[0xff, 0xfe, b'a', 0]).unwrap();
        assert!(read_text(&path, 100).unwrap_err().to_string().contains("UTF-16"));
        assert!(!folder.path().join("a.json.tmp").exists());
    }

    #[test]
    fn a_whole_file_is_on_the_disk_before_it_gets_its_name_and_its_name_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("home/a.json");
        fs::create_dir(folder.path().join("home")).unwrap();
        let done = trace::of(folder.path(), || write_whole(&path, b"a").unwrap());
        assert_eq!(done, ["sync home/a.json.tmp", "rename home/a.json", "sync home"]);
        let done = trace::of(folder.path(), || write_unsynced(&path, b"b").unwrap());
        assert_eq!(done, ["rename home/a.json"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn half_a_copy_does_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        write_whole(&path, b"a").unwrap();
        assert_eq!(fs::read(copy_aside(&path, "aside").unwrap()).unwrap(), b"a");
        fs::remove_file(&path).unwrap();
        // It can be opened, but nothing stands at its beginning.
        std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
        assert!(copy_aside(&path, "aside").is_err());
        assert!(!folder.path().join("a.jsonl.aside-2").exists());
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path(), 10).unwrap_err().to_string().contains("not a regular file"));
        #[cfg(unix)]
        assert!(
            read(Path::new("/dev/zero"), 10)
                .unwrap_err()
                .to_string()
                .contains("not a regular file")
        );
    }
}
