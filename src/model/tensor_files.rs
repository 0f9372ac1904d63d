//! Safetensors files read one tensor at a time: headers at once, values when they are asked for.
//!
//! Values are converted while they are read, in pieces, straight into the memory that they stay in. So loading a model takes the
//! memory of the loaded model and no more, whatever the type and the number of its files.

use crate::error::{Error, Result};
use candle_core::{DType, Device, Var, WithDType};
use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The file of weights in a folder whose model is in one file.
pub(super) const WHOLE: &str = "model.safetensors";

/// The list of shards in a folder whose model is in several files.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// Bytes that are read and converted at a time.
const PIECE: usize = 16 << 20;

/// Longest header that a safetensors file may have.
const LONGEST_HEADER: u64 = 100 << 20;

/// Where the bytes are.
#[derive(Clone)]
enum Content {
    File(PathBuf),
    /// In memory, with a name for messages.
    Memory(&'static [u8], String),
}

/// One safetensors file.
struct TensorFile {
    content: Content,
    tensors: BTreeMap<String, TensorInfo>,
    metadata: HashMap<String, String>,
    /// Where the values begin, bytes.
    start: u64,
}

/// The tensors of a model's files.
pub(crate) struct TensorFiles {
    files: Vec<TensorFile>,
    /// Which file holds which tensor.
    places: BTreeMap<String, usize>,
    /// The list of shards, where there is one.
    index: Option<PathBuf>,
}

/// What an element becomes.
trait Element: WithDType {
    fn of(value: f32) -> Self;
}

impl Element for f32 {
    fn of(value: f32) -> Self {
        value
    }
}

impl Element for f64 {
    fn of(value: f32) -> Self {
        value.into()
    }
}

impl Element for bf16 {
    fn of(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl Element for f16 {
    fn of(value: f32) -> Self {
        Self::from_f32(value)
    }
}

impl TensorFiles {
    /// Reads the headers of `model.safetensors`, or of the shards that `model.safetensors.index.json` lists. Missing, truncated
    /// and malformed files are input errors.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let index = folder.join(INDEX);
        if !index.exists() {
            return Self::open_file(folder.join(WHOLE));
        }
        let listed = read_index(&index)?;
        let names: BTreeSet<&String> = listed.values().collect();
        let numbers: BTreeMap<&String, usize> =
            names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
        let files = names.iter().map(|name| {
            let path = folder.join(name);
            if !path.is_file() {
                return Err(Error::input(format!(
                    "the shard {name} of the model is missing, which {} lists; copy it there ({})",
                    INDEX,
                    path.display()
                )));
            }
            TensorFile::open(path)
        });
        let files = files.collect::<Result<Vec<_>>>()?;
        let places = listed.iter().map(|(tensor, file)| (tensor.clone(), numbers[file])).collect();
        Ok(Self { files, places, index: Some(index) })
    }

    /// The one file at `path`.
    pub(crate) fn open_file(path: PathBuf) -> Result<Self> {
        Ok(Self::of_files(vec![TensorFile::open(path)?]))
    }

    /// The content of a file that is in memory and came from `origin`.
    pub(super) fn of_bytes(bytes: &'static [u8], origin: &str) -> Result<Self> {
        Ok(Self::of_files(vec![TensorFile::new(Content::Memory(bytes, origin.to_string()))?]))
    }

    fn of_files(files: Vec<TensorFile>) -> Self {
        let names = |(number, file): (usize, &TensorFile)| {
            file.tensors.keys().map(|name| (name.clone(), number)).collect::<Vec<_>>()
        };
        let places = files.iter().enumerate().flat_map(names).collect();
        Self { files, places, index: None }
    }

    /// A text that stands beside the tensors under `key`.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.files.iter().find_map(|file| file.metadata.get(key)).map(String::as_str)
    }

    /// Names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// Where a tensor is looked for, for messages.
    fn origin(&self, name: &str) -> String {
        match (self.places.get(name), &self.index) {
            (Some(&file), _) => self.files[file].name(),
            (None, Some(index)) => index.display().to_string(),
            (None, None) => self.files.first().map_or_else(String::new, TensorFile::name),
        }
    }

    /// Refuses a tensor that is missing or has another shape or a type that is not supported.
    pub(super) fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        self.find(name, shape).map(|_| ())
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<(&TensorFile, &TensorInfo)> {
        let place = self.places.get(name).map(|&file| &self.files[file]);
        let found = place.and_then(|file| Some((file, file.tensors.get(name)?)));
        let (file, info) = found
            .ok_or_else(|| Error::input(format!("the tensor `{name}` {shape:?} is missing ({})", self.origin(name))))?;
        if info.shape != shape {
            return Err(Error::input(format!(
                "the tensor `{name}` has shape {:?}, but config.json asks for {shape:?} ({})",
                info.shape,
                file.name(),
            )));
        }
        if !matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(Error::input(format!(
                "the tensor `{name}` is of type {:?}; F32, F16 and BF16 can be read, quantised models cannot ({})",
                info.dtype,
                file.name(),
            )));
        }
        Ok((file, info))
    }

