//! Models that come with the program, compiled into it.

use super::decoder::DecoderSpec;
use super::tokenizer::TextTokenizer;
use crate::error::{Error, Result, nearest};
use crate::weights::TensorFiles;

/// The files of one bundled model.
struct Bundled {
    name: &'static str,
    config: &'static str,
    tokenizer: &'static [u8],
    weights: &'static [u8],
}

macro_rules! bundled {
    ($($name:literal),*) => {
        &[$(Bundled {
            name: $name,
            config: include_str!(concat!("../../assets/models/", $name, "/config.json")),
            tokenizer: include_bytes!(concat!("../../assets/models/", $name, "/tokenizer.json")),
            weights: include_bytes!(concat!("../../assets/models/", $name, "/model.safetensors")),
        }),*]
    };
}

static MODELS: &[Bundled] = bundled!("countdown");

/// Names of the bundled models.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|model| model.name)
}

/// The shape, tokenizer and weights of a bundled model.
pub(super) fn open(name: &str) -> Result<(DecoderSpec, TextTokenizer, TensorFiles)> {
    let Some(model) = MODELS.iter().find(|model| model.name == name) else {
        let near = nearest(name, names())
            .map_or("; bundled".to_string(), |near| format!("; did you mean `{near}`? Bundled"));
        let all: Vec<_> = names().collect();
        let problem = format!(
            "asks for the bundled model `{name}`, which does not exist{near}: {}",
            all.join(", ")
        );
        return Err(Error::field("model", problem));
    };
    let files = TensorFiles::of_bytes(model.weights, &format!("bundled model `{name}`"))?;
    Ok((DecoderSpec::parse(model.config)?, TextTokenizer::from_json(model.tokenizer)?, files))
}
