//! What this process uses of the machine.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Bytes of a MiB.
const MIB: f64 = (1 << 20) as f64;

/// Looks at this process.
pub struct ProcessLoad {
    system: System,
    id: Option<Pid>,
    /// Processor time up to the last look, seconds.
    cpu_s: Option<f64>,
    /// Most resident memory of all looks, MiB.
    peak_mib: f64,
}

/// What a process uses.
#[derive(Clone, Copy, Debug)]
pub struct ProcessUse {
    /// Processor time of all threads since the last look, seconds.
    pub cpu_s: Option<f64>,
    /// Resident memory, MiB.
    pub resident_mib: f64,
    /// Most resident memory so far, MiB: of all time where the system keeps it (Linux), elsewhere
    /// of all looks.
    pub peak_mib: f64,
}

impl Default for ProcessLoad {
    fn default() -> Self {
        let id = sysinfo::get_current_pid().ok();
        let mut load = Self { system: System::new(), id, cpu_s: None, peak_mib: 0.0 };
        load.look();
        load
    }
}

impl ProcessLoad {
    /// What is used now, where the system tells.
    pub fn look(&mut self) -> Option<ProcessUse> {
        let id = self.id?;
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, what);
        let process = self.system.process(id)?;
        let (cpu_s, resident_mib) =
            (process.accumulated_cpu_time() as f64 / 1e3, process.memory() as f64 / MIB);
        self.peak_mib = high_water_mark_mib().unwrap_or_else(|| self.peak_mib.max(resident_mib));
        let before = self.cpu_s.replace(cpu_s);
        Some(ProcessUse {
            cpu_s: before.map(|before| cpu_s - before),
            resident_mib,
            peak_mib: self.peak_mib,
        })
    }
}

/// Largest resident memory of this process so far, where the system keeps it, as Linux does.
fn high_water_mark_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_taken_and_time_that_is_spent_are_seen() {
        let mut load = ProcessLoad::default();
        if load.look().is_none() {
            return;
        }
        // Other tests take and free memory meanwhile, but what is held here is there.
        let taken = std::hint::black_box(vec![1u8; 256 << 20]);
        let started = std::time::Instant::now();
        let mut sum = 0u64;
        while started.elapsed().as_millis() < 60 {
            sum = std::hint::black_box(
                sum + taken.iter().step_by(4096).map(|&byte| u64::from(byte)).sum::<u64>(),
            );
        }
        let after = load.look().unwrap();
        assert!(after.resident_mib >= 256.0 && after.peak_mib >= 256.0, "{after:?}");
        drop(taken);
        let freed = load.look().unwrap();
        assert!(freed.peak_mib >= 256.0, "{freed:?}");
        assert!(after.cpu_s.unwrap() > 0.01, "{after:?}");
    }
}
