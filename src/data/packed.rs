//! How much a packed file may hold.

/// Packed files may become this much larger without being asked how, and then this many times their
/// size: text packs to a tenth.
const UNPACKED_BYTES: u64 = 256 << 20;
const UNPACKED_TIMES: u64 = 100;

/// The most bytes that a packed file of this size may hold.
pub(super) fn most_unpacked(packed: u64) -> u64 {
    packed.saturating_mul(UNPACKED_TIMES).saturating_add(UNPACKED_BYTES)
}

/// What is said of a packed file that holds more.
pub(super) fn too_large(packed: u64) -> String {
    format!(
        "it unpacks to more than {} MiB, which is far more than text packed into {packed} bytes \
         has; write it without packing",
        most_unpacked(packed) >> 20
    )
}
