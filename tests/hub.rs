//! Models and encoders from the Hugging Face hub, served by a small hub on this machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::Workplace;
use orthant::experiment::{
    self, DataSource, EncoderSource, HubRepository, MethodConfig, ModelSource, SuiteConfig, TaskConfig, from_text,
};
use orthant::prelude::Experiment;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves folders as the hub does: `/owner/name/resolve/revision/file` with `ETag`, `X-Repo-Commit` and ranges.
struct Server {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    /// Whether the connection breaks in the middle of weights and of data.
    breaks: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `repositories`: name and folder. With `token`, only requests that carry it are served.
    fn start(repositories: Vec<(&'static str, PathBuf)>, token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, over) = (requests.clone(), is_over.clone());
        let breaks = Arc::new(AtomicBool::new(false));
        let breaks_now = breaks.clone();
        let serve = move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                answer(stream.unwrap(), &repositories, token, &seen, breaks_now.load(Ordering::SeqCst));
            }
        };
        let thread = std::thread::Builder::new().name("hub".to_string()).spawn(serve).unwrap();
        Self { endpoint: format!("http://{address}"), requests, is_over, breaks, thread: Some(thread) }
    }

    /// The files that were asked for, each once.
    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> =
            self.requests.lock().unwrap().iter().map(|path| path.rsplit('/').next().unwrap().to_string()).collect();
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

fn answer(
    mut stream: TcpStream,
    repositories: &[(&str, PathBuf)],
    token: Option<&str>,
    requests: &Mutex<Vec<String>>,
    breaks: bool,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
    let Some(request) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
    let header = |name: &str| headers.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let path = request.split(' ').nth(1).unwrap().to_string();
    requests.lock().unwrap().push(path.clone());
    let may = token.is_none_or(|token| header("authorization") == Some(&format!("bearer {token}")));
    let content = repositories.iter().find_map(|(name, folder)| {
        let (revision, file) = path.strip_prefix(&format!("/{name}/resolve/"))?.split_once('/')?;
        if ["main", "refs%2Fconvert%2Fparquet", COMMIT].contains(&revision) {
            std::fs::read(folder.join(file)).ok()
        } else {
            None
        }
    });
    let mut send = |status: &str, more: &str, body: &[u8]| {
        let length = body.len();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n").unwrap();
        let sent = if breaks && [".safetensors", ".parquet"].iter().any(|end| path.ends_with(end)) && length > 1000 {
            length / 2
        } else {
            length
        };
        stream.write_all(&body[..sent]).unwrap();
    };
    match content {
        _ if !may => send("401 Unauthorized", "", b""),
        None => send("404 Not Found", "", b""),
        Some(content) => {
            let (first, last) = header("range").unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            let first: usize = first.parse().unwrap();
            let last: usize = last.parse().unwrap_or(content.len() - 1);
            let etag = path.replace('/', "-");
            let range = format!("bytes {first}-{last}/{}", content.len());
            let more = format!("ETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: {range}\r\n");
            send("206 Partial Content", &more, &content[first..=last]);
        }
    }
}

/// Runs an experiment with the hub at `endpoint`; returns the exit status, the error text and the run folder.
fn run(place: &Workplace, experiment: &Experiment, endpoint: &str, token: &str) -> (i32, String, Option<PathBuf>) {
    let file = place.path().join("experiment.ron");
    std::fs::write(&file, experiment::to_text(experiment).unwrap()).unwrap();
    std::fs::remove_dir_all(place.runs()).ok();
    let output = Command::new(env!("CARGO_BIN_EXE_orthant"))
        .args(["run", "--headless", "experiment.ron"])
        .current_dir(place.path())
        .env("HF_HOME", place.path().join("cache"))
        .env("HF_ENDPOINT", endpoint)
        .env("HF_TOKEN", token)
        .envs([("http_proxy", ""), ("HTTP_PROXY", ""), ("ALL_PROXY", ""), ("all_proxy", "")])
        .output()
        .unwrap();
    let folder = std::fs::read_dir(place.runs()).into_iter().flatten().flatten().map(|entry| entry.path()).next();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap(), folder)
}

fn repository(repo: &str, revision: &str) -> HubRepository {
    HubRepository { repo: repo.to_string(), revision: revision.to_string() }
}

fn experiment(place: &Workplace) -> Experiment {
    let mut experiment = place.experiment(1, "method: EvolRl()");
    experiment.model = ModelSource::Hub(repository("tiny/qwen", "main"));
    let MethodConfig::EvolRl(evol_rl) = &mut experiment.method else { panic!("the method is EVOL-RL") };
    evol_rl.encoder = EncoderSource::Hub(repository("tiny/bert", "main"));
    experiment
}

