//! Arguments of a call.

use super::value::{Outcome, Value};

/// Values by place and by name.
#[derive(Default)]
pub(super) struct CallArguments {
    pub(super) positional: Vec<Value>,
    pub(super) named: Vec<(String, Value)>,
}

impl CallArguments {
    /// The arguments in the order of these names.
    pub(super) fn bind<const N: usize>(
        self,
        what: &str,
        names: [&str; N],
    ) -> Outcome<[Option<Value>; N]> {
        let mut bound = [const { None }; N];
        if self.positional.len() > N {
            return Err(format!("`{what}` takes at most {N} arguments"));
        }
        for (place, value) in self.positional.into_iter().enumerate() {
            bound[place] = Some(value);
        }
        for (name, value) in self.named {
            let place = names.iter().position(|known| *known == name);
            let place = place.ok_or_else(|| format!("`{what}` has no argument `{name}`"))?;
            if bound[place].replace(value).is_some() {
                return Err(format!("`{what}` has the argument `{name}` twice"));
            }
        }
        Ok(bound)
    }
}
