//! Suites and metrics of evaluation.
