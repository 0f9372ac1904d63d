//! Models and encoders from the Hugging Face hub, served by a small hub on this machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod common;

use candle_core::{DType, Device, Tensor};
use common::Workplace;
use orthant::experiment::{
    self, DataSource, EncoderSource, HubRepository, ModelSource, SuiteConfig, TaskConfig, from_text,
};
use orthant::methods::EvolRl;
use orthant::prelude::Experiment;
use sha2::Digest;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What is wrong with a hub, or with the way to it.
#[derive(Clone, Default)]
struct Faults {
    /// Large files break off in the middle.
    breaks: bool,
    /// A file with another bit.
    flips: Option<&'static str>,
    /// A file of which only the first half is there, as if that were all.
    halves: Option<&'static str>,
    /// A file that never ends.
    endless: Option<&'static str>,
    /// A file whose content stops to come, and whose connection stays.
    stalls: Option<&'static str>,
    /// Large files are called by something that is no hash of theirs.
    unhashed: bool,
    /// What all contents are called.
    etag: Option<&'static str>,
    /// The commit that everything is of.
    commit: Option<&'static str>,
    /// Where large files are, in place of the hub's own host.
    elsewhere: Option<String>,
}

/// A request: its path, who asks, and from which byte on.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    path: String,
    authorization: Option<String>,
    start: usize,
}

/// Serves folders as the hub does: `/owner/name/resolve/revision/file`. Large files are elsewhere,
/// under `/cdn/`.
struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<Request>>>,
    faults: Arc<Mutex<Faults>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `repositories`: name and folder. With `token`, only requests that carry it are served.
    fn start(repositories: Vec<(&'static str, PathBuf)>, token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, is_over) =
            (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let faults = Arc::new(Mutex::new(Faults::default()));
        let (seen, wrong, over) = (requests.clone(), faults.clone(), is_over.clone());
        let repositories = Arc::new(repositories);
        let serve = move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (repositories, seen, faults) =
                    (repositories.clone(), seen.clone(), wrong.lock().unwrap().clone());
                let answer = move || {
                    answer(&stream.unwrap(), &repositories, token, &seen, &faults)
                        .unwrap_or_default();
                };
                std::thread::Builder::new().name("answer".to_string()).spawn(answer).unwrap();
            }
        };
        let thread = std::thread::Builder::new().name("hub".to_string()).spawn(serve).unwrap();
        Self {
            endpoint: format!("http://{address}"),
            requests,
            faults,
            is_over,
            thread: Some(thread),
        }
    }

    fn fault(&self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.faults.lock().unwrap();
        *faults = Faults::default();
        change(&mut faults);
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The files that were asked for, each once.
    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> = self
            .requests()
            .iter()
            .map(|request| request.path.rsplit('/').next().unwrap().to_string())
            .collect();
        files.sort();
        files.dedup();
        files
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        TcpStream::connect(self.endpoint.trim_start_matches("http://")).ok();
        self.thread.take().unwrap().join().ok();
    }
}