fn bert_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bert_tiny")
}

#[test]
fn model_and_encoder_are_downloaded_once_and_the_run_names_their_commits() {
    let place = Workplace::new();
    let server = Server::start(vec![("tiny/qwen", place.model()), ("tiny/bert", bert_folder())], Some("secret"));
    let endpoint = server.endpoint.clone();
    let (status, stderr, folder) = run(&place, &experiment(&place), &endpoint, "secret");
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(server.files(), ["config.json", "model.safetensors", "tokenizer.json"]);
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
    let tensors = candle_core::safetensors::load(place.model().join("model.safetensors"), &candle_core::Device::Cpu);
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
    let server = Server::start(vec![("tiny/qwen", place.model()), ("tiny/bert", place.runs())], Some("secret"));
    let model = |repo: &str, revision: &str| {
        let mut experiment = place.experiment(1, "");
        experiment.model = ModelSource::Hub(repository(repo, revision));
        experiment
    };
    let closed = "http://127.0.0.1:1";
    for (experiment, endpoint, token, words) in [
        (model("tiny/qwen", "main"), closed, "secret", ["cannot download config.json of tiny/qwen", "HF_ENDPOINT"]),
        (model("tiny/qwen", "main"), server.endpoint.as_str(), "wrong", ["config.json of tiny/qwen", "HF_TOKEN"]),
        (
            model("tiny/none", "main"),
            server.endpoint.as_str(),
            "secret",
            ["no file config.json in tiny/none", "revision"],
        ),
        (model("tiny/qwen", "v9"), server.endpoint.as_str(), "secret", ["no file config.json in tiny/qwen", "v9"]),
        (experiment(&place), server.endpoint.as_str(), "secret", ["no file config.json in tiny/bert", "main"]),
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
    server.breaks.store(true, Ordering::SeqCst);
    let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "");
    assert_eq!((status, folder), (2, None), "{stderr}");
    assert!(stderr.contains("cannot download model.safetensors of tiny/qwen"), "{stderr}");
    server.breaks.store(false, Ordering::SeqCst);
    let (status, stderr, folder) = run(&place, &experiment, &server.endpoint, "");
    assert_eq!(status, 0, "{stderr}");
    // The half that came first has not been taken for the whole: the run began with the folder's own weights.
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
    std::fs::write(benchmark.join("test.jsonl"), r#"{"problem": "What is 5?", "answer": "5", "unique_id": "t/5"}"#)
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
        "Dataset(source: Hub(repo: \"tiny/math\", files: [\"algebra/train/0000.parquet\", \"more.csv\"]), template: \"plain\")",
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
    assert_eq!((&evaluations[0]["suite"], &evaluations[1]["suite"]), (&"MATH500".into(), &"GSM8K".into()));
    // The hub's own conversions lie at a revision with slashes.
    let requests = server.requests.lock().unwrap().clone();
    let path = "/datasets/openai/gsm8k/resolve/refs%2Fconvert%2Fparquet/main/test/0000.parquet";
    assert!(requests.iter().any(|request| request == path), "{requests:?}");

    drop(server);
    let (status, stderr, _) = run(&place, &resolved, &endpoint, "");
    assert_eq!(status, 0, "{stderr}");
    experiment.task = from_text("Dataset(source: Hub(repo: \"tiny/math\", files: [\"other.csv\"]))", "test").unwrap();
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
        experiment.task = from_text(&format!("Dataset(source: Hub({source}), template: \"plain\")"), "test").unwrap();
        experiment
    };
    let whole = "repo: \"tiny/math\", files: [\"train.parquet\"]";
    for (source, words) in [
        ("repo: \"tiny/math\", files: [\"test.parquet\"]", ["no file test.parquet in tiny/math", "main"]),
        ("repo: \"tiny/other\", files: [\"train.parquet\"]", ["no file train.parquet in tiny/other", "main"]),
        (&format!("{whole}, revision: \"v9\""), ["no file train.parquet in tiny/math", "v9"]),
    ] {
        let (status, stderr, folder) = run(&place, &experiment(source), &server.endpoint, "");
        assert_eq!((status, folder), (2, None), "{stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
    }
    server.breaks.store(true, Ordering::SeqCst);
    let (status, stderr, folder) = run(&place, &experiment(whole), &server.endpoint, "");
    assert_eq!((status, folder), (2, None), "{stderr}");
    assert!(stderr.contains("cannot download train.parquet of tiny/math"), "{stderr}");
    server.breaks.store(false, Ordering::SeqCst);
    let (status, stderr, _) = run(&place, &experiment(whole), &server.endpoint, "");
    assert_eq!(status, 0, "{stderr}");
}
