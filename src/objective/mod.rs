//! Advantages, losses, KL estimators.
