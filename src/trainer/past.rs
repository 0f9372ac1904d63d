//! What a run that continues has behind it.

use crate::error::Result;
use crate::metrics::MetricRow;
use crate::run::{EvaluationRecord, Event, FidelityRecord, RunDir, RunHandle};
use std::sync::Arc;

/// What a resumed run has behind it; empty for a new one.
pub(super) struct Past {
    pub(super) step: u64,
    pub(super) rows: Vec<MetricRow>,
    pub(super) evaluations: Arc<Vec<EvaluationRecord>>,
    pub(super) fidelity: Arc<Vec<FidelityRecord>>,
    pub(super) checkpoints: Arc<Vec<u64>>,
    pub(super) events: Vec<Event>,
}

impl Past {
    pub(super) fn read(directory: &RunDir, step: u64) -> Result<Self> {
        Ok(Self {
            step,
            rows: directory.read_metrics()?,
            evaluations: Arc::new(directory.read_evaluations()?),
            fidelity: Arc::new(directory.read_fidelity()?),
            checkpoints: Arc::new(directory.checkpoint_steps()?),
            events: directory.read_events()?,
        })
    }

    pub(super) fn show(&self, handle: &RunHandle) {
        handle.snapshots.update(|snapshot| {
            snapshot.step = self.step;
            self.rows.iter().for_each(|row| snapshot.history.push(row.clone()));
            snapshot.evaluations = self.evaluations.clone();
            snapshot.fidelity = self.fidelity.clone();
            snapshot.checkpoints = self.checkpoints.clone();
            self.events.iter().cloned().for_each(|event| snapshot.take_in(event));
        });
    }
}
