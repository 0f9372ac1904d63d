//! Safetensors files read one tensor at a time: headers at once, values when they are asked for.
//!
//! Values are converted while they are read, in pieces, straight into the memory that they stay in.
//! So loading a model takes the memory of the loaded model and no more, whatever the type and the
//! number of its files.

use super::shard_list::{INDEX, check_listed, read_index};
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use crate::files;
use crate::files::folder;
use candle_core::{DType, Device, Tensor, Var, WithDType};
use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The file of weights in a folder whose model is in one file.
pub(crate) const WHOLE: &str = "model.safetensors";

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
    /// Which file holds which tensor, and under which name.
    places: BTreeMap<String, (usize, String)>,
    /// The list of shards, where there is one.
    index: Option<PathBuf>,
}

/// What an element becomes. One that is of that type already stays as it is.
trait Element: WithDType {
    fn of(value: f32) -> Self;

    #[inline]
    fn of_f16(value: f16) -> Self {
        Self::of(value.to_f32())
    }

    #[inline]
    fn of_bf16(value: bf16) -> Self {
        Self::of(value.to_f32())
    }

    fn is_finite(self) -> bool;
}

impl Element for f32 {
    #[inline]
    fn of(value: f32) -> Self {
        value
    }

    #[inline]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Element for f64 {
    #[inline]
    fn of(value: f32) -> Self {
        value.into()
    }

    #[inline]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Element for bf16 {
    #[inline]
    fn of(value: f32) -> Self {
        Self::from_f32(value)
    }

    #[inline]
    fn of_bf16(value: bf16) -> Self {
        value
    }

    #[inline]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Element for f16 {
    #[inline]
    fn of(value: f32) -> Self {
        Self::from_f32(value)
    }

    #[inline]
    fn of_f16(value: f16) -> Self {
        value
    }

