//! The families of decoders that can be loaded, a file each: what their `config.json` says, in and
//! out, and what their layers have. A new family is a file here and a line in [`FAMILIES`].

mod config_fields;
mod config_json;
mod family;
mod gemma3;
mod llama;
mod mistral;
mod olmo2;
mod qwen2;
mod qwen3;
mod smollm3;
#[cfg(test)]
mod tests;

pub(super) use config_fields::{HARMLESS, QUANTISED};
pub(super) use config_json::token_ids;
pub use family::Family;

use super::decoder::DecoderSpec;
use super::fields::Fields;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut, listed};
use candle_core::DType;
use serde_json::Value;

/// Those that can be loaded.
static FAMILIES: [&Family; 7] = [
    &qwen3::FAMILY,
    &qwen2::FAMILY,
    &llama::FAMILY,
    &mistral::FAMILY,
    &smollm3::FAMILY,
    &olmo2::FAMILY,
    &gemma3::FAMILY,
];

/// The family of models that are made here from nothing.
pub(super) static OWN: &Family = &qwen3::FAMILY;

impl Family {
    /// The family whose `config.json` has that `model_type`.
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.into_iter().find(|family| family.name == name)
    }
}

impl DecoderSpec {
    /// Parses the text of a `config.json`.
    pub fn parse(text: &str) -> Result<Self> {
        read(&Fields::parse("config.json", text)?)
    }

    /// The text of a `config.json` that both older and newer Transformers read, for weights of
    /// `dtype`.
    pub fn to_json(&self, dtype: DType) -> Value {
        write(self, dtype)
    }
}

impl Default for DecoderSpec {
    /// What models have that are made here from nothing; sizes are to be filled in.
    fn default() -> Self {
        OWN.blank()
    }
}

/// The names of the families that can be loaded, as in `config.json`.
fn known() -> String {
    listed(FAMILIES.map(|family| format!("{:?}", family.name)), FAMILIES.len())
}

/// What is there instead of some types that cannot be loaded, as the end of a message.
fn near(kind: &str) -> &'static str {
    match kind {
        "gemma3" => ", of which the Gemma 3 models without images (270M, 1B) have \"gemma3_text\"",
        "qwen3_moe" | "qwen3_vl" => ", of which the dense Qwen3 models have \"qwen3\"",
        _ => "; choose a model of one of them",
    }
}

/// Takes what is known from a `config.json`, and refuses what would change the network.
pub(super) fn read(fields: &Fields) -> Result<DecoderSpec> {
    let family = family(fields)?;
    family.rules.check(fields, family.network.fixed())?;
    let spec = (family.read)(fields, config_json::read(fields, family)?)?;
    spec.validate()?;
    Ok(spec)
}

/// A `config.json` that both older and newer Transformers read, for weights of `dtype`.
pub(super) fn write(spec: &DecoderSpec, dtype: DType) -> Value {
    Value::Object(config_json::write(spec, dtype, (spec.family.write)(spec)))
}

/// The family that `model_type` names, or, without one, the class.
fn family(fields: &Fields) -> Result<&'static Family> {
    let name = |name: &Value| name.as_str().map(str::to_string);
    let classes =
        fields.list("architectures", name, "it must be a list of names")?.unwrap_or_default();
    let of_class = |class: &String| FAMILIES.into_iter().find(|family| family.has(class));
    let family = match (fields.text("model_type")?, classes.first()) {
        (Some(kind), _) => Family::named(kind).ok_or_else(|| {
            Error::input(format!(
                "config.json describes a model of type {:?}; the types that can be loaded are \
                 {}{}",
                cut(kind, MOST_SHOWN),
                known(),
                near(kind)
            ))
        })?,
        (None, Some(class)) => of_class(class).ok_or_else(|| {
            let right = format!("the program has classes of the types {}", known());
            fields.wrong("architectures", &right)
        })?,
        (None, None) => {
            return Err(Error::input(format!(
                "config.json has neither model_type nor architectures; the types that can be \
                 loaded are {}",
                known()
            )));
        }
    };

    if classes.iter().all(|class| family.has(class)) {
        Ok(family)
    } else {
        let known = listed(family.classes, family.classes.len());
        let right = format!("of the classes of type {:?} the program has {known}", family.name);
        Err(fields.wrong("architectures", &right))
    }
}
