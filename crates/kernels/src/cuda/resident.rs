//! Arrays of the host that many kernels are given, uploaded once.
//!
//! Positions, starts and offsets are the same for all layers of a pass, and every layer asks for
//! them. They are known by the address of the `Arc` that holds them, which is kept, so that no
//! other array can take its address.

use candle_core::{Device, Result, Tensor};
use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

/// Arrays that are remembered; a pass needs fewer, and rotary tables are asked for so often that
/// they stay.
const REMEMBERED: usize = 24;

struct Entry {
    address: usize,
    device: Device,
    value: Box<dyn Any>,
    _owner: Box<dyn Any>,
}

thread_local! {
    /// Most recently used last.
    static ENTRIES: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// What `upload` makes of what `owner` holds, a tensor or several, the first time that the owner is
/// seen. An owner may have a value of each type.
pub(super) fn resident<T: ?Sized + 'static, V: Clone + 'static>(
    owner: &Arc<T>,
    device: &Device,
    upload: impl FnOnce(&T) -> Result<V>,
) -> Result<V>
where
    Arc<T>: Any,
{
    let address = Arc::as_ptr(owner).cast::<()>() as usize;
    ENTRIES.with_borrow_mut(|entries| {
        let known = entries.iter().enumerate().find_map(|(place, entry)| {
            let is_same = entry.address == address && entry.device.same_device(device);
            let value = entry.value.downcast_ref::<V>().filter(|_| is_same)?;
            Some((place, value.clone()))
        });
        if let Some((place, value)) = known {
            let entry = entries.remove(place);
            entries.push(entry);
            return Ok(value);
        }
        let value = upload(owner)?;
        entries.push(Entry {
            address,
            device: device.clone(),
            value: Box::new(value.clone()),
            _owner: Box::new(owner.clone()),
        });
        if entries.len() > REMEMBERED {
            entries.remove(0);
        }
        Ok(value)
    })
}

/// Whole numbers below 2^32 as they are.
pub(super) fn indices(owner: &Arc<[u32]>, device: &Device) -> Result<Tensor> {
    resident(owner, device, |values| Tensor::from_slice(values, values.len(), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_uploaded_once_and_never_taken_for_another() {
        let device = Device::Cpu;
        let first: Arc<[u32]> = [1, 2, 3].into();
        let a = indices(&first, &device).unwrap();
        assert_eq!(a.id(), indices(&first.clone(), &device).unwrap().id());
        for i in 0..100u32 {
            let other: Arc<[u32]> = [i, 7, 9].into();
            assert_eq!(indices(&other, &device).unwrap().to_vec1::<u32>().unwrap(), [i, 7, 9]);
        }
        assert_eq!(indices(&first, &device).unwrap().to_vec1::<u32>().unwrap(), [1, 2, 3]);
    }
}
