//! What a sentence encoder's folder says of the way from hidden states to an embedding, as sentence-transformers writes it. Here it is the
//! mean over all tokens; normalising is done in any case. Folders of plain BERTs say nothing.

use super::fields::Fields;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::files::folder;
use serde_json::{Value, json};
use std::path::Path;

const MODULES: &str = "modules.json";
const POOLING: &str = "1_Pooling/config.json";

/// Steps that are done here.
const STEPS: [&str; 3] = ["Transformer", "Pooling", "Normalize"];

/// Refuses a folder that asks for another way.
pub(super) fn check(folder: &Path) -> Result<()> {
    let located = |name: &str, error: &Error| Error::input(format!("{error} ({})", folder.join(name).display()));
    if let Some(text) = folder::text(folder, MODULES)? {
        check_modules(&text).map_err(|error| located(MODULES, &error))?;
    }
    if let Some(text) = folder::text(folder, POOLING)? {
        let fields =
            Fields::parse("the sentence encoder's pooling", &text).map_err(|error| located(POOLING, &error))?;
        check_pooling(&fields).map_err(|error| located(POOLING, &error))?;
    }
    Ok(())
}

fn check_modules(text: &str) -> Result<()> {
    let modules: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| Error::input(format!("the sentence encoder's modules.json is not valid: {error}")))?;
    let kinds = modules.iter().map(|module| module["type"].as_str().unwrap_or("of no type"));
    match kinds.into_iter().find(|kind| !STEPS.contains(&kind.rsplit('.').next().unwrap_or(kind))) {
        None => Ok(()),
        Some(kind) => Err(Error::input(format!(
            "the sentence encoder has the module {:?}; only {} are supported",
            cut(kind, MOST_SHOWN),
            STEPS.join(", ")
        ))),
    }
}

fn check_pooling(fields: &Fields) -> Result<()> {
    let defaults = [("pooling_mode", json!("mean")), ("pooling_mode_mean_tokens", json!(true))];
    let known = ["word_embedding_dimension", "embedding_dimension", "include_prompt"];
    fields.only(&defaults, known, "that is not supported, only the mean over tokens (pooling_mode_mean_tokens)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ways_than_the_mean_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let checked = |modules: &str, pooling: &str| {
            std::fs::create_dir_all(folder.path().join("1_Pooling")).unwrap();
            std::fs::write(folder.path().join(MODULES), modules).unwrap();
            std::fs::write(folder.path().join(POOLING), pooling).unwrap();
            check(folder.path()).map_err(|error| error.to_string())
        };
        let plain = r#"[{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Pooling"},
            {"type": "sentence_transformers.models.Normalize"}]"#;
        let mean = r#"{"word_embedding_dimension": 384, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true,
            "pooling_mode_max_tokens": false}"#;
        checked(plain, mean).unwrap();
        checked("[]", r#"{"pooling_mode": "mean"}"#).unwrap();
        for (modules, pooling, words) in [
            (
                plain,
                mean.replace("token\": false", "token\": true").as_str(),
                ["pooling_mode_cls_token is true", POOLING],
            ),
            (plain, mean.replace("true", "false").as_str(), ["pooling_mode_mean_tokens is false", "only true"]),
            (plain, r#"{"pooling_mode": "lasttoken"}"#, ["pooling_mode is \"lasttoken\"", "only \"mean\""]),
            (&plain.replace("Normalize", "Dense"), mean, ["models.Dense", MODULES]),
            ("{}", mean, ["not valid", MODULES]),
        ] {
            let message = checked(modules, pooling).unwrap_err();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
        check(tempfile::tempdir().unwrap().path()).unwrap();
    }
}
