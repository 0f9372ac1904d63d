//! What memory a device has.

#[cfg(feature = "cuda")]
use crate::kernels;
use candle_core::{Device, DeviceLocation};
use sysinfo::{MemoryRefreshKind, System};

/// Memory that this process can still have on a device, bytes, where the system tells: what is free,
/// and what its own memory pool keeps of what it has freed.
pub fn available(device: &Device) -> Option<u64> {
    match device {
        Device::Cpu => {
            let (free, _) = machine()?;
            Some(limit().map_or(free, |(_, left)| left.min(free)))
        }
        other => cuda(other).map(|(free, _)| free),
    }
}

/// All memory of a device, bytes, where the system tells.
pub fn total(device: &Device) -> Option<u64> {
    match device {
        Device::Cpu => {
            let (_, all) = machine()?;
            Some(limit().map_or(all, |(limit, _)| limit.min(all)))
        }
        other => cuda(other).map(|(_, all)| all),
    }
}

/// The name of a device: `cpu`, `cuda:0`.
pub fn device_name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".to_string(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// Bytes for people: `1.5 GiB`, `20 MiB`.
pub fn in_gib(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    match mib {
        ..0.1 => format!("{:.1} KiB", mib * 1024.0),
        ..10.0 => format!("{mib:.1} MiB"),
        ..1000.0 => format!("{mib:.0} MiB"),
        ..102_400.0 => format!("{:.1} GiB", mib / 1024.0),
        _ => format!("{:.0} GiB", mib / 1024.0),
    }
}

/// What programs can still have of the machine's memory, and all of it.
fn machine() -> Option<(u64, u64)> {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let all = system.total_memory();
    (all > 0).then(|| (system.available_memory(), all))
}

/// The limit of this process's control group, as containers on Linux have one, and what is left of
/// it. Pages of files do not count, other than for `sysinfo`: the system gives them up when memory
/// is asked for.
fn limit() -> Option<(u64, u64)> {
    let read = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let limit: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    let stat = read("memory.stat")?;
    let field = |name: &str| -> u64 {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let files = field("inactive_file") + field("active_file");
    Some((limit, limit.saturating_sub(used.saturating_sub(files))))
}

#[cfg(feature = "cuda")]
fn cuda(device: &Device) -> Option<(u64, u64)> {
    let Device::Cuda(cuda) = device else { return None };
    let (free, all) = cuda.cuda_stream().context().mem_get_info().ok()?;
    let unused = kernels::unused_gpu_memory(device).ok().flatten().unwrap_or(0);
    Some((free as u64 + unused, all as u64))
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: &Device) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_the_unit_that_fits() {
        let texts = [
            (512, "0.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (700 << 20, "700 MiB"),
            (24 << 30, "24.0 GiB"),
            (141 << 30, "141 GiB"),
        ];
        for (bytes, text) in texts {
            assert_eq!(in_gib(bytes), text);
        }
    }

    #[test]
    fn what_is_free_is_less_than_all() {
        let (Some(free), Some(all)) = (available(&Device::Cpu), total(&Device::Cpu)) else {
            return;
        };
        assert!(0 < free && free < all, "{free} {all}");
    }
}
