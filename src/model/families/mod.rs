//! The families of decoders that can be loaded, a file each: what their `config.json` says, in and
//! out, and what their layers have. A new family is a file here and a line in [`FAMILIES`].

mod config_fields;
mod config_json;
mod llama;
mod qwen2;
mod qwen3;
#[cfg(test)]
mod tests;

pub(super) use config_fields::{HARMLESS, QUANTISED};
pub(super) use config_json::token_ids;

use super::decoder::DecoderSpec;
use super::fields::Fields;
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut, listed};
use candle_core::DType;
use config_fields::Rules;
use config_json::Silent;
use serde_json::Value;

/// Those that can be loaded.
static FAMILIES: [&Family; 3] = [&qwen3::FAMILY, &qwen2::FAMILY, &llama::FAMILY];

/// The family of models that are made here from nothing.
pub(super) static OWN: &Family = &qwen3::FAMILY;

/// A family of decoders.
#[derive(Debug)]
pub struct Family {
    /// The `model_type` of its `config.json`.
    name: &'static str,
    /// Its classes in `architectures`; the first is the one that is written.
    classes: &'static [&'static str],
    /// Whether each query and key is normalised.
    qk_norm: bool,
    /// Whether the projections to queries, keys and values have biases.
    qkv_bias: bool,
    /// What Transformers takes where `config.json` is silent.
    silent: Silent,
    /// Which other fields `config.json` may have.
    rules: Rules,
    /// Reads what other families do not have, into what all have.
    read: fn(&Fields, DecoderSpec) -> Result<DecoderSpec>,
    /// The fields that only this family has.
    write: fn(&DecoderSpec) -> Vec<(&'static str, Value)>,
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Family {
    /// The family whose `config.json` has that `model_type`.
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.into_iter().find(|family| family.name == name)
    }

    /// The `model_type` of its `config.json`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A spec of this family without sizes.
    pub fn blank(&'static self) -> DecoderSpec {
        DecoderSpec {
            family: self,
            vocab_size: 0,
            hidden_size: 0,
            intermediate_size: 0,
            num_hidden_layers: 0,
            num_attention_heads: 0,
            num_key_value_heads: 0,
            head_dim: 0,
            max_position_embeddings: 0,
            rms_norm_eps: 1e-6,
            rope_theta: 10_000.0,
            rope_scaling: None,
            qk_norm: self.qk_norm,
            qkv_bias: self.qkv_bias,
            tie_word_embeddings: true,
            eos_token_ids: Vec::new(),
        }
    }
}

/// The names of the families that can be loaded, as in `config.json`.
fn known() -> String {
    listed(FAMILIES.map(|family| format!("{:?}", family.name)), FAMILIES.len())
}

/// Takes what is known from a `config.json`, and refuses what would change the network.
pub(super) fn read(fields: &Fields) -> Result<DecoderSpec> {
    let family = family(fields)?;
    family.rules.check(fields)?;
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
                "config.json describes a model of type {:?}; the types that can be loaded are {}",
                cut(kind, MOST_SHOWN),
                known()
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

    if classes.iter().find(|class| !family.has(class)).is_none() {
        Ok(family)
    } else {
        let known = listed(family.classes, family.classes.len());
        let right = format!("of the classes of type {:?} the program has {known}", family.name);
        Err(fields.wrong("architectures", &right))
    }
}

impl Family {
    fn has(&self, class: &str) -> bool {
        self.classes.contains(&class)
    }
}