    #[inline]
    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl TensorFiles {
    /// Reads the headers of `model.safetensors`, or else of the shards that
    /// `model.safetensors.index.json` lists. Missing, truncated and malformed files are input
    /// errors.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        if let Some(path) = folder::member(folder, WHOLE)? {
            return Ok(Self::of_files(vec![TensorFile::open(path)?]).with_plain_names());
        }
        let Some(index) = folder::member(folder, INDEX)? else { return Err(no_weights(folder)) };
        let listed = read_index(&index)?;
        let names: BTreeSet<&String> = listed.values().collect();
        let numbers: BTreeMap<&String, usize> =
            names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
        let files = names.iter().map(|name| {
            let path = folder::member(folder, name)?.ok_or_else(|| {
                Error::input(format!(
                    "the shard {name} of the model is missing, which {INDEX} lists; copy it there \
                     ({})",
                    folder.join(name).display()
                ))
            })?;
            TensorFile::open(path)
        });
        let files = files.collect::<Result<Vec<_>>>()?;
        for (name, file) in names.iter().zip(&files) {
            check_listed(name, file.tensors.keys(), &listed, &index)?;
        }
        let place =
            |(tensor, file): (&String, &String)| (tensor.clone(), (numbers[file], tensor.clone()));
        let places = listed.iter().map(place).collect();
        Ok(Self { files, places, index: Some(index) }.with_plain_names())
    }

    /// The one file at `path`.
    pub(crate) fn open_file(path: PathBuf) -> Result<Self> {
        Ok(Self::of_files(vec![TensorFile::open(path)?]))
    }

    /// The content of a file that is in memory and came from `origin`.
    pub(crate) fn of_bytes(bytes: &'static [u8], origin: &str) -> Result<Self> {
        Ok(Self::of_files(vec![TensorFile::new(Content::Memory(bytes, origin.to_string()))?]))
    }

    fn of_files(files: Vec<TensorFile>) -> Self {
        let names = |(number, file): (usize, &TensorFile)| {
            file.tensors
                .keys()
                .map(|name| (name.clone(), (number, name.clone())))
                .collect::<Vec<_>>()
        };
        let places = files.iter().enumerate().flat_map(names).collect();
        Self { files, places, index: None }
    }

    /// Knows the tensors of a language model by the names that Transformers gives them, where their
    /// file has them under such names with a common prefix, as compiled and wrapped models are
    /// saved, or without the prefix of the language model's own part.
    fn with_plain_names(mut self) -> Self {
        let plain = plain_names(self.places.keys());
        if let Some(plain) = plain {
            self.places =
                plain.into_iter().zip(std::mem::take(&mut self.places).into_values()).collect();
        }
        self
    }

    /// Knows a tensor by another name too.
    pub(crate) fn alias(&mut self, name: &str, other: &str) {
        if let Some(place) = self.places.get(name).cloned() {
            self.places.insert(other.to_string(), place);
        }
    }

    /// Whether there is a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
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
    pub(crate) fn origin(&self, name: &str) -> String {
        match (self.places.get(name), &self.index) {
            (Some((file, _)), _) => self.files[*file].name(),
            (None, Some(index)) => index.display().to_string(),
            (None, None) => self.files.first().map_or_else(String::new, TensorFile::name),
        }
    }

    /// Refuses a tensor that is missing or has another shape or a type that is not supported.
    pub(crate) fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        self.find(name, shape).map(|_| ())
    }

    fn find(&self, name: &str, shape: &[usize]) -> Result<(&TensorFile, &TensorInfo)> {
        let place = self.places.get(name).map(|(file, name)| (&self.files[*file], name));
        let found = place.and_then(|(file, name)| Some((file, file.tensors.get(name)?)));
        let (file, info) = found.ok_or_else(|| {
            let other =
                self.places.keys().find(|other| other.ends_with(name) && other.as_str() != name);
            let other = other.map_or(String::new(), |other| format!("; there is `{other}`"));
            Error::input(format!(
                "the tensor `{name}` {shape:?} is missing{other} ({})",
                self.origin(name)
            ))
        })?;
        if !is_float(info) {
            return Err(Error::input(format!(
                "the tensor `{name}` is of type {:?}; F32, F16 and BF16 can be read, quantised \
                 models cannot ({})",
                info.dtype,
                file.name(),
            )));
        }
        if info.shape != shape {
            return Err(Error::input(format!(
                "the tensor `{name}` has shape {:?}, but its configuration asks for {shape:?} ({})",
                info.shape,
                file.name(),
            )));
        }
        Ok((file, info))
    }

    /// Whether two tensors of like shape hold the same values.
    pub(crate) fn are_equal(&self, names: [&str; 2], shape: &[usize]) -> Result<bool> {
        let [(a, a_info), (b, b_info)] = [self.find(names[0], shape)?, self.find(names[1], shape)?];
        let (mut a, mut b) = (a.values(names[0], a_info)?, b.values(names[1], b_info)?);
        loop {
            let (left, right) = (a.next_piece()?, b.next_piece()?);
            if left != right {
                return Ok(false);
            }
            if left.is_empty() {
                return Ok(true);
            }
        }
    }

    /// Reads all tensors of floating-point numbers as they are, in `f32`.
    pub(crate) fn read_all(&self, device: &Device) -> Result<HashMap<String, Tensor>> {
        let floats = self
            .files
            .iter()
            .flat_map(|file| file.tensors.iter().map(move |(name, info)| (file, name, info)));
        let read = |(file, name, info): (&TensorFile, &String, &TensorInfo)| {
            Ok((name.clone(), file.variable::<f32>(name, info, device)?.into_inner()))
        };
        floats.filter(|(_, _, info)| is_float(info)).map(read).collect()
    }

    /// Reads one tensor as a variable of `dtype` on `device`. Values that are not finite are input
    /// errors.
    pub(crate) fn read(
        &self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Var> {
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
        let mut file =
            Self { content, tensors: BTreeMap::new(), metadata: HashMap::new(), start: 0 };
        let bad = |why: String| {
            Error::input(format!("cannot read the model's weights: {why} ({})", file.name()))
        };
        let (length, mut reader) = file.reader().map_err(|error| bad(error.to_string()))?;
        let start = files::beginning(&mut reader).map_err(|error| bad(error.to_string()))?;
        if let Some(why) = files::not_fetched(&start) {
            return Err(bad(why.to_string()));
        }
        let size = start
            .first_chunk::<8>()
            .ok_or_else(|| bad("the file ends before its header".to_string()))?;
        reader.seek(SeekFrom::Start(8)).map_err(|error| bad(error.to_string()))?;
        let size = u64::from_le_bytes(*size);
        if size > LONGEST_HEADER || 8 + size > length {
            return Err(bad(format!(
                "its header would be of {size} bytes; it is truncated or not a safetensors file"
            )));
        }
        let mut header = vec![0; size as usize];
        reader.read_exact(&mut header).map_err(|error| bad(error.to_string()))?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| {
            bad(format!("its header is not valid: {}", cut(&error.to_string(), MOST_SHOWN)))
        })?;
        let end = 8 + size + metadata.data_len() as u64;
        if end != length {
            return Err(bad(format!(
                "its header describes {end} bytes, but it has {length}; {}",
                if length < end { "it is truncated, download it again" } else { "it is damaged" }
            )));
        }
        drop(reader);
        file.tensors =
            metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
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
                let file = files::open_regular(path)?;
                (file.metadata()?.len(), Box::new(file))
            }
            Content::Memory(bytes, _) => {
                (bytes.len() as u64, Box::new(std::io::Cursor::new(*bytes)))
            }
        })
    }

    fn failed(&self, name: &str, error: &std::io::Error) -> Error {
        Error::input(format!("cannot read the tensor `{name}`: {error} ({})", self.name()))
    }

    /// The values of a tensor, piece by piece.
    fn values<'a>(&'a self, name: &'a str, info: &'a TensorInfo) -> Result<Values<'a>> {
        let (start, end) = info.data_offsets;
        let mut reader = self.reader().map_err(|error| self.failed(name, &error))?.1;
        reader
            .seek(SeekFrom::Start(self.start + start as u64))
            .map_err(|error| self.failed(name, &error))?;
        Ok(Values { file: self, name, dtype: info.dtype, reader, left: end - start })
    }

    fn variable<T: Element>(&self, name: &str, info: &TensorInfo, device: &Device) -> Result<Var> {
        let mut values: Vec<T> = Vec::with_capacity(info.shape.iter().product());
        let mut source = self.values(name, info)?;
        let (mut piece, mut next) = (Vec::new(), Vec::new());
        source.read_piece(&mut piece)?;
        while !piece.is_empty() {
            // The disk works while values are converted.
            let (read, are_finite) = rayon::join(
                || source.read_piece(&mut next),
                || append(&mut values, &piece, info.dtype),
            );
            read?;
            if !are_finite {
                return Err(Error::input(format!(
                    "the tensor `{name}` has values that are not finite ({})",
                    self.name()
                )));
            }
            std::mem::swap(&mut piece, &mut next);
        }
        Ok(Var::from_vec(values, info.shape.as_slice(), device)?)
    }
}

