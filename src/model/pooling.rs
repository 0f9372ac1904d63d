//! What a sentence encoder's folder says of the way from hidden states to an embedding, as
//! sentence-transformers writes it. Here it is the mean over all tokens; normalising is done in any
//! case. Folders of plain BERTs say nothing.

use super::fields::Fields;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::files::folder;
use serde_json::{Value, json};
use std::path::{Component, Path};

const MODULES: &str = "modules.json";
const POOLING: &str = "1_Pooling";
/// The file that says how a text is cut.
pub(crate) const LIMITS: &str = "sentence_bert_config.json";
const PROMPTS: &str = "config_sentence_transformers.json";

/// What of a folder is read here, if it is there.
pub(super) const FILES: [&str; 4] = [MODULES, "1_Pooling/config.json", LIMITS, PROMPTS];

/// Steps that are done here.
const STEPS: [&str; 3] = ["Transformer", "Pooling", "Normalize"];

/// What is to be done with texts before they become tokens, or then.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most tokens that a text has; the rest is cut off.
    pub(super) tokens: Option<usize>,
    /// Whether capital letters become small ones.
    pub(super) lowers: bool,
}

/// Reads a folder's limits; refuses one that asks for another way.
pub(super) fn read(folder: &Path) -> Result<Limits> {
    let named = look(folder, MODULES, check_modules)?.flatten();
    let pooling = format!("{}/config.json", named.as_deref().unwrap_or(POOLING));
    if look(folder, &pooling, check_pooling)?.is_none() && named.is_some() {
        let path = folder.join(&pooling);
        return Err(Error::input(format!(
            "the sentence encoder's modules.json names a {pooling}, which is not there; copy it \
             there ({})",
            path.display()
        )));
    }
    look(folder, PROMPTS, check_prompts)?;
    Ok(look(folder, LIMITS, limits)?.unwrap_or_default())
}

/// What a file of the folder says, if it is there.
fn look<T>(folder: &Path, name: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
    let located = |error: Error| Error::input(format!("{error} ({})", folder.join(name).display()));
    folder::text(folder, name)?.map(|text| read(&text).map_err(located)).transpose()
}

/// Refuses other steps; returns the folder of the pooling's settings.
fn check_modules(text: &str) -> Result<Option<String>> {
    let modules: Vec<Value> = serde_json::from_str(text).map_err(|error| {
        Error::input(format!("the sentence encoder's modules.json is not valid: {error}"))
    })?;
    let mut pooling = None;
    for module in &modules {
        let kind = module["type"].as_str().unwrap_or("of no type");
        let path = module["path"].as_str().unwrap_or_default();
        match kind.rsplit('.').next().unwrap_or(kind) {
            "Transformer" if !path.is_empty() => {
                return Err(Error::input(format!(
                    "the sentence encoder's modules.json puts the network into the folder {:?}; \
                     give that folder, with its other files beside",
                    cut(path, MOST_SHOWN)
                )));
            }
            "Pooling"
                if !Path::new(path)
                    .components()
                    .all(|part| matches!(part, Component::Normal(_))) =>
            {
                return Err(Error::input(format!(
                    "the sentence encoder's modules.json puts the pooling into {:?}; it must be a \
                     folder within its own",
                    cut(path, MOST_SHOWN)
                )));
            }
            "Pooling" if !path.is_empty() => pooling = Some(path.to_string()),
            step if STEPS.contains(&step) => {}
            _ => {
                return Err(Error::input(format!(
                    "the sentence encoder has the module {:?}; only {} are supported",
                    cut(kind, MOST_SHOWN),
                    STEPS.join(", ")
                )));
            }
        }
    }
    Ok(pooling)
}

/// Refuses a text that is put before all others.
fn check_prompts(text: &str) -> Result<()> {
    let fields = Fields::parse("the sentence encoder's config_sentence_transformers.json", text)?;
    let Some(name) = fields.text("default_prompt_name")? else { return Ok(()) };
    let prompts = fields.object("prompts")?.unwrap_or_default();
    if prompts.text(name)?.is_some_and(|prompt| !prompt.is_empty()) {
        let right = "no prompt is put before responses here; take the field out if embeddings \
                     without it will do";
        return Err(fields.wrong("default_prompt_name", right));
    }
    Ok(())
}

