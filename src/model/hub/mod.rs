//! Files from the Hugging Face hub, through its cache on this machine (the same that Python's
//! libraries use).
//!
//! `HF_HOME` (or `HF_HUB_CACHE`) says where the cache is, `HF_ENDPOINT` which hub is asked,
//! `HF_TOKEN` (or the token that `hf auth login` left) who asks, `HF_HUB_DOWNLOAD_TIMEOUT` how many
//! seconds a silent hub is waited for, and `HF_HUB_OFFLINE=1` forbids to ask. What is in the cache
//! is not asked for again, so a run that has been started once starts without a network. A branch
//! that has moved on is therefore seen only after its cache is removed; a commit as revision is
//! clear in any case.
//!
//! Nothing that comes is believed: names are plain names or refused (`names`), the token goes to
//! the hub's own host only (`client`), and content gets its name in the cache when its size and
//! hash are those that were announced (`cache`).

mod cache;
mod client;
mod names;

use super::bert::FILES as ENCODER;
use super::pooling::FILES as ENCODER_SETTINGS;
use super::tokenizer::COMPANIONS;
use crate::error::{Error, Result};
use crate::experiment::{HubDataset, HubRepository};
use crate::files;
use crate::weights::{INDEX as SHARDS, WHOLE as WEIGHTS, shard_files};
use cache::RepositoryCache;
use client::{Client, Refusal, Remote};
use indicatif::ProgressBar;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Downloads `files` of `revision` (a branch, tag or commit) of `repo` where they are not in the
/// cache yet. Returns the folder that holds them, all of the same commit, whose name is that
/// commit.
///
/// A file or repository that does not exist, a hub that cannot be reached and one that asks for a
/// token are input errors.
pub fn fetch(repo: &str, revision: &str, files: &[&str]) -> Result<PathBuf> {
    Hub::from_environment(Kind::Models)?.fetch(repo, revision, files)
}

/// [`fetch`] of a data set's files, which may lie in folders of the repository.
pub(crate) fn fetch_dataset(source: &HubDataset) -> Result<PathBuf> {
    let files: Vec<&str> = source.files.iter().map(String::as_str).collect();
    Hub::from_environment(Kind::Datasets)?.fetch(&source.repo, &source.revision, &files)
}

