//! A PEFT folder that has been looked at, but not loaded: `adapter_config.json` and the header of
//! `adapter_model.safetensors`.
//!
//! The tensors say which modules are adapted and with which rank. The settings must say the same,
//! and give the scale. What they say beyond that must be at its default or without effect on an
//! adapter that is trained already; anything else is refused by name.

use super::adapter::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, LoraAdapter, PREFIX, parameters};
use super::adapter_targets::{DEFAULT_TARGETS, Patterns, Targets};
use super::bundled;
use super::decoder::DecoderSpec;
use super::fields::{Fields, in_words};
use crate::error::{Error, Result};
use crate::experiment::{HubRepository, LoraConfig, ModelSource};
use crate::files::folder;
use crate::weights::{TensorFiles, Weights};
use candle_core::{DType, Device};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fields that are read, or that have no effect once an adapter is trained.
const KNOWN: [&str; 23] = [
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// Rank and alpha in PEFT where its settings are silent.
const DEFAULT: usize = 8;

/// Ways to begin an adapter that leave the base model as it is.
const INITIALISATIONS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// A PEFT folder.
pub(super) struct AdapterFiles {
    fields: Fields,
    /// Where they stand.
    settings: PathBuf,
    targets: Targets,
    ranks: Patterns,
    alphas: Patterns,
    tensors: TensorFiles,
    /// By the name of an adapted module: the names of its tensors A and B.
    modules: BTreeMap<String, [Option<String>; 2]>,
}

/// A PEFT folder and the model that it belongs to.
pub(super) struct FittingAdapter {
    files: AdapterFiles,
    base: ModelSource,
    parameters: Vec<(String, Vec<usize>)>,
    scales: BTreeMap<String, f64>,
}

impl AdapterFiles {
    /// Reads the settings and the header of the weights.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(ADAPTER_CONFIG);
        let text = folder::text(folder, ADAPTER_CONFIG)?.ok_or_else(|| {
            Error::input(format!("the adapter has no {ADAPTER_CONFIG} ({})", path.display()))
        })?;
        let located = |error: Error| Error::input(format!("{error} ({})", path.display()));
        let fields = Fields::parse(ADAPTER_CONFIG, &text).map_err(located)?;
        check_settings(&fields).map_err(located)?;
        let targets = Targets::read(&fields).map_err(located)?;
        let ranks = Patterns::read(&fields, "rank_pattern").map_err(located)?;
        let alphas = Patterns::read(&fields, "alpha_pattern").map_err(located)?;
        let weights = folder::member(folder, ADAPTER_WEIGHTS)?.ok_or_else(|| {
            let path = folder.join(ADAPTER_WEIGHTS);
            let remedy = if folder.join("adapter_model.bin").exists() {
                "there is \"adapter_model.bin\", which cannot be read; load it with PEFT and write \
                 it with save_pretrained"
            } else {
                "copy it there"
            };
            Error::input(format!(
                "the adapter has no {ADAPTER_WEIGHTS}; {remedy} ({})",
                path.display()
            ))
        })?;
        let tensors = TensorFiles::open_file(weights)?;
        let mut modules: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
        for name in tensors.names() {
            let (module, matrix) = parse_name(name).ok_or_else(|| {
                let what = "is neither the A nor the B of a LoRA of a linear layer; adapters with \
                            other tensors are not supported";
                Error::input(format!("the tensor `{name}` {what} ({})", tensors.origin(name)))
            })?;
            let place = &mut modules.entry(module).or_default()[matrix];
            if let Some(other) = place.replace(name.to_string()) {
                let what = format!(
                    "the tensors `{other}` and `{name}` are the same matrix of two adapters; keep \
                     one of them"
                );
                return Err(Error::input(format!("{what} ({})", tensors.origin(name))));
            }
        }
        Ok(Self { fields, settings: path, targets, ranks, alphas, tensors, modules })
    }

    /// The model that its settings name.
    pub(super) fn base(&self) -> Result<ModelSource> {
        let name = self.fields.text("base_model_name_or_path")?.unwrap_or_default().to_string();
        if Path::new(&name).is_dir() {
            Ok(ModelSource::Local(PathBuf::from(&name)))
        } else if bundled::names().any(|bundled| bundled == name) {
            Ok(ModelSource::Bundled(name))
        } else if name.split('/').filter(|part| !part.is_empty()).count() == 2
            && !name.starts_with(['/', '.'])
        {
            let revision = self.fields.text("revision")?.unwrap_or("main").to_string();
            Ok(ModelSource::Hub(HubRepository { repo: name, revision }))
        } else {
            let right = "that is not a folder on this machine; write its folder, or its repository \
                         on the hub, there, or give it with --base";
            Err(self.fields.wrong("base_model_name_or_path", right))
        }
    }

    /// Refuses an adapter that does not fit a model of this shape, `base`.
    pub(super) fn fit(self, base: ModelSource, shape: &DecoderSpec) -> Result<FittingAdapter> {
        let (mut parameters, mut scales) = (Vec::new(), BTreeMap::new());
        for (module, dims) in shape.linear_layers() {
            let found = self.modules.get(&module);
            let is_named = self.targets.has(&module).map_err(|error| self.located(&error))?;
            let (rank, scale) = match found {
                Some(_) if !is_named => return Err(self.contradiction(&module)),
                None if !is_named => continue,
                _ => self.rank_and_scale(&module).map_err(|error| self.located(&error))?,
            };
            let shapes = [vec![rank, dims[1]], vec![dims[0], rank]];
            for ((matrix, shape), name) in
                ["A", "B"].into_iter().zip(shapes).zip(found.cloned().unwrap_or_default())
            {
                let parameter = format!("{module}.lora_{matrix}.weight");
                self.tensors
                    .check(&name.unwrap_or_else(|| format!("{PREFIX}{parameter}")), &shape)?;
                parameters.push((parameter, shape));
            }
            scales.insert(module, scale);
        }
        match self.modules.keys().find(|module| !scales.contains_key(*module)) {
            Some(module) => Err(Error::input(format!(
                "the adapter changes `{module}`, which is not a linear layer within the {} layers \
                 of its base model; that is not supported ({})",
                shape.num_hidden_layers,
                self.path()
            ))),
            None if scales.is_empty() => Err(Error::input(format!(
                "the adapter has no tensors, so that it changes nothing ({})",
                self.path()
            ))),
            None => Ok(FittingAdapter { files: self, base, parameters, scales }),
        }
    }

    /// Rank and scale of a module's product by the settings.
    fn rank_and_scale(&self, module: &str) -> Result<(usize, f64)> {
        let rank = match self.ranks.get(module)? {
            None => self.fields.count("r")?.unwrap_or(DEFAULT),
            Some(found) => found
                .value
                .as_u64()
                .and_then(|rank| usize::try_from(rank).ok().filter(|&rank| rank > 0))
                .ok_or_else(|| {
                    found.wrong(module, "a rank must be a whole number of at least 1")
                })?,
        };
        if rank == 0 {
            return Err(self.fields.wrong("r", "the rank of an adapter must be at least 1"));
        }
        let alpha = match self.alphas.get(module)? {
            None => self.fields.number("lora_alpha")?.unwrap_or(DEFAULT as f64),
            Some(found) => found
                .value
                .as_f64()
                .ok_or_else(|| found.wrong(module, "an alpha must be a number"))?,
        };
        let by = rank as f64;
        Ok((
            rank,
            if self.fields.flag("use_rslora")?.unwrap_or(false) {
                alpha / by.sqrt()
            } else {
                alpha / by
            },
        ))
    }

    fn contradiction(&self, module: &str) -> Error {
        let names = ["target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"];
        let mut said: Vec<String> = names
            .iter()
            .filter_map(|name| Some(format!("{name} {}", self.fields.get(name).map(in_words)?)))
            .collect();
        if self.fields.get("target_modules").is_none() {
            said.push(format!(
                "target_modules missing, which stands for {}",
                DEFAULT_TARGETS.join(" and ")
            ));
        }
        let tensor = self.modules[module].iter().flatten().next().cloned().unwrap_or_default();
        Error::input(format!(
            "the tensor `{tensor}` belongs to no module that {ADAPTER_CONFIG} names, with {} ({})",
            said.join(", "),
            self.path()
        ))
    }

    /// What is wrong with the settings, and where they stand.
    fn located(&self, error: &Error) -> Error {
        Error::input(format!("{error} ({})", self.settings.display()))
    }

    fn path(&self) -> String {
        self.tensors.origin("")
    }
}