fn hexadecimal(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// What the hub calls a content: the SHA-256 of a large file, and git's SHA-1 of a small one.
fn etag(content: &[u8], is_large: bool) -> String {
    if is_large {
        hexadecimal(sha2::Sha256::digest(content))
    } else {
        let hasher = sha1::Sha1::new().chain_update(format!("blob {}\0", content.len()));
        hexadecimal(hasher.chain_update(content).finalize())
    }
}

fn answer(
    mut stream: &TcpStream,
    repositories: &[(&str, PathBuf)],
    token: Option<&str>,
    requests: &Mutex<Vec<Request>>,
    faults: &Faults,
) -> std::io::Result<()> {
    let lines = BufReader::new(stream.try_clone()?).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else { return Ok(()) };
    let header = |name: &str| {
        let mut fields = lines.iter().filter_map(|line| line.split_once(": "));
        fields
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_string())
    };
    let range =
        header("range").map(|range| range["bytes=".len()..].trim_end_matches('-').parse().unwrap());
    let start: usize = range.unwrap_or(0);
    requests.lock().unwrap().push(Request {
        path: path.to_string(),
        authorization: header("authorization"),
        start,
    });
    let may = token.is_none_or(|token| header("authorization") == Some(format!("Bearer {token}")));
    let is_elsewhere = path.starts_with("/cdn/");
    let content = repositories.iter().find_map(|(name, folder)| {
        let rest = path.trim_start_matches("/cdn").strip_prefix(&format!("/{name}/resolve/"))?;
        let (revision, file) = rest.split_once('/')?;
        let is_known = ["main", "refs%2Fconvert%2Fparquet", COMMIT].contains(&revision);
        if is_known { std::fs::read(folder.join(file)).ok() } else { None }
    });
    let is = |file: Option<&str>| file.is_some_and(|file| path.ends_with(file));
    let Some(mut content) = content.filter(|_| may || is_elsewhere) else {
        let status = if may { "404 Not Found" } else { "401 Unauthorized" };
        return write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let is_large = [".safetensors", ".parquet", ".csv"].iter().any(|end| path.ends_with(end));
    let parts = if faults.unhashed && is_large { "-2" } else { "" };
    let etag = faults.etag.map_or_else(|| etag(&content, is_large) + parts, str::to_string);
    let commit =
        format!("X-Repo-Commit: {}\r\nConnection: close\r\n", faults.commit.unwrap_or(COMMIT));
    if is_large && !is_elsewhere {
        let host = faults.elsewhere.clone().unwrap_or_default();
        let size = content.len();
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n{commit}X-Linked-Etag: \
             \"{etag}\"\r\nX-Linked-Size: {size}\r\nLocation: {host}/cdn{path}\r\n\r\n"
        );
    }
    let said = if is_large {
        "Connection: close\r\n".to_string()
    } else {
        format!("{commit}ETag: W/\"{etag}\"\r\n")
    };
    if is(faults.flips) {
        let middle = content.len() / 2;
        content[middle] ^= 4;
    }
    if is(faults.halves) {
        content.truncate(content.len() / 2);
    }
    let length = content.len() - start;
    if is(faults.endless) {
        write!(stream, "HTTP/1.1 200 OK\r\n{said}\r\n")?;
        loop {
            stream.write_all(&content)?;
        }
    }
    let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
    let range = format!("Content-Range: bytes {start}-{}/{}\r\n", content.len() - 1, content.len());
    let range = if start > 0 { range.as_str() } else { "" };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{range}{said}\r\n")?;
    let sent = if (faults.breaks && is_large) || is(faults.stalls) { length / 2 } else { length };
    stream.write_all(&content[start..start + sent])?;
    if is(faults.stalls) {
        std::thread::sleep(Duration::from_secs(20));
    }
    Ok(())
}

/// Runs an experiment with the hub at `endpoint`; returns the exit status, the error text and the
/// run folder.
fn run(
    place: &Workplace,
    experiment: &Experiment,
    endpoint: &str,
    token: &str,
) -> (i32, String, Option<PathBuf>) {
    let file = place.path().join("experiment.ron");
    std::fs::write(&file, experiment::to_text(experiment).unwrap()).unwrap();
    std::fs::remove_dir_all(place.runs()).ok();
    let output = Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(["run", "--headless", "experiment.ron"])
        .current_dir(place.path())
        .env("HF_HOME", place.path().join("cache"))
        .env("HF_ENDPOINT", endpoint)
        .env("HF_TOKEN", token)
        .env("HF_HUB_DOWNLOAD_TIMEOUT", "0.5")
        .envs([("http_proxy", ""), ("HTTP_PROXY", ""), ("ALL_PROXY", ""), ("all_proxy", "")])
        .output()
        .unwrap();
    let folder = std::fs::read_dir(place.runs())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .next();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap(), folder)
}

