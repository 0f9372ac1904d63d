//! The published benchmarks that have names, and where their files lie on the Hugging Face hub.

use crate::error::{Error, Result, nearest};
use crate::experiment::HubDataset;
use crate::verify::AnswerFormat;

/// A published benchmark.
#[derive(Debug)]
pub(crate) struct NamedDataset {
    pub(crate) name: &'static str,
    pub(crate) format: AnswerFormat,
    repo: &'static str,
    files: &'static [&'static str],
    revision: &'static str,
}

impl NamedDataset {
    /// Where it lies, at `revision` or at the newest one.
    pub(crate) fn source(&self, revision: Option<&str>) -> HubDataset {
        HubDataset {
            repo: self.repo.to_string(),
            files: self.files.iter().map(ToString::to_string).collect(),
            revision: revision.unwrap_or(self.revision).to_string(),
        }
    }
}

const fn benchmark(
    name: &'static str,
    format: AnswerFormat,
    repo: &'static str,
    files: &'static [&'static str],
    revision: &'static str,
) -> NamedDataset {
    NamedDataset { name, format, repo, files, revision }
}

/// The hub's own conversion of a data set, whose files have the same names everywhere.
const CONVERTED: &str = "refs/convert/parquet";

/// All of them. The test splits, except where a benchmark has one split only.
pub(crate) const NAMED: [NamedDataset; 7] = [
    benchmark("MATH500", AnswerFormat::Math, "HuggingFaceH4/MATH-500", &["test.jsonl"], "main"),
    benchmark(
        "AMC",
        AnswerFormat::Math,
        "math-ai/amc23",
        &["default/test/0000.parquet"],
        CONVERTED,
    ),
    benchmark(
        "AIME24",
        AnswerFormat::Math,
        "HuggingFaceH4/aime_2024",
        &["default/train/0000.parquet"],
        CONVERTED,
    ),
    benchmark(
        "AIME25",
        AnswerFormat::Math,
        "opencompass/AIME2025",
        &["aime2025-I.jsonl", "aime2025-II.jsonl"],
        "main",
    ),
    benchmark("GPQA", AnswerFormat::Choice, "Idavidrein/gpqa", &["gpqa_diamond.csv"], "main"),
    benchmark(
        "MMLU-Pro",
        AnswerFormat::Choice,
        "TIGER-Lab/MMLU-Pro",
        &["default/test/0000.parquet"],
        CONVERTED,
    ),
    benchmark("GSM8K", AnswerFormat::Math, "openai/gsm8k", &["main/test/0000.parquet"], CONVERTED),
];

/// The benchmark of that name, in upper or lower case.
pub(crate) fn named(name: &str) -> Result<&'static NamedDataset> {
    NAMED.iter().find(|suite| suite.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names: Vec<&str> = NAMED.iter().map(|suite| suite.name).collect();
        let near = nearest(name, names.iter().copied())
            .map_or("; named".to_string(), |near| format!("; did you mean `{near}`? Named"));
        Error::input(format!(
            "there is no suite of the name `{name}`{near} suites: {}",
            names.join(", ")
        ))
    })
}