    /// Reads one tensor as a variable of `dtype` on `device`. Values that are not finite are input errors.
    pub(crate) fn read(&self, name: &str, shape: &[usize], dtype: DType, device: &Device) -> Result<Var> {
        let (file, info) = self.find(name, shape)?;
        match dtype {
            DType::F64 => file.variable::<f64>(name, info, device),
            DType::F32 => file.variable::<f32>(name, info, device),
            DType::BF16 => file.variable::<bf16>(name, info, device),
            DType::F16 => file.variable::<f16>(name, info, device),
            other => Err(Error::failed(format!("weights cannot be of type {other:?}"))),
        }
    }
}

impl TensorFile {
    fn open(path: PathBuf) -> Result<Self> {
        Self::new(Content::File(path))
    }

    fn new(content: Content) -> Result<Self> {
        let mut file = Self { content, tensors: BTreeMap::new(), metadata: HashMap::new(), start: 0 };
        let bad = |why: String| Error::input(format!("cannot read the model's weights: {why} ({})", file.name()));
        let (length, mut reader) = file.reader().map_err(|error| bad(error.to_string()))?;
        let mut size = [0; 8];
        reader.read_exact(&mut size).map_err(|_| bad("the file ends before its header".to_string()))?;
        let size = u64::from_le_bytes(size);
        if size > LONGEST_HEADER || 8 + size > length {
            return Err(bad(format!("its header would be of {size} bytes; it is truncated or not a safetensors file")));
        }
        let mut header = vec![0; size as usize];
        reader.read_exact(&mut header).map_err(|error| bad(error.to_string()))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| bad(format!("its header is not valid: {error}")))?;
        let end = 8 + size + metadata.data_len() as u64;
        if end != length {
            return Err(bad(format!(
                "its header describes {end} bytes, but it has {length}; {}",
                if length < end { "it is truncated, download it again" } else { "it is damaged" }
            )));
        }
        drop(reader);
        file.tensors = metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
        file.metadata = metadata.metadata().clone().unwrap_or_default();
        file.start = 8 + size;
        Ok(file)
    }

    fn name(&self) -> String {
        match &self.content {
            Content::File(path) => path.display().to_string(),
            Content::Memory(_, origin) => origin.clone(),
        }
    }

    /// Length and content.
    fn reader(&self) -> std::io::Result<(u64, Box<dyn ReadSeek + '_>)> {
        Ok(match &self.content {
            Content::File(path) => {
                let file = File::open(path)?;
                (file.metadata()?.len(), Box::new(file))
            }
            Content::Memory(bytes, _) => (bytes.len() as u64, Box::new(std::io::Cursor::new(*bytes))),
        })
    }

    fn variable<T: Element>(&self, name: &str, info: &TensorInfo, device: &Device) -> Result<Var> {
        let failed =
            |error: std::io::Error| Error::input(format!("cannot read the tensor `{name}`: {error} ({})", self.name()));
        let (start, end) = info.data_offsets;
        let size = info.dtype.bitsize() / 8;
        let (_, mut reader) = self.reader().map_err(failed)?;
        reader.seek(SeekFrom::Start(self.start + start as u64)).map_err(failed)?;
        let mut values: Vec<T> = Vec::with_capacity((end - start) / size);
        let mut bytes = vec![0; PIECE.min(end - start)];
        let mut left = end - start;
        while left > 0 {
            let bytes = &mut bytes[..PIECE.min(left)];
            reader.read_exact(bytes).map_err(failed)?;
            left -= bytes.len();
            let all_finite = match info.dtype {
                Dtype::F32 => convert::<4, T>(&mut values, bytes, f32::from_le_bytes),
                Dtype::F16 => convert::<2, T>(&mut values, bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
                _ => convert::<2, T>(&mut values, bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            };
            if !all_finite {
                return Err(Error::input(format!(
                    "the tensor `{name}` has values that are not finite ({})",
                    self.name()
                )));
            }
        }
        Ok(Var::from_vec(values, info.shape.as_slice(), device)?)
    }
}

trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

/// Appends the values of `bytes`; returns whether all are finite, before and after the conversion.
fn convert<const SIZE: usize, T: Element>(
    values: &mut Vec<T>,
    bytes: &[u8],
    decode: impl Fn([u8; SIZE]) -> f32 + Sync,
) -> bool {
    let (elements, _) = bytes.as_chunks::<SIZE>();
    values.par_extend(elements.par_iter().map(|bytes| T::of(decode(*bytes))));
    values[values.len() - elements.len()..].par_iter().all(|value| value.to_f64().is_finite())
}

/// The files that a `model.safetensors.index.json` lists, each once.
pub(super) fn shard_files(index: &Path) -> Result<Vec<String>> {
    let files: BTreeSet<String> = read_index(index)?.into_values().collect();
    Ok(files.into_iter().collect())
}

/// Which file holds which tensor, from a `model.safetensors.index.json`.
fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text =
        std::fs::read_to_string(path).map_err(|e| Error::input(format!("cannot read {}: {e}", path.display())))?;
    let index: Index = serde_json::from_str(&text)
        .map_err(|e| Error::input(format!("the list of shards is not valid: {e} ({})", path.display())))?;
    if let Some(name) = index.weight_map.values().find(|name| name.contains("..") || Path::new(name).is_absolute()) {
        return Err(Error::input(format!(
            "the list of shards names {name:?}, outside its folder ({})",
            path.display()
        )));
    }
    Ok(index.weight_map)
}