fn repository(repo: &str, revision: &str) -> HubRepository {
    HubRepository { repo: repo.to_string(), revision: revision.to_string() }
}

fn experiment(place: &Workplace) -> Experiment {
    let mut experiment = place.experiment(1, "method: EvolRl()");
    experiment.model = ModelSource::Hub(repository("tiny/qwen", "main"));
    let evol_rl: &mut EvolRl = experiment.method.get_mut().expect("the method is EVOL-RL");
    evol_rl.encoder = EncoderSource::Hub(repository("tiny/bert", "main"));
    experiment
}

fn bert_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert_tiny")
}

#[test]
fn model_and_encoder_are_downloaded_once_and_the_run_names_their_commits() {
    let place = Workplace::new();
    let server = Server::start(
        vec![("tiny/qwen", place.model()), ("tiny/bert", bert_folder())],
        Some("secret"),
    );
    let endpoint = server.endpoint.clone();
    let (status, stderr, folder) = run(&place, &experiment(&place), &endpoint, "secret");
    assert_eq!(status, 0, "{stderr}");
    let files = server.files();
    for file in [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ] {
        assert!(files.iter().any(|asked| asked == file), "{file} is not in {files:?}");
    }
    for file in ["modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"] {
        assert!(
            files.iter().any(|asked| asked == file),
            "{file} of the encoder is not in {files:?}"
        );
    }
    let resolved: Experiment = experiment::read(&folder.unwrap().join("experiment.ron")).unwrap();
    assert_eq!(resolved.model, ModelSource::Hub(repository("tiny/qwen", COMMIT)));
    assert_eq!(resolved.encoder(), Some(&EncoderSource::Hub(repository("tiny/bert", COMMIT))));

    drop(server);
    for again in [experiment(&place), resolved] {
        let (status, stderr, _) = run(&place, &again, &endpoint, "");
        assert_eq!(status, 0, "{stderr}");
    }
}

#[test]
fn a_model_in_shards_is_downloaded_with_all_of_them() {
    let place = Workplace::new();
    let sharded = place.path().join("sharded");
    std::fs::create_dir(&sharded).unwrap();
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(place.model().join(file), sharded.join(file)).unwrap();
    }
    let tensors = candle_core::safetensors::load(
        place.model().join("model.safetensors"),
        &candle_core::Device::Cpu,
    );
    let tensors: BTreeMap<_, _> = tensors.unwrap().into_iter().collect();
    let mut map = serde_json::Map::new();
    let mut shards = [HashMap::new(), HashMap::new()];
    for (name, tensor) in tensors {
        let shard = usize::from(name.contains("mlp"));
        map.insert(name.clone(), format!("model-0000{}-of-00002.safetensors", shard + 1).into());
        shards[shard].insert(name, tensor);
    }
    for (index, shard) in shards.iter().enumerate() {
        let file = sharded.join(format!("model-0000{}-of-00002.safetensors", index + 1));
        candle_core::safetensors::save(shard, file).unwrap();
    }
    let index = serde_json::json!({ "weight_map": map }).to_string();
    std::fs::write(sharded.join("model.safetensors.index.json"), index).unwrap();
    let server = Server::start(vec![("tiny/qwen", sharded)], None);
    let mut experiment = place.experiment(1, "");
    experiment.model = ModelSource::Hub(repository("tiny/qwen", "main"));
    let endpoint = server.endpoint.clone();
    let (status, stderr, _) = run(&place, &experiment, &endpoint, "");
    assert_eq!(status, 0, "{stderr}");
    drop(server);
    let (status, stderr, _) = run(&place, &experiment, &endpoint, "");
    assert_eq!(status, 0, "{stderr}");
}

