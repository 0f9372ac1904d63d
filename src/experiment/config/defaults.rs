//! Values that several sections have for a field that is left out.

pub(super) fn revision() -> String {
    "main".to_string()
}
