//! Files from the Hugging Face hub, through its cache on this machine (the same that Python's libraries use).
//!
//! `HF_HOME` says where the cache is, `HF_ENDPOINT` which hub is asked, `HF_TOKEN` (or the token that `hf auth login` left in the
//! cache) who asks. What is in the cache is not asked for again, so a run that has been started once starts without a network.
//! A branch that has moved on is therefore seen only after its cache is removed; a commit as revision is clear in any case.

use super::tensor_files::{INDEX as SHARDS, WHOLE as WEIGHTS, shard_files};
use crate::error::{Error, Result};
use crate::experiment::{HubDataset, HubRepository};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};
use std::path::{Path, PathBuf};

/// Downloads `files` of `revision` (a branch, tag or commit) of `repo` where they are not in the cache yet. Returns the folder
/// that holds them, all of the same commit, whose name is that commit.
///
/// A file or repository that does not exist, a hub that cannot be reached and one that asks for a token are input errors.
pub fn fetch(repo: &str, revision: &str, files: &[&str]) -> Result<PathBuf> {
    Hub::from_environment(RepoType::Model)?.fetch(repo, revision, files)
}

/// [`fetch`] of a data set's files, which may lie in folders of the repository.
pub(crate) fn fetch_dataset(source: &HubDataset) -> Result<PathBuf> {
    let files: Vec<&str> = source.files.iter().map(String::as_str).collect();
    Hub::from_environment(RepoType::Dataset)?.fetch(&source.repo, &source.revision, &files)
}

/// [`fetch`] of a language model: shape, tokenizer and weights, in one file or in shards.
pub(crate) fn fetch_model(source: &HubRepository) -> Result<PathBuf> {
    let hub = Hub::from_environment(RepoType::Model)?;
    let folder = hub.fetch(&source.repo, &source.revision, &["config.json", "tokenizer.json"])?;
    let commit = commit_of(&folder);
    let is_whole = hub.cached(&source.repo, &commit, WEIGHTS).is_some()
        || (hub.cached(&source.repo, &commit, SHARDS).is_none() && hub.get(&source.repo, &commit, WEIGHTS)?.is_some());
    if !is_whole {
        hub.fetch(&source.repo, &commit, &[SHARDS])?;
        let shards = shard_files(&folder.join(SHARDS))?;
        hub.fetch(&source.repo, &commit, &shards.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(folder)
}

/// Shape and tokenizer of a language model, without its weights: [`fetch`] of the small files.
pub(crate) fn fetch_shape(source: &HubRepository) -> Result<PathBuf> {
    Hub::from_environment(RepoType::Model)?.fetch(&source.repo, &source.revision, &["config.json", "tokenizer.json"])
}

/// Whether files of a repository of models are in the cache.
pub(crate) fn is_cached(source: &HubRepository, files: &[&str]) -> Result<bool> {
    let hub = Hub::from_environment(RepoType::Model)?;
    Ok(files.iter().all(|file| hub.cached(&source.repo, &source.revision, file).is_some()))
}

/// [`is_cached`] of a language model with all its weights.
pub(crate) fn is_cached_model(source: &HubRepository) -> Result<bool> {
    if !is_cached(source, &["config.json", "tokenizer.json"])? {
        return Ok(false);
    }
    if is_cached(source, &[WEIGHTS])? {
        return Ok(true);
    }
    let hub = Hub::from_environment(RepoType::Model)?;
    let Some(index) = hub.cached(&source.repo, &source.revision, SHARDS) else { return Ok(false) };
    let shards = shard_files(&index)?;
    is_cached(source, &shards.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Whether all files of a data set are in the cache.
pub(crate) fn is_cached_dataset(source: &HubDataset) -> Result<bool> {
    let hub = Hub::from_environment(RepoType::Dataset)?;
    Ok(source.files.iter().all(|file| hub.cached(&source.repo, &source.revision, file).is_some()))
}

/// The commit that a folder of [`fetch`] belongs to.
pub(crate) fn commit_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The hub as the environment describes it, for repositories of one kind.
struct Hub {
    kind: RepoType,
    api: Api,
    cache: Cache,
    endpoint: String,
}

impl Hub {
    fn from_environment(kind: RepoType) -> Result<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if set("HF_HOME").is_none() && std::env::home_dir().is_none() {
            return Err(Error::input("there is no home folder to keep downloads in; set HF_HOME to a folder"));
        }
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_string());
        let cache = Cache::from_env();
        let token = set("HF_TOKEN").or_else(|| cache.token());
        let api = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(endpoint.trim_end_matches('/').to_string())
            .with_token(token)
            .with_retries(2)
            .build()
            .map_err(|e| Error::failed(format!("cannot prepare downloads from the hub: {e}")))?;
        Ok(Self { kind, api, cache, endpoint })
    }

    fn fetch(&self, repo: &str, revision: &str, files: &[&str]) -> Result<PathBuf> {
        let mut revision = revision.to_string();
        let mut folder = PathBuf::new();
        for file in files {
            let path = self.get(repo, &revision, file)?.ok_or_else(|| {
                Error::input(format!(
                    "the hub has no file {file} in {repo} at revision {revision}; check the name and the revision ({})",
                    self.endpoint
                ))
            })?;
            folder = path.ancestors().nth(Path::new(file).components().count()).unwrap_or(&path).to_path_buf();
            // A branch may move between two downloads; its commit does not.
            revision = commit_of(&folder);
        }
        Ok(folder)
    }

    /// The file's path in the cache; `None` where the hub says that it does not exist.
    fn get(&self, repo: &str, revision: &str, file: &str) -> Result<Option<PathBuf>> {
        if let Some(path) = self.cached(repo, revision, file) {
            return Ok(Some(path));
        }
        match self.api.repo(self.repository(repo, revision)).download(file) {
            Ok(path) => Ok(Some(path)),
            Err(error) => self.explain(repo, file, &error),
        }
    }

    /// The file's path if it is in the cache, `revision` being a commit or a name whose commit is known.
    fn cached(&self, repo: &str, revision: &str, file: &str) -> Option<PathBuf> {
        let cache = self.cache.repo(self.repository(repo, revision));
        let of_commit = cache.pointer_path(revision).join(file);
        if of_commit.exists() { Some(of_commit) } else { cache.get(file) }
    }

    fn repository(&self, repo: &str, revision: &str) -> Repo {
        Repo::with_revision(repo.to_string(), self.kind, revision.to_string())
    }

    fn explain(&self, repo: &str, file: &str, error: &ApiError) -> Result<Option<PathBuf>> {
        let endpoint = &self.endpoint;
        // The status is in the text only: the HTTP client's error type is not part of the library's interface.
        let text = error.to_string();
        let status = text.split_once("http status: ").and_then(|(_, rest)| rest.get(..3)?.parse::<u16>().ok());
        match status {
            Some(404) => Ok(None),
            Some(401 | 403) => Err(Error::input(format!(
                "the hub does not give {file} of {repo} to you; check the name, and set HF_TOKEN to a token with access ({endpoint})"
            ))),
            _ => Err(Error::input(format!(
                "cannot download {file} of {repo} from the hub: {text}; check the network and HF_ENDPOINT, or give what you have downloaded with Local(\"..\") ({endpoint})"
            ))),
        }
    }
}