fn limits(text: &str) -> Result<Limits> {
    let fields = Fields::parse("the sentence encoder's sentence_bert_config.json", text)?;
    let tokens = fields.count("max_seq_length")?;
    Ok(Limits { tokens, lowers: fields.flag("do_lower_case")?.unwrap_or(false) })
}

fn check_pooling(text: &str) -> Result<()> {
    let fields = Fields::parse("the sentence encoder's pooling", text)?;
    let defaults = [("pooling_mode", json!("mean")), ("pooling_mode_mean_tokens", json!(true))];
    let known = ["word_embedding_dimension", "embedding_dimension", "include_prompt"];
    fields.only(
        &defaults,
        known,
        "that is not supported, only the mean over tokens (pooling_mode_mean_tokens)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_ways_than_the_mean_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let checked = |modules: &str, pooling: &str| {
            std::fs::create_dir_all(folder.path().join(POOLING)).unwrap();
            std::fs::write(folder.path().join(MODULES), modules).unwrap();
            std::fs::write(folder.path().join("1_Pooling/config.json"), pooling).unwrap();
            read(folder.path()).map_err(|error| error.to_string())
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
                ["pooling_mode_cls_token is true", "1_Pooling/config.json"],
            ),
            (
                plain,
                mean.replace("true", "false").as_str(),
                ["pooling_mode_mean_tokens is false", "only true"],
            ),
            (
                plain,
                r#"{"pooling_mode": "lasttoken"}"#,
                ["pooling_mode is \"lasttoken\"", "only \"mean\""],
            ),
            (&plain.replace("Normalize", "Dense"), mean, ["models.Dense", MODULES]),
            ("{}", mean, ["not valid", MODULES]),
        ] {
            let message = checked(modules, pooling).unwrap_err();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
        assert_eq!(read(tempfile::tempdir().unwrap().path()).unwrap(), Limits::default());
    }

    #[test]
    fn the_pooling_is_where_modules_json_says_and_limits_and_prompts_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let modules = |path: &str| {
            format!(
                r#"[{{"type": "a.Transformer", "path": ""}}, {{"type": "a.Pooling", "path": {path:?}}}]"#
            )
        };
        let refused = || read(folder.path()).unwrap_err().to_string();
        write(MODULES, &modules("2_Pooling"));
        assert!(
            refused().contains("names a 2_Pooling/config.json, which is not there"),
            "{}",
            refused()
        );
        std::fs::create_dir(folder.path().join("2_Pooling")).unwrap();
        write("2_Pooling/config.json", r#"{"pooling_mode_cls_token": true}"#);
        assert!(refused().contains("pooling_mode_cls_token is true"), "{}", refused());
        write("2_Pooling/config.json", r#"{"pooling_mode_mean_tokens": true}"#);
        assert_eq!(read(folder.path()).unwrap(), Limits::default());
        write(MODULES, &modules("../2_Pooling"));
        assert!(refused().contains("a folder within its own"), "{}", refused());
        write(MODULES, r#"[{"type": "a.Transformer", "path": "0_Transformer"}]"#);
        assert!(
            refused().contains("puts the network into the folder \"0_Transformer\""),
            "{}",
            refused()
        );
        write(MODULES, &modules("2_Pooling"));

        write(LIMITS, r#"{"max_seq_length": 256, "do_lower_case": true}"#);
        assert_eq!(read(folder.path()).unwrap(), Limits { tokens: Some(256), lowers: true });
        write(LIMITS, r#"{"max_seq_length": "many"}"#);
        assert!(refused().contains("max_seq_length is \"many\""), "{}", refused());
        write(LIMITS, "{}");
        write(
            PROMPTS,
            r#"{"prompts": {"query": "q: ", "document": ""}, "default_prompt_name": null}"#,
        );
        read(folder.path()).unwrap();
        write(PROMPTS, r#"{"prompts": {"query": "q: "}, "default_prompt_name": "query"}"#);
        assert!(refused().contains("default_prompt_name is \"query\""), "{}", refused());
    }
}