#[test]
fn what_the_hub_does_not_have_or_give_and_a_hub_out_of_reach_are_bad_input() {
    let place = Workplace::new();
    let server = Server::start(
        vec![("tiny/qwen", place.model()), ("tiny/bert", place.runs())],
        Some("secret"),
    );
    let model = |repo: &str, revision: &str| {
        let mut experiment = place.experiment(1, "");
        experiment.model = ModelSource::Hub(repository(repo, revision));
        experiment
    };
    let closed = "http://127.0.0.1:1";
    for (experiment, endpoint, token, words) in [
        (
            model("tiny/qwen", "main"),
            closed,
            "secret",
            ["cannot download config.json of tiny/qwen", "HF_ENDPOINT"],
        ),
        (
            model("tiny/qwen", "main"),
            server.endpoint.as_str(),
            "wrong",
            ["config.json of tiny/qwen", "HF_TOKEN"],
        ),
        (
            model("tiny/none", "main"),
            server.endpoint.as_str(),
            "secret",
            ["no file config.json in tiny/none", "revision"],
        ),
        (
            model("tiny/qwen", "v9"),
            server.endpoint.as_str(),
            "secret",
            ["no file config.json in tiny/qwen", "v9"],
        ),
        (
            experiment(&place),
            server.endpoint.as_str(),
            "secret",
            ["no file config.json in tiny/bert", "main"],
        ),
    ] {
        let (status, stderr, folder) = run(&place, &experiment, endpoint, token);
        assert_eq!((status, folder), (2, None), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
        assert!(stderr.contains(endpoint), "{stderr}");
    }
}

#[test]
fn a_download_that_breaks_off_is_told_and_done_again() {
    let place = Workplace::new();
    let server = Server::start(vec![("tiny/qwen", place.model())], None);
    let mut experiment = place.experiment(1, "");
    experiment.model = ModelSource::Hub(repository("tiny/qwen", "main"));
    server.fault(|faults| faults.breaks = true);
    let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "");
    assert_eq!((status, folder), (2, None), "{stderr}");
    assert!(stderr.contains("cannot download model.safetensors of tiny/qwen"), "{stderr}");
    server.fault(|_| ());
    let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "");
    assert_eq!(status, 0, "{stderr}");
    // The half that came first has not been taken for the whole: the run began with the folder's
    // own weights.
    let hash = |folder: &Path| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["model_hash"].clone()
    };
    let downloaded = hash(&folder.unwrap());
    experiment.model = ModelSource::Local(place.model());
    let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "");
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(downloaded, hash(&folder.unwrap()));
}