impl FittingAdapter {
    /// Reads the weights.
    pub(super) fn load(self, dtype: DType, device: &Device) -> Result<LoraAdapter> {
        let Self { files, base, parameters, scales } = self;
        let weights = read(&files, parameters, dtype, device)?;
        Ok(LoraAdapter::of(files.fields.map().clone(), base, scales, weights))
    }

    /// Reads the weights of an adapter with just these parameters.
    pub(super) fn load_as(
        self,
        parameters: Vec<(String, Vec<usize>)>,
        dtype: DType,
        device: &Device,
    ) -> Result<Weights> {
        for (name, shape) in &parameters {
            if !self.parameters.iter().any(|(other, dims)| other == name && dims == shape) {
                return Err(Error::input(format!(
                    "the adapter has no tensor `{name}` {shape:?} ({})",
                    self.files.path()
                )));
            }
        }
        if self.parameters.len() > parameters.len() {
            let what = "the adapter has more tensors than the experiment's adapter asks for; give \
                        it the targets that it has";
            return Err(Error::input(format!("{what} ({})", self.files.path())));
        }
        read(&self.files, parameters, dtype, device)
    }
}

impl LoraAdapter {
    /// The adapter in a checkpoint, with the settings that the experiment gives.
    pub fn read(
        folder: &Path,
        config: &LoraConfig,
        base: ModelSource,
        shape: &DecoderSpec,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let files = AdapterFiles::open(folder)?.fit(base.clone(), shape)?;
        let weights = files.load_as(parameters(config, shape), dtype, device)?;
        Ok(Self::of_config(config, base, weights))
    }
}

