//! What the model says of a response.

/// What the model says of one response by itself.
pub(super) struct Measured {
    /// log p of each token at temperature 1, nats.
    pub(super) logprobs: Vec<f32>,
    /// Mean entropy per token at temperature 1, nats.
    pub(super) entropy: f64,
    /// Phi, length d.
    pub(super) feature: Vec<f32>,
}