#[test]
fn data_sets_are_downloaded_once_and_the_run_names_their_commit() {
    let place = Workplace::new();
    let (data, benchmark) = (place.path().join("data"), place.path().join("benchmark"));
    std::fs::create_dir_all(data.join("algebra/train")).unwrap();
    std::fs::create_dir(&benchmark).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny.parquet");
    std::fs::copy(&fixture, data.join("algebra/train/0000.parquet")).unwrap();
    let converted = place.path().join("converted");
    std::fs::create_dir_all(converted.join("main/test")).unwrap();
    std::fs::copy(fixture, converted.join("main/test/0000.parquet")).unwrap();
    std::fs::write(data.join("more.csv"), "problem,answer\nWhat is 6?,6\nWhat is 7?,7\n").unwrap();
    std::fs::write(
        benchmark.join("test.jsonl"),
        r#"{"problem": "What is 5?", "answer": "5", "unique_id": "t/5"}"#,
    )
    .unwrap();
    let server = Server::start(
        vec![
            ("datasets/tiny/math", data),
            ("datasets/HuggingFaceH4/MATH-500", benchmark),
            ("datasets/openai/gsm8k", converted),
        ],
        Some("secret"),
    );
    let endpoint = server.endpoint.clone();
    let mut experiment = place.experiment(
        1,
        "evaluations: [(suite: Named(name: \"math500\"), samples: 2, k: [1]),
            (suite: Named(name: \"GSM8K\", template: \"plain\"), samples: 2, k: [1])]",
    );
    experiment.task = from_text(
        "Dataset(source: Hub(repo: \"tiny/math\", files: [\"algebra/train/0000.parquet\", \
         \"more.csv\"]), template: \"plain\")",
        "test",
    )
    .unwrap();
    let (status, stderr, folder) = run(&place, &experiment, &endpoint, "secret");
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(server.files(), ["0000.parquet", "more.csv", "test.jsonl"]);
    let folder = folder.unwrap();
    let resolved: Experiment = experiment::read(&folder.join("experiment.ron")).unwrap();
    let TaskConfig::Dataset(dataset) = &resolved.task else { panic!("the task is a data set") };
    let DataSource::Hub(source) = &dataset.source else { panic!("the data set is on the hub") };
    assert_eq!(source.revision, COMMIT);
    for evaluation in &resolved.evaluations {
        let SuiteConfig::Named(suite) = &evaluation.suite else { panic!("the suite has a name") };
        assert_eq!(suite.revision.as_deref(), Some(COMMIT));
    }
    let evaluations = common::lines(&folder.join("evals.jsonl"));
    assert_eq!(
        (&evaluations[0]["suite"], &evaluations[1]["suite"]),
        (&"MATH500".into(), &"GSM8K".into())
    );
    // The hub's own conversions lie at a revision with slashes.
    let requests = server.requests();
    let path = "/datasets/openai/gsm8k/resolve/refs%2Fconvert%2Fparquet/main/test/0000.parquet";
    assert!(requests.iter().any(|request| request.path == path), "{requests:?}");

    drop(server);
    let (status, stderr, _) = run(&place, &resolved, &endpoint, "");
    assert_eq!(status, 0, "{stderr}");
    experiment.task =
        from_text("Dataset(source: Hub(repo: \"tiny/math\", files: [\"other.csv\"]))", "test")
            .unwrap();
    let (status, stderr, _) = run(&place, &experiment, &endpoint, "");
    assert!(status == 2 && stderr.contains("cannot download other.csv of tiny/math"), "{stderr}");
}

#[test]
fn data_that_the_hub_does_not_have_and_downloads_that_break_off_are_bad_input() {
    let place = Workplace::new();
    let data = place.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/math_tiny.parquet");
    std::fs::copy(fixture, data.join("train.parquet")).unwrap();
    let server = Server::start(vec![("datasets/tiny/math", data)], None);
    let experiment = |source: &str| {
        let mut experiment = place.experiment(1, "");
        experiment.task =
            from_text(&format!("Dataset(source: Hub({source}), template: \"plain\")"), "test")
                .unwrap();
        experiment
    };
    let whole = "repo: \"tiny/math\", files: [\"train.parquet\"]";
    for (source, words) in [
        (
            "repo: \"tiny/math\", files: [\"test.parquet\"]",
            ["no file test.parquet in tiny/math", "main"],
        ),
        (
            "repo: \"tiny/other\", files: [\"train.parquet\"]",
            ["no file train.parquet in tiny/other", "main"],
        ),
        (&format!("{whole}, revision: \"v9\""), ["no file train.parquet in tiny/math", "v9"]),
    ] {
        let (status, stderr, folder) = run(&place, &experiment(source), &server.endpoint, "");
        assert_eq!((status, folder), (2, None), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
    }
    server.fault(|faults| faults.breaks = true);
    let (status, stderr, folder) = run(&place, &experiment(whole), &server.endpoint, "");
    assert_eq!((status, folder), (2, None), "{stderr}");
    assert!(stderr.contains("cannot download train.parquet of tiny/math"), "{stderr}");
    server.fault(|_| ());
    let (status, stderr, _) = run(&place, &experiment(whole), &server.endpoint, "");
    assert_eq!(status, 0, "{stderr}");
}

/// A model on a hub, and what its first start without faults leaves in the cache.
fn hub_model(place: &Workplace) -> (Server, Experiment) {
    let server = Server::start(vec![("tiny/qwen", place.model())], Some("secret"));
    let mut experiment = place.experiment(1, "");
    experiment.model = ModelSource::Hub(repository("tiny/qwen", "main"));
    (server, experiment)
}

fn blobs(place: &Workplace) -> PathBuf {
    place.path().join("cache/hub/models--tiny--qwen/blobs")
}

/// The content of the weights and the name that it has in the cache.
fn weights(place: &Workplace) -> (Vec<u8>, PathBuf) {
    let content = std::fs::read(place.model().join("model.safetensors")).unwrap();
    let blob = blobs(place).join(etag(&content, true));
    (content, blob)
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    let other = Server::start(vec![("tiny/qwen", place.model())], None);
    server.fault(|faults| faults.elsewhere = Some(other.endpoint.clone()));
    let (status, stderr, _) = run(&place, &experiment, &server.endpoint, "secret");
    assert_eq!(status, 0, "{stderr}");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.authorization.as_deref() == Some("Bearer secret"))
    );
    let elsewhere = other.requests();
    assert!(
        !elsewhere.is_empty() && elsewhere.iter().all(|request| request.authorization.is_none()),
        "{elsewhere:?}"
    );
}

#[test]
fn what_is_not_what_was_announced_is_not_kept() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    let (_, blob) = weights(&place);
    for (file, change) in [
        (
            "model.safetensors",
            (|faults| faults.flips = Some("model.safetensors")) as fn(&mut Faults),
        ),
        ("model.safetensors", |faults| faults.halves = Some("model.safetensors")),
        ("model.safetensors", |faults| faults.endless = Some("model.safetensors")),
        ("tokenizer.json", |faults| faults.flips = Some("tokenizer.json")),
        ("tokenizer.json", |faults| faults.halves = Some("tokenizer.json")),
        ("tokenizer.json", |faults| faults.endless = Some("tokenizer.json")),
    ] {
        std::fs::remove_dir_all(place.path().join("cache")).ok();
        server.fault(change);
        let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "secret");
        assert_eq!((status, folder), (2, None), "{file}: {stderr}");
        assert!(stderr.contains(&format!("cannot download {file} of tiny/qwen")), "{stderr}");
        assert!(!blob.exists());
        server.fault(|_| ());
        let (status, stderr, _) = run(&place, &experiment, &server.endpoint, "secret");
        assert_eq!(status, 0, "{file}: {stderr}");
    }
}

