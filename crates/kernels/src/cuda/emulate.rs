//! Kernels on the CPU, for tests: sources are compiled by the C++ compiler behind `emulator.h`, one
//! program per variant, which is then sent launches through a pipe.

use super::program::{Argument, COMMON, Key, Variant};
use candle_core::{Error, Result, Tensor, bail};
use safetensors::View;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Whether there is a C++ compiler; says so where there is none.
pub(super) fn available() -> bool {
    if COMPILER.is_none() {
        eprintln!(
            "skipped: emulated kernels need a C++ compiler (g++ or clang++, or CXX) on Linux"
        );
    }
    COMPILER.is_some()
}

static COMPILER: LazyLock<Option<String>> = LazyLock::new(|| {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let named = std::env::var("CXX").ok();
    let works = |name: &String| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    named.into_iter().chain(["c++", "g++", "clang++"].map(String::from)).find(works)
});

struct Emulator {
    process: Child,
    requests: ChildStdin,
    answers: ChildStdout,
}

type Shared = Arc<Mutex<Option<Emulator>>>;

static EMULATORS: LazyLock<Mutex<HashMap<Key, Shared>>> = LazyLock::new(Mutex::default);

/// Removes the folder of a compilation.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

impl Emulator {
    fn start(variant: Variant) -> Result<Self> {
        let Some(compiler) = COMPILER.as_ref() else { bail!("there is no C++ compiler") };
        let (name, bf16, head_dim, group) = variant.key();
        let folder =
            format!("orthant-emulator-{}-{name}-{bf16}-{head_dim}-{group}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(folder));
        std::fs::create_dir_all(&folder.0)?;
        let kernels = variant.program.kernels;
        let cases = kernels.iter().map(|name| {
            format!(
                "        if (name == \"{name}\") return emulator::launch({name}, arguments), true;"
            )
        });
        let cases = cases.collect::<Vec<_>>().join("\n");
        let source = format!(
            "#include \"emulator.h\"\n#line 1 \"common.cuh\"\n{COMMON}\n#line 1 \
             \"{name}.cu\"\n{}\nint main() {{\n    return emulator::serve([](const std::string& \
             name, const std::vector<emulator::Argument>& arguments) {{\n{cases}\n        return \
             false;\n    }});\n}}\n",
            variant.program.source
        );
        std::fs::write(folder.0.join("emulator.h"), include_str!("emulator.h"))?;
        std::fs::write(folder.0.join("kernels.cpp"), source)?;
        let program = folder.0.join("kernels");
        let output = Command::new(compiler)
            .args([
                "-std=c++17",
                "-O1",
                "-w",
                "-U_FORTIFY_SOURCE",
                "-fno-strict-aliasing",
                "-ffp-contract=off",
                "-o",
            ])
            .arg(&program)
            .args(variant.macros())
            .arg(folder.0.join("kernels.cpp"))
            .output()?;
        if !output.status.success() {
            bail!("{name} does not compile as C++: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut process =
            Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(requests), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            bail!("the emulator of {name} has no pipes");
        };
        Ok(Self { process, requests, answers })
    }

    /// Sends one launch; returns what its buffers contain afterwards.
    fn run(&mut self, request: &[u8], sizes: &[usize]) -> std::io::Result<Vec<Vec<u8>>> {
        self.requests.write_all(request)?;
        self.requests.flush()?;
        sizes
            .iter()
            .map(|&size| {
                let mut content = vec![0; size];
                self.answers.read_exact(&mut content)?;
                Ok(content)
            })
            .collect()
    }
}

/// Runs a kernel over CPU tensors.
pub(super) fn launch(
    variant: Variant,
    name: &str,
    blocks: [u32; 2],
    threads: u32,
    arguments: &[Argument],
) -> Result<()> {
    let mut request = Vec::new();
    let mut put = |bytes: &[u8]| request.extend_from_slice(bytes);
    put(&(name.len() as u32).to_le_bytes());
    put(name.as_bytes());
    for number in [blocks[0], blocks[1], 1, threads, arguments.len() as u32] {
        put(&number.to_le_bytes());
    }
    let mut buffers: Vec<(&Tensor, Vec<u8>)> = Vec::new();
    for argument in arguments {
        match argument {
            Argument::Tensor(tensor) => {
                if buffers.iter().any(|(other, _)| other.id() == tensor.id()) {
                    bail!("the kernel {name} was given one tensor twice");
                }
                let content = tensor.data().into_owned();
                put(&[0]);
                put(&(content.len() as u64).to_le_bytes());
                put(&content);
                buffers.push((tensor, content));
            }
            Argument::U32(value) => {
                put(&[1]);
                put(&4u64.to_le_bytes());
                put(&value.to_le_bytes());
            }
            Argument::F32(value) => {
                put(&[1]);
                put(&4u64.to_le_bytes());
                put(&value.to_le_bytes());
            }
            Argument::U64(value) => {
                put(&[1]);
                put(&8u64.to_le_bytes());
                put(&value.to_le_bytes());
            }
        }
    }
    let sizes: Vec<usize> = buffers.iter().map(|(_, content)| content.len()).collect();
    let emulator = EMULATORS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(variant.key())
        .or_default()
        .clone();
    let mut emulator = emulator.lock().unwrap_or_else(PoisonError::into_inner);
    let running = match &mut *emulator {
        Some(running) => running,
        empty => empty.insert(Emulator::start(variant)?),
    };
    let after = match running.run(&request, &sizes) {
        Ok(after) => after,
        Err(error) => {
            let status = running.process.wait().map_err(Error::wrap)?;
            *emulator = None;
            bail!("the emulated kernel {name} failed: {error}, {status}");
        }
    };
    for ((tensor, before), after) in buffers.into_iter().zip(after) {
        if before != after {
            let content =
                Tensor::from_raw_buffer(&after, tensor.dtype(), tensor.dims(), tensor.device())?;
            tensor.slice_set(&content, 0, 0)?;
        }
    }
    Ok(())
}
