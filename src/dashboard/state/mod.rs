//! What is shown of a run and what is chosen, shared by all panels. No drawing here.
//!
//! [`run::State`] holds it together: the [`cursor`] (which step), the [`selection`] (which group,
//! pair and completion of it), the [`choices`] (what stays when another run is shown), what is
//! [`pending`], and what is kept in [`memo`]. `shown`, `events` and `commands` are what is done
//! with several of them at once.

pub(crate) mod choices;
mod commands;
pub(crate) mod cursor;
pub(crate) mod drafts;
mod events;
pub(crate) mod health;
pub(crate) mod label;
pub(crate) mod loader;
pub(crate) mod memo;
pub(crate) mod messages;
pub(crate) mod notes;
pub(crate) mod overlay;
pub(crate) mod pending;
pub(crate) mod run;
pub(crate) mod selection;
pub(crate) mod shown;
pub(crate) mod standing;
mod urgency;