#[test]
fn an_earlier_part_of_a_download_is_continued_or_begun_anew() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    let (content, blob) = weights(&place);
    let longer = [content.as_slice(), b"more"].concat();
    for (part, start) in [
        (&content[..1000], 1000),
        (&content, content.len()),
        (&[7; 1000], 1000),
        (&longer, 0),
        (&vec![7; content.len()], content.len()),
    ] {
        std::fs::remove_dir_all(place.path().join("cache")).ok();
        std::fs::create_dir_all(blobs(&place)).unwrap();
        std::fs::write(blob.with_added_extension("incomplete"), part).unwrap();
        let before = server.requests().len();
        let (status, stderr, _) = run(&place, &experiment, &server.endpoint, "secret");
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(std::fs::read(&blob).unwrap(), content);
        let asked: Vec<usize> = server.requests()[before..]
            .iter()
            .filter(|request| request.path.starts_with("/cdn/"))
            .map(|request| request.start)
            .collect();
        let is_right = content.starts_with(part);
        let went_on = asked.contains(&start) || start == content.len();
        assert!(went_on && (is_right || asked.contains(&0)), "{start}: {asked:?}");
    }
}

#[test]
fn an_earlier_part_that_nothing_proves_is_begun_anew() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    let (content, blob) = weights(&place);
    let blob = blob.with_file_name(format!("{}-2", blob.file_name().unwrap().to_str().unwrap()));
    for part in [vec![7; 1000], vec![7; content.len()]] {
        std::fs::remove_dir_all(place.path().join("cache")).ok();
        std::fs::create_dir_all(blobs(&place)).unwrap();
        std::fs::write(blob.with_added_extension("incomplete"), part).unwrap();
        server.fault(|faults| faults.unhashed = true);
        let (status, stderr, _) = run(&place, &experiment, &server.endpoint, "secret");
        assert_eq!(status, 0, "{stderr}");
        assert!(std::fs::read(&blob).unwrap() == content);
    }
}