/// [`fetch`] of a language model: shape, tokenizer and weights, in one file or in shards.
pub(crate) fn fetch_model(source: &HubRepository) -> Result<PathBuf> {
    let hub = Hub::from_environment(Kind::Models)?;
    let folder = hub.fetch_shape(source)?;
    let commit = commit_of(&folder);
    let has_shards = hub.cached(&source.repo, &commit, SHARDS)?.is_some();
    let has_whole = hub.cached(&source.repo, &commit, WEIGHTS)?.is_some();
    let is_whole = (has_whole || !has_shards) && hub.get(&source.repo, &commit, WEIGHTS)?.is_some();
    if !is_whole {
        hub.fetch(&source.repo, &commit, &[SHARDS])?;
        let shards = shard_files(&folder.join(SHARDS))?;
        hub.fetch(&source.repo, &commit, &shards.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(folder)
}

/// Shape and tokenizer of a language model, without its weights: [`fetch`] of the small files.
pub(crate) fn fetch_shape(source: &HubRepository) -> Result<PathBuf> {
    Hub::from_environment(Kind::Models)?.fetch_shape(source)
}

/// [`fetch`] of a sentence encoder, and what its folder may say of the way to an embedding.
pub(crate) fn fetch_encoder(source: &HubRepository) -> Result<PathBuf> {
    Hub::from_environment(Kind::Models)?.fetch_with(source, &ENCODER, &ENCODER_SETTINGS)
}

/// Whether files of a repository of models are in the cache.
pub(crate) fn is_cached(source: &HubRepository, files: &[&str]) -> Result<bool> {
    Hub::from_environment(Kind::Models)?.has_all(&source.repo, &source.revision, files)
}

/// [`is_cached`] of a language model with all its weights.
pub(crate) fn is_cached_model(source: &HubRepository) -> Result<bool> {
    if !is_cached(source, &SHAPE)? {
        return Ok(false);
    }
    if is_cached(source, &[WEIGHTS])? {
        return Ok(true);
    }
    let hub = Hub::from_environment(Kind::Models)?;
    let Some(index) = hub.cached(&source.repo, &source.revision, SHARDS)? else { return Ok(false) };
    let shards = shard_files(&index)?;
    is_cached(source, &shards.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whether all files of a data set are in the cache.
pub(crate) fn is_cached_dataset(source: &HubDataset) -> Result<bool> {
    let files: Vec<&str> = source.files.iter().map(String::as_str).collect();
    Hub::from_environment(Kind::Datasets)?.has_all(&source.repo, &source.revision, &files)
}

/// The commit that a folder of [`fetch`] belongs to.
pub(crate) fn commit_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What every language model has beside its weights.
const SHAPE: [&str; 2] = ["config.json", "tokenizer.json"];

/// The hub as the environment describes it, for repositories of one kind.
struct Hub {
    kind: Kind,
    cache: PathBuf,
    client: Client,
    patience: Duration,
    is_offline: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Models,
    Datasets,
}

impl Kind {
    /// What the cache's folders begin with.
    fn name(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Datasets => "datasets",
        }
    }

    /// A repository in addresses.
    fn address(self, repo: &str) -> String {
        match self {
            Self::Models => repo.to_string(),
            Self::Datasets => format!("datasets/{repo}"),
        }
    }
}

/// The hub where nobody names one.
const ENDPOINT: &str = "https://huggingface.co";

/// How long a silent hub is waited for where nobody says, seconds.
const PATIENCE_S: f64 = 10.0;

/// Further attempts at a download that breaks off; each continues where the last one ended.
const ATTEMPTS: u32 = 3;

/// Most bytes of a file whose size the hub does not announce.
const UNANNOUNCED_BYTES: u64 = 1 << 30;

impl Hub {
    fn from_environment(kind: Kind) -> Result<Self> {
        let home = variable("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
            let home = || {
                std::env::home_dir()
                    .filter(|home| !home.as_os_str().is_empty())
                    .map(|home| home.join(".cache"))
            };
            Some(cache.or_else(home)?.join("huggingface"))
        });
        let Some(home) = home else {
            return Err(Error::input(
                "there is no home folder to keep downloads in; set HF_HOME to a folder",
            ));
        };
        let cache = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find_map(variable);
        let cache = cache.map_or_else(|| home.join("hub"), PathBuf::from);
        let patience = variable("HF_HUB_DOWNLOAD_TIMEOUT").map_or(Ok(PATIENCE_S), |text| {
            let seconds = text.to_str().and_then(|text| text.trim().parse().ok());
            seconds.filter(|seconds| (0.001..=86_400.0).contains(seconds)).ok_or_else(|| {
                let given = text.display();
                Error::input(format!(
                    "HF_HUB_DOWNLOAD_TIMEOUT is `{given}`; give a number of seconds, such as 10"
                ))
            })
        })?;
        let endpoint = variable("HF_ENDPOINT")
            .map_or(ENDPOINT.to_string(), |text| text.to_string_lossy().into_owned());
        let patience = Duration::from_secs_f64(patience);
        let offline = variable("HF_HUB_OFFLINE").map(|text| text.to_string_lossy().to_uppercase());
        Ok(Self {
            kind,
            cache,
            client: Client::new(&endpoint, token(&home), patience)?,
            patience,
            is_offline: offline
                .is_some_and(|text| ["1", "ON", "YES", "TRUE"].contains(&text.as_str())),
        })
    }

    fn fetch(&self, repo: &str, revision: &str, files: &[&str]) -> Result<PathBuf> {
        let mut revision = revision.to_string();
        let mut folder = PathBuf::new();
        for file in files {
            let path = self.get(repo, &revision, file)?.ok_or_else(|| {
                Error::input(format!(
                    "the hub has no file {file} in {repo} at revision {revision}; check the name \
                     and the revision ({})",
                    self.client.address()
                ))
            })?;
            folder = path.ancestors().nth(file.split('/').count()).unwrap_or(&path).to_path_buf();
            // A branch may move between two downloads; its commit does not.
            revision = commit_of(&folder);
        }
        Ok(folder)
    }

    /// Shape and tokenizer of a language model, and what else it may have: a chat template, tokens
    /// that end a response.
    fn fetch_shape(&self, source: &HubRepository) -> Result<PathBuf> {
        let optional: Vec<&str> =
            COMPANIONS.into_iter().chain(["generation_config.json"]).collect();
        self.fetch_with(source, &SHAPE, &optional)
    }

    /// [`Self::fetch`] of files that a repository must have, and of those that it may have.
    fn fetch_with(
        &self,
        source: &HubRepository,
        needed: &[&str],
        optional: &[&str],
    ) -> Result<PathBuf> {
        let folder = self.fetch(&source.repo, &source.revision, needed)?;
        let commit = commit_of(&folder);
        for file in optional {
            if self.repository(&source.repo).is_known_missing(&commit, file) {
                continue;
            }
            if let Err(error) = self.get(&source.repo, &commit, file) {
                // Other programs download all there is. Without a network, what they left is taken
                // for all.
                if folder.join(file).exists()
                    || !optional.iter().any(|file| folder.join(file).is_file())
                {
                    return Err(error);
                }
            }
        }
        Ok(folder)
    }

    /// The file's path in the cache; `None` where the hub says that it does not exist.
    fn get(&self, repo: &str, revision: &str, file: &str) -> Result<Option<PathBuf>> {
        let Some(path) = self.cached(repo, revision, file)? else {
            return self.download(repo, revision, file);
        };
        if cache::is_intact(&path).map_err(Error::io("checking a downloaded file", &path))? {
            return Ok(Some(path));
        }
        self.download(repo, revision, file).map_err(|error| {
            let blob = path.canonicalize().unwrap_or(path);
            Error::input(format!(
                "{file} of {repo} in the hub's cache is damaged: its content is not what its name \
                 says; delete {} and start again where the hub can be reached; {error}",
                blob.display()
            ))
        })
    }

    /// The file's path if it is in the cache, `revision` being a commit or a name whose commit is
    /// known.
    fn cached(&self, repo: &str, revision: &str, file: &str) -> Result<Option<PathBuf>> {
        names::check_repository(repo)?;
        names::check_revision(repo, revision)?;
        names::check_file(repo, file)?;
        Ok(self.repository(repo).find(revision, file))
    }

    fn has_all(&self, repo: &str, revision: &str, files: &[&str]) -> Result<bool> {
        for file in files {
            if self.cached(repo, revision, file)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn repository(&self, repo: &str) -> RepositoryCache {
        RepositoryCache::new(&self.cache, self.kind.name(), repo)
    }

    /// Downloads a file whose names are plain.
    fn download(&self, repo: &str, revision: &str, file: &str) -> Result<Option<PathBuf>> {
        if self.is_offline {
            let problem = "is not in the hub's cache, and HF_HUB_OFFLINE forbids to ask for it";
            return Err(Error::input(format!(
                "{file} of {repo} {problem} ({})",
                self.cache.display()
            )));
        }
        let failed = |text: &str| {
            Error::input(format!(
                "cannot download {file} of {repo} from the hub: {text}; check the network and \
                 HF_ENDPOINT, or give what you have downloaded with Local(\"..\") ({})",
                self.client.address()
            ))
        };
        let open = |revision: &str, start| {
            self.client.open(&self.kind.address(repo), revision, file, start)
        };
        let first = match open(revision, 0) {
            Ok(remote) => remote,
            Err(Refusal::Missing) => {
                if names::is_commit(revision) {
                    self.repository(repo).note_missing(revision, file)?;
                }
                return Ok(None);
            }
            Err(Refusal::Forbidden) => {
                return Err(Error::input(format!(
                    "the hub does not give {file} of {repo} to you; check the name, and set \
                     HF_TOKEN to a token with access ({})",
                    self.client.address()
                )));
            }
            Err(Refusal::Other(text)) => return Err(failed(&text)),
        };
        let Remote { commit, etag, size, .. } = &first;
        let (commit, etag, size) = (commit.clone(), etag.clone(), *size);
        if !names::is_commit(&commit) || (names::is_commit(revision) && commit != revision) {
            return Err(failed(&format!(
                "it says that this is of the commit {commit:?}, which cannot be"
            )));
        }
        if !names::is_etag(&etag) {
            return Err(failed(&format!("it calls the content {etag:?}, which is not a hash")));
        }
        if size.is_none() && !cache::is_hash(&etag) {
            return Err(failed("it announces neither the size nor the hash of the content"));
        }
        let cache = self.repository(repo);
        let _lock = cache.lock(&etag, self.patience)?;
        if !cache.has(&etag, size) {
            let mut transfer = Transfer {
                file,
                size,
                is_checked: cache::is_hash(&etag),
                path: cache.partial(&etag),
                first: Some(first),
                client: &self.client,
            };
            let again = |start| match open(&commit, start) {
                Ok(remote) if remote.etag == etag => Ok(remote),
                Ok(_) => Err("the content changed while it came".to_string()),
                Err(Refusal::Other(text)) => Err(text),
                Err(_) => Err("it does not give the rest of the file".to_string()),
            };
            let was_begun = transfer.length() > 0;
            transfer.complete(&again, &failed)?;
            if !cache.keep(&etag, size)? {
                // What was there of an earlier download may be to blame.
                let is_kept = was_begun && {
                    transfer.complete(&again, &failed)?;
                    cache.keep(&etag, size)?
                };
                if !is_kept {
                    return Err(failed(
                        "what came is not what it announced, by size or hash, and was not kept; \
                         try again",
                    ));
                }
            }
        }
        cache.link(revision, &commit, file, &etag).map(Some)
    }
}

/// A content on its way into the cache.
struct Transfer<'a> {
    file: &'a str,
    size: Option<u64>,
    /// Whether a hash tells in the end that all parts belong together.
    is_checked: bool,
    path: PathBuf,
    first: Option<Remote>,
    client: &'a Client,
}

impl Transfer<'_> {
    /// Bytes that are here.
    fn length(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Continues until all is here, or what came has another length than was announced.
    fn complete(
        &mut self,
        again: &impl Fn(u64) -> Result<Remote, String>,
        failed: &impl Fn(&str) -> Error,
    ) -> Result<()> {
        let mut attempt = 0;
        loop {
            let here = self.length();
            if self.is_checked && here > 0 && self.size == Some(here) {
                return Ok(());
            }
            // Without a size nobody knows what is missing, and what is too long is of another file.
            let continues = self.is_checked && self.size.is_some_and(|size| here < size);
            let start = if continues { here } else { 0 };
            let remote = match self.first.take().filter(|_| start == 0) {
                Some(first) => Ok(first),
                None => again(start),
            };
            let problem = match remote {
                Ok(remote) => match self.receive(remote)? {
                    None => return Ok(()),
                    Some(problem) => problem,
                },
                Err(problem) => problem,
            };
            attempt += 1;
            if attempt > ATTEMPTS {
                return Err(failed(&problem));
            }
            std::thread::sleep(Duration::from_millis(200) * attempt);
        }
    }

    /// Writes what comes; says what went wrong on the way, if anything did. More than was announced
    /// is not waited for.
    fn receive(&self, mut remote: Remote) -> Result<Option<String>> {
        let unwritable = |error| cache::unwritable(&self.path)(error);
        let mut options = File::options();
        options.create(true).write(true).truncate(remote.start == 0);
        let mut out = options.append(remote.start > 0).open(&self.path).map_err(unwritable)?;
        let limit = self.size.unwrap_or(UNANNOUNCED_BYTES);
        let bar =
            ProgressBar::new(limit).with_position(remote.start).with_message(self.file.to_string());
        let mut buffer = vec![0; 1 << 18];
        let mut here = remote.start;
        let problem = loop {
            match remote.content.read(&mut buffer) {
                Ok(0) if self.size.is_some_and(|size| here < size) => {
                    break Some("the connection broke off".to_string());
                }
                Ok(0) => break None,
                Ok(count) => {
                    here += count as u64;
                    out.write_all(&buffer[..count]).map_err(unwritable)?;
                    bar.set_position(here);
                    if here > limit {
                        break None;
                    }
                }
                Err(error) => break Some(self.client.broken(&error)),
            }
        };
        bar.finish_and_clear();
        out.sync_all().map_err(unwritable)?;
        Ok(problem)
    }
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The token that is in the environment, or that `hf auth login` left.
fn token(home: &Path) -> Option<String> {
    let text = if let Some(text) = variable("HF_TOKEN") {
        text.to_string_lossy().into_owned()
    } else {
        let path = variable("HF_TOKEN_PATH").map_or_else(|| home.join("token"), PathBuf::from);
        files::read_text(&path, 1 << 14).ok()?
    };
    Some(text.trim().to_string()).filter(|token| !token.is_empty())
}