/// A tensor that is being read.
struct Values<'a> {
    file: &'a TensorFile,
    name: &'a str,
    dtype: Dtype,
    reader: Box<dyn ReadSeek + 'a>,
    left: usize,
}

impl Values<'_> {
    /// Reads the next bytes, whole elements; none at the end.
    fn read_piece(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        // The same number of elements, whatever their type.
        let length = (PIECE / 4 * (self.dtype.bitsize() / 8)).min(self.left);
        bytes.resize(length, 0);
        self.reader.read_exact(bytes).map_err(|error| self.file.failed(self.name, &error))?;
        self.left -= length;
        Ok(())
    }

    /// The next values; none at the end.
    fn next_piece(&mut self) -> Result<Vec<f32>> {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        self.read_piece(&mut bytes)?;
        append(&mut values, &bytes, self.dtype);
        Ok(values)
    }
}

trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Appends the values of `bytes`; returns whether all are finite, before and after the conversion.
fn append<T: Element>(values: &mut Vec<T>, bytes: &[u8], dtype: Dtype) -> bool {
    match dtype {
        Dtype::F32 => convert::<4, T>(values, bytes, |bytes| T::of(f32::from_le_bytes(bytes))),
        Dtype::F16 => convert::<2, T>(values, bytes, |bytes| T::of_f16(f16::from_le_bytes(bytes))),
        _ => convert::<2, T>(values, bytes, |bytes| T::of_bf16(bf16::from_le_bytes(bytes))),
    }
}

