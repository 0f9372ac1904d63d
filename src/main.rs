//! Orthant.
fn main() {}
