//! What a template asks of its loop.

use super::arguments::CallArguments;
use super::budget::Budget;
use super::value::{Items, LoopState, Outcome, Value};

impl LoopState {
    /// `loop.index` and so on.
    pub(super) fn attribute(&self, name: &str) -> Option<Value> {
        let (index, length) = (self.index.get(), self.items.len());
        let number = |number: usize| Some(Value::Integer(number as i128));
        let item = |index: usize, what: &str| {
            self.items.get(index).cloned().or_else(|| Some(Value::Undefined(what.into())))
        };
        match name {
            "index" => number(index + 1),
            "index0" => number(index),
            "revindex" => number(length - index),
            "revindex0" => number(length - index - 1),
            "length" => number(length),
            "depth" => number(self.depth + 1),
            "depth0" => number(self.depth),
            "first" => Some(Value::Bool(index == 0)),
            "last" => Some(Value::Bool(index + 1 == length)),
            "previtem" => item(index.wrapping_sub(1), "there is no item before the first"),
            "nextitem" => item(index + 1, "there is no item after the last"),
            _ => None,
        }
    }

    /// `loop.cycle(..)` and `loop.changed(..)`.
    pub(super) fn method(&self, name: &str, arguments: CallArguments, budget: &Budget) -> Outcome {
        if name == "cycle" {
            let count = arguments.positional.len();
            let chosen = if count == 0 {
                None
            } else {
                arguments.positional.into_iter().nth(self.index.get() % count)
            };
            return chosen.ok_or("`loop.cycle` takes at least one value".to_string());
        }
        let mut last = self.changed.borrow_mut();
        let is_same = match &*last {
            Some(values) if values.len() == arguments.positional.len() => {
                let mut same = true;
                for (one, other) in values.iter().zip(&arguments.positional) {
                    same = same && one.equals(other, budget)?;
                }
                same
            }
            _ => false,
        };
        // Kept as a list, so that a namespace cannot hold on to its own loop.
        let Items { items, .. } = Items::new(arguments.positional)?;
        *last = Some(items);
        Ok(Value::Bool(!is_same))
    }
}