fn convert<const SIZE: usize, T: Element>(
    values: &mut Vec<T>,
    bytes: &[u8],
    decode: impl Fn([u8; SIZE]) -> T + Sync,
) -> bool {
    /// Elements that are looked at together, so that the processor takes many at a time.
    const LOOK: usize = 1 << 14;
    let (elements, _) = bytes.as_chunks::<SIZE>();
    values.par_extend(elements.par_iter().with_min_len(LOOK).map(|bytes| decode(*bytes)));
    let added = &values[values.len() - elements.len()..];
    added.par_chunks(LOOK).all(|part| part.iter().fold(true, |all, value| all & value.is_finite()))
}

/// Whether the values are of a type that can be read.
fn is_float(info: &TensorInfo) -> bool {
    matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// What compiling and sharding wrappers put into names.
const WRAPPERS: [&str; 2] = ["_orig_mod.", "_fsdp_wrapped_module."];

/// The names of a language model's tensors as Transformers calls them, in order, where they follow
/// from the given ones.
fn plain_names<'a>(names: impl Iterator<Item = &'a String>) -> Option<Vec<String>> {
    const EMBEDDINGS: &str = "embed_tokens.weight";
    let unwrapped = |name: &String| {
        WRAPPERS.iter().fold(name.clone(), |name, wrapper| name.replace(wrapper, ""))
    };
    let names: Vec<String> = names.map(unwrapped).collect();
    let prefix = names.iter().find_map(|name| name.strip_suffix(EMBEDDINGS))?.to_string();
    let plain: Vec<String> = match prefix.strip_suffix("model.") {
        Some(outer) => names
            .iter()
            .map(|name| name.strip_prefix(outer).map(str::to_string))
            .collect::<Option<_>>()?,
        None if prefix.is_empty() => {
            let plain = |name: String| {
                if name.starts_with("lm_head.") { name } else { format!("model.{name}") }
            };
            names.into_iter().map(plain).collect()
        }
        None => return None,
    };
    let distinct: BTreeSet<&String> = plain.iter().collect();
    (distinct.len() == plain.len()).then_some(plain)
}

/// The complaint about a folder without weights that can be read: what is there in their place, and
/// the way out.
fn no_weights(folder: &Path) -> Error {
    let names = folder.read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let is_of = |name: &str, kind: &str| {
        Path::new(name).extension().is_some_and(|extension| extension == kind)
    };
    let is_whole = |name: &&String| name.starts_with("pytorch_model") || is_of(name, "gguf");
    let other = names
        .iter()
        .find(is_whole)
        .or_else(|| names.iter().find(|name| is_of(name, "safetensors")));
    let found = match other {
        None => "copy the weights there".to_string(),
        Some(shard) if shard.contains("-of-") && is_of(shard, "safetensors") => {
            format!("there is {shard:?}, one of several shards; copy the {INDEX} beside them")
        }
        Some(other) if is_of(other, "safetensors") => {
            format!(
                "there is {other:?}; rename it, or write the model with Transformers' \
                 save_pretrained"
            )
        }
        Some(other) => {
            format!(
                "there is {other:?}, which cannot be read; convert it: load it with Transformers \
                 and write it with save_pretrained"
            )
        }
    };
    Error::input(format!(
        "the model has no {WHOLE} and no {INDEX}; {found} ({})",
        folder.join(WHOLE).display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_common_prefix_are_known_without_it() {
        let plain = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            plain_names(names.iter())
        };
        let expected: Vec<String> =
            ["model.embed_tokens.weight", "lm_head.weight"].map(str::to_string).into();
        for prefix in [
            "",
            "_orig_mod.",
            "module.",
            "module._orig_mod.",
            "_fsdp_wrapped_module.",
            "policy.llm.",
        ] {
            let names =
                [format!("{prefix}model.embed_tokens.weight"), format!("{prefix}lm_head.weight")];
            assert_eq!(plain(&names.each_ref().map(String::as_str)).unwrap(), expected, "{prefix}");
        }
        assert_eq!(plain(&["embed_tokens.weight", "lm_head.weight"]).unwrap(), expected);
        let inner =
            plain(&["model.embed_tokens.weight", "model.layers.0._orig_mod.mlp.up_proj.weight"])
                .unwrap();
        assert_eq!(inner[1], "model.layers.0.mlp.up_proj.weight");
        assert_eq!(plain(&["language.model.embed_tokens.weight", "vision.weight"]), None);
        assert_eq!(
            plain(&["model.embed_tokens.weight", "_orig_mod.model.embed_tokens.weight"]),
            None
        );
    }
}
