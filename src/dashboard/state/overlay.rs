//! What lies over the panels, beside the command palette.

/// What lies over the panels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overlay {
    /// Nothing.
    #[default]
    Nothing,
    /// The list of keys.
    Keys,
    /// The question whether the run shall stop.
    Stop,
}
