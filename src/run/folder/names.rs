//! What is in a run folder, by name.

/// What the metrics of the run are.
pub(super) const DECLARATIONS: &str = "metrics.json";

/// Files that grow by lines while a run continues.
pub(super) const LOGS: [&str; 4] =
    ["metrics.jsonl", "evals.jsonl", "events.jsonl", "fidelity.jsonl"];

/// Folders.
pub(super) const FOLDERS: [&str; 5] = ["rollouts", "geometry", "tokens", "checkpoints", "figures"];

/// Files that are written whole.
pub(super) const WHOLE: [&str; 3] = ["experiment.ron", "manifest.json", DECLARATIONS];