#[test]
fn a_silent_hub_is_not_waited_for() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    for file in ["config.json", "model.safetensors"] {
        server.fault(|faults| faults.stalls = Some(file));
        let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "secret");
        assert_eq!((status, folder), (2, None), "{stderr}");
        assert!(
            stderr.contains(&format!("cannot download {file}"))
                && stderr.contains("nothing came for 0.5 s"),
            "{stderr}"
        );
    }
    server.fault(|_| ());
    let (status, stderr, _) = run(&place, &experiment, &server.endpoint, "secret");
    assert_eq!(status, 0, "{stderr}");
}

/// All files below a folder with their lengths, but for those of `cache/` and `runs/`.
fn files_outside(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("cache") && !path.ends_with("runs") {
                all.extend(files_outside(&path));
            }
        } else {
            all.insert(path, entry.metadata().unwrap().len());
        }
    }
    all
}

#[test]
fn names_that_a_hub_or_an_experiment_gives_stay_inside_of_the_cache() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    std::fs::create_dir(place.path().join("victim")).unwrap();
    let precious = place.path().join("victim/precious.txt");
    std::fs::write(&precious, "very important").unwrap();
    let absolute: &'static str = precious.to_str().unwrap().to_string().leak();
    std::fs::write(place.path().join("experiment.ron"), experiment::to_text(&experiment).unwrap())
        .unwrap();
    for name in [
        "../../../../victim/precious.txt",
        "../..",
        "..",
        absolute,
        "",
        "abc/def",
        "a\u{7f}bcdef00",
    ] {
        for change in [
            (|faults, name| faults.etag = Some(name)) as fn(&mut Faults, &'static str),
            |faults, name| {
                faults.commit = Some(name);
            },
        ] {
            server.fault(|faults| change(faults, name));
            let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "secret");
            assert_eq!((status, folder), (2, None), "{name:?}: {stderr}");
            assert_eq!(std::fs::read_to_string(&precious).unwrap(), "very important");
        }
    }
    server.fault(|_| ());
    let before = files_outside(place.path());
    for bad in ["../../../../victim/precious.txt", "/etc/passwd", "a/../b", "a\\b", "a\nb"] {
        let asked = server.requests().len();
        for source in [("tiny/qwen", bad), (bad, "main"), ("../../x/y", "main"), ("a/b/c", "main")]
        {
            let mut experiment = experiment.clone();
            experiment.model = ModelSource::Hub(repository(source.0, source.1));
            let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "secret");
            assert_eq!((status, folder), (2, None), "{source:?}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{stderr}");
        }
        assert_eq!(server.requests().len(), asked, "{bad:?}");
    }
    // An adapter's folder names a revision, and a list of shards names files.
    let adapter = place.path().join("adapter");
    std::fs::create_dir(&adapter).unwrap();
    let matrix = |shape| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let layer = "base_model.model.model.layers.0.self_attn.q_proj";
    let low_rank = [("A", matrix((1, 32))), ("B", matrix((32, 1)))];
    let tensors = low_rank.map(|(name, values)| (format!("{layer}.lora_{name}.weight"), values));
    candle_core::safetensors::save(
        &HashMap::from(tensors),
        adapter.join("adapter_model.safetensors"),
    )
    .unwrap();
    let settings = serde_json::json!({
        "peft_type": "LORA", "base_model_name_or_path": "tiny/qwen", "revision": "../../../../victim/precious.txt",
        "r": 1, "lora_alpha": 1, "target_modules": ["q_proj"],
    });
    std::fs::write(adapter.join("adapter_config.json"), settings.to_string()).unwrap();
    let mut of_adapter = experiment.clone();
    of_adapter.model = ModelSource::Local(adapter.clone());
    let (status, stderr, _) = run(&place, &of_adapter, &server.endpoint, "secret");
    assert!(status == 2 && stderr.contains("is not a revision of tiny/qwen"), "{stderr}");
    std::fs::remove_dir_all(&adapter).unwrap();
    std::fs::rename(place.model().join("model.safetensors"), place.path().join("weights")).unwrap();
    for shard in ["../../../victim/precious.txt", "/etc/passwd", "a?b"] {
        std::fs::remove_dir_all(place.path().join("cache")).ok();
        let index = serde_json::json!({ "weight_map": { "model.norm.weight": shard } }).to_string();
        std::fs::write(place.model().join("model.safetensors.index.json"), index).unwrap();
        let (status, stderr, _) = run(&place, &experiment, &server.endpoint, "secret");
        assert!(status == 2 && stderr.contains(&format!("{shard:?}")), "{stderr}");
    }
    std::fs::remove_file(place.model().join("model.safetensors.index.json")).unwrap();
    std::fs::rename(place.path().join("weights"), place.model().join("model.safetensors")).unwrap();
    let mut after = files_outside(place.path());
    let file = place.path().join("experiment.ron");
    after.insert(file.clone(), before[&file]);
    assert_eq!(after, before);
}

