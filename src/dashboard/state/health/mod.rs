//! What a person should look after, from the metrics around a step and the evaluations before it.
//! No egui here.
//!
//! Thresholds are rules of thumb. Each is said in the text, with the steps that it is about, so
//! that nobody has to guess why something is listed. A [`look`] at a run has a function per thing
//! that is watched, in a file per subject. Which values a metric can have is declared with it.

mod directions;
mod finding;
mod look;
mod policy;
mod responses;
mod success;
#[cfg(test)]
mod tests;
mod wrong;

pub(crate) use finding::{Check, Finding, Level};
pub(crate) use wrong::WrongValues;

use crate::run::RunSnapshot;
use look::Look;

/// Everything that is watched, as it is at `step`, with what is most important first. `wrong` has
/// looked at the steps up to it.
pub(crate) fn checks(snapshot: &RunSnapshot, step: u64, wrong: &WrongValues) -> Vec<Check> {
    let look = Look { snapshot, step };
    let mut checks = vec![
        look.truncation(),
        look.no_answers(),
        look.uniform_groups(),
        look.accuracy(),
        look.pass_at(),
        look.entropy(),
        look.kl(),
        look.sampler_gap(),
        look.fidelity(),
        look.clipping(),
        look.gradient(),
        look.rank(),
    ];
    wrong.list(&mut checks);
    checks.sort_by_key(|check| {
        std::cmp::Reverse(check.finding.as_ref().map(|finding| finding.level))
    });
    checks
}
