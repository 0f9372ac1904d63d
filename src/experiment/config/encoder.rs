//! Where sentence encoders come from.

use super::model::HubRepository;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where a sentence encoder comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum EncoderSource {
    /// The base model itself, frozen: the mean of its final hidden states over the response. Needs
    /// no download.
    #[default]
    Policy,
    /// A Hugging Face folder with a BERT-type sentence encoder, such as all-MiniLM-L6-v2.
    Local(PathBuf),
    /// The same from the Hugging Face hub, such as
    /// `Hub(repo: "sentence-transformers/all-MiniLM-L6-v2")`.
    Hub(HubRepository),
}

impl std::fmt::Display for EncoderSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy => write!(f, "Policy"),
            Self::Local(folder) => write!(f, "Local({:?})", folder.display().to_string()),
            Self::Hub(source) => write!(f, "Hub({source})"),
        }
    }
}