#[test]
fn a_damaged_file_of_the_cache_is_downloaded_anew_or_named() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    let endpoint = server.endpoint.clone();
    let (status, stderr, _) = run(&place, &experiment, &endpoint, "secret");
    assert_eq!(status, 0, "{stderr}");
    let (content, blob) = weights(&place);
    let mut flipped = content.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&content[..content.len() / 2], &flipped] {
        std::fs::write(&blob, damaged).unwrap();
        let (status, stderr, _) = run(&place, &experiment, &endpoint, "secret");
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(std::fs::read(&blob).unwrap(), content);
    }
    drop(server);
    std::fs::write(&blob, flipped).unwrap();
    let (status, stderr, folder) = run(&place, &experiment, &endpoint, "secret");
    assert_eq!((status, folder), (2, None), "{stderr}");
    let name = blob.canonicalize().unwrap().display().to_string();
    assert!(stderr.contains("damaged") && stderr.contains(&format!("delete {name}")), "{stderr}");
}

#[test]
fn the_password_and_the_token_are_not_shown() {
    let place = Workplace::new();
    let (server, experiment) = hub_model(&place);
    let host = server.endpoint.trim_start_matches("http://");
    for (endpoint, shown) in [
        (format!("http://somebody:pass%40word@{host}"), server.endpoint.as_str()),
        ("http://somebody:pass%40word@127.0.0.1:9".to_string(), "http://127.0.0.1:9"),
        ("http://somebody:pass%40word@host name".to_string(), "HF_ENDPOINT"),
        ("ftp://somebody:pass%40word@127.0.0.1".to_string(), "HF_ENDPOINT"),
        ("somebody:pass%40word@127.0.0.1".to_string(), "HF_ENDPOINT"),
        ("file:///etc".to_string(), "HF_ENDPOINT"),
    ] {
        let (status, stderr, _) = run(&place, &experiment, &endpoint, "hf_token");
        assert!(status == 2 && stderr.contains(shown), "{stderr}");
        for secret in ["somebody", "pass%40word", "pass@word", "hf_token"] {
            assert!(!stderr.contains(secret), "{stderr}");
        }
    }
    // To a hub whose address names a user, that user asks.
    let asked = server.requests().first().cloned().unwrap();
    assert!(asked.authorization.unwrap().starts_with("Basic "));
    let (status, stderr, _) = run(&place, &experiment, &server.endpoint, "to ken");
    assert!(status == 2 && stderr.contains("HF_TOKEN") && !stderr.contains("to ken"), "{stderr}");
}
