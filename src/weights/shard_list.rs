//! `model.safetensors.index.json`: which file of a model holds which tensor.

use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::files::{self, SETTINGS_BYTES};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

/// The list of shards in a folder whose model is in several files.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The files that a `model.safetensors.index.json` lists, each once.
pub(crate) fn shard_files(index: &Path) -> Result<Vec<String>> {
    let files: BTreeSet<String> = read_index(index)?.into_values().collect();
    Ok(files.into_iter().collect())
}

/// Which file holds which tensor, from a `model.safetensors.index.json`.
pub(crate) fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = files::read_text(path, SETTINGS_BYTES).map_err(|e| {
        Error::input(format!("cannot read the list of shards: {e} ({})", path.display()))
    })?;
    let index: Index = serde_json::from_str(&text).map_err(|e| {
        Error::input(format!(
            "the list of shards is not valid: {} ({})",
            cut(&e.to_string(), MOST_SHOWN),
            path.display()
        ))
    })?;
    let is_within = |name: &str| {
        let mut parts = Path::new(name).components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    if let Some(name) = index.weight_map.values().find(|name| !is_within(name)) {
        return Err(Error::input(format!(
            "the list of shards names {:?}, outside its folder ({})",
            cut(name, MOST_SHOWN),
            path.display()
        )));
    }
    Ok(index.weight_map)
}

/// Refuses a shard with a tensor that is not listed as its own: whoever reads all of a shard would
/// read another model.
pub(crate) fn check_listed<'a>(
    name: &str,
    mut tensors: impl Iterator<Item = &'a String>,
    listed: &BTreeMap<String, String>,
    index: &Path,
) -> Result<()> {
    let is_own = |tensor: &&String| {
        listed.get(*tensor).is_some_and(|shard| shard == name) || is_table(tensor)
    };
    let Some(tensor) = tensors.find(|tensor| !is_own(tensor)) else { return Ok(()) };
    let listed = listed
        .get(tensor)
        .map_or("does not list".to_string(), |shard| format!("lists in {shard:?}"));
    Err(Error::input(format!(
        "the shard {name} has the tensor `{tensor}`, which {INDEX} {listed}; the list is of other \
         files: write the model again with Transformers' save_pretrained ({})",
        index.display()
    )))
}

/// Whether a tensor is a table of rotary angles, which older programs stored.
pub(crate) fn is_table(tensor: &str) -> bool {
    tensor.ends_with("rotary_emb.inv_freq")
}
