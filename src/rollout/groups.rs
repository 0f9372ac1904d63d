//! The groups of a step in their order.

use super::PromptGroup;
use bevy_ecs::prelude::*;
use bevy_ecs::query::{QueryData, QueryFilter, ReadOnlyQueryData};
use bevy_ecs::system::SystemParam;

/// A step's groups, each with `D`, in the order of their numbers: what storage does with entities
/// decides no result.
#[derive(SystemParam)]
pub struct Groups<'w, 's, D: QueryData + 'static, F: QueryFilter + 'static = ()> {
    query: Query<'w, 's, (&'static PromptGroup, D), F>,
}

impl<'s, D: ReadOnlyQueryData + 'static, F: QueryFilter + 'static> Groups<'_, 's, D, F> {
    /// The groups in order.
    pub fn iter(&self) -> impl Iterator<Item = D::Item<'_, 's>> {
        self.query.iter().sort::<&PromptGroup>().map(|(_, data)| data)
    }
}