fn read(
    files: &AdapterFiles,
    parameters: Vec<(String, Vec<usize>)>,
    dtype: DType,
    device: &Device,
) -> Result<Weights> {
    let place = |parameter: &str| {
        let (module, matrix) = parse_parameter(parameter)?;
        files.modules.get(&module)?[matrix].clone()
    };
    let read = |(parameter, shape): (String, Vec<usize>)| {
        let name = place(&parameter).unwrap_or_else(|| format!("{PREFIX}{parameter}"));
        let variable = files.tensors.read(&name, &shape, dtype, device)?;
        Ok((parameter, variable))
    };
    Ok(Weights::of(parameters.into_iter().map(read).collect::<Result<Vec<_>>>()?))
}

/// Refuses settings that change the model in a way that this program does not have.
fn check_settings(fields: &Fields) -> Result<()> {
    if let Some(kind) = fields.text("peft_type")?.filter(|kind| *kind != "LORA") {
        return Err(fields.wrong(
            "peft_type",
            &format!("adapters of type `{kind}` are not supported, only LORA"),
        ));
    }
    if fields.text("task_type")?.is_some_and(|kind| kind != "CAUSAL_LM") {
        return Err(fields.wrong("task_type", "only CAUSAL_LM is supported"));
    }
    if let Some(way) = fields.get("init_lora_weights") {
        let leaves_base =
            way.is_boolean() || way.as_str().is_some_and(|way| INITIALISATIONS.contains(&way));
        if !leaves_base {
            let right = "that changes the base model too; convert the adapter with \
                         path_initial_model_for_weight_conversion of PEFT's save_pretrained, or \
                         merge it";
            return Err(fields.wrong("init_lora_weights", right));
        }
    }
    let defaults: [(&str, Value); 4] = [
        ("bias", json!("none")),
        ("fan_in_fan_out", json!(false)),
        ("use_dora", json!(false)),
        ("lora_bias", json!(false)),
    ];
    fields.only(
        &defaults,
        KNOWN,
        "that is not supported; leave it out, or merge the adapter with PEFT",
    )
}

/// The module that a tensor of a file belongs to, and whether it is its A (0) or B (1). Files that
/// were saved without PEFT's help have the adapter's name in it: `..q_proj.lora_A.default.weight`.
fn parse_name(name: &str) -> Option<(String, usize)> {
    let name = name.replace("_orig_mod.", "");
    let name = name.strip_prefix(PREFIX)?;
    let (module, rest) = name.split_once(".lora_")?;
    let (matrix, rest) = rest.split_once('.')?;
    let is_weight = rest == "weight"
        || rest.strip_suffix(".weight").is_some_and(|adapter| !adapter.contains('.'));
    let matrix = ["A", "B"].iter().position(|known| *known == matrix)?;
    is_weight.then(|| (module.to_string(), matrix))
}

fn parse_parameter(parameter: &str) -> Option<(String, usize)> {
    parse_name(&format!("{PREFIX}{parameter}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_a_pattern_that_cannot_be_is_named_with_its_module_and_file() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora/patterns");
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(fixture.join(ADAPTER_WEIGHTS), folder.path().join(ADAPTER_WEIGHTS)).unwrap();
        let settings = std::fs::read_to_string(fixture.join(ADAPTER_CONFIG)).unwrap();
        let module = "model.layers.0.self_attn.q_proj";
        let refused = |field: &str, value: Value| {
            let mut settings: Value = serde_json::from_str(&settings).unwrap();
            settings[field] = value;
            std::fs::write(folder.path().join(ADAPTER_CONFIG), settings.to_string()).unwrap();
            let files = AdapterFiles::open(folder.path()).unwrap();
            files.located(&files.rank_and_scale(module).unwrap_err()).to_string()
        };
        let place = folder.path().join(ADAPTER_CONFIG).display().to_string();
        for (field, value, words) in [
            (
                "rank_pattern",
                json!(0),
                "rank_pattern.q_proj is 0, for the module `model.layers.0.self_attn.q_proj`; a \
                 rank",
            ),
            ("rank_pattern", json!(-1), "rank_pattern.q_proj is -1, for"),
            ("alpha_pattern", json!("much"), "alpha_pattern.q_proj is \"much\", for"),
        ] {
            let message = refused(field, json!({ "q_proj": value }));
            assert!(message.contains(words) && message.contains(&place), "{message}");
        }
    }
}
