//! Gradient-direction geometry.
