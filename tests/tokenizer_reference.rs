//! Qwen3's tokenizer: what Transformers makes of many texts with the whole of it, and what the
//! program makes of them with the part of it that they need. `fixtures/qwen_tokenizer.py` says how
//! it was made. All ids and all texts are the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use orthant::model::TextTokenizer;
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Expected {
    cases: Vec<Case>,
    cut: Vec<Cut>,
}

/// A text with its ids, the text that these are decoded to, and where in it each token ends.
#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    decoded: String,
    ends: Vec<u32>,
}

/// What becomes of the first so many ids of a text: (ids + 1).
#[derive(Deserialize)]
struct Cut {
    text: String,
    decoded: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen_tokenizer")
}

fn fixture() -> (TextTokenizer, Expected) {
    let expected = std::fs::read(folder().join("expected.json")).unwrap();
    (TextTokenizer::read(&folder()).unwrap(), serde_json::from_slice(&expected).unwrap())
}

#[test]
fn texts_become_the_tokens_that_transformers_makes_of_them() {
    let (tokenizer, expected) = fixture();
    assert!(expected.cases.len() >= 60);
    for case in &expected.cases {
        assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{:?}", case.text);
    }
    // Added tokens are the last ones.
    assert_eq!(tokenizer.token_id("</think>"), Some(151_668));
    assert_eq!(tokenizer.vocabulary(), 151_669);
}

#[test]
fn tokens_become_the_text_that_transformers_makes_of_them() {
    let (tokenizer, expected) = fixture();
    for case in &expected.cases {
        assert_eq!(tokenizer.decode(&case.ids).unwrap(), case.decoded);
        assert_eq!(tokenizer.text_ends(&case.ids).unwrap(), case.ends, "{:?}", case.text);
    }
}

#[test]
fn a_response_that_is_cut_within_a_character_ends_as_in_transformers() {
    let (tokenizer, expected) = fixture();
    let mut cuts_within = 0;
    for cut in &expected.cut {
        let ids = tokenizer.encode(&cut.text).unwrap();
        assert_eq!(ids.len() + 1, cut.decoded.len());
        for (count, decoded) in cut.decoded.iter().enumerate() {
            assert_eq!(&tokenizer.decode(&ids[..count]).unwrap(), decoded);
            // The character that is not whole belongs to the last token too.
            let ends = tokenizer.text_ends(&ids[..count]).unwrap();
            assert_eq!(ends.last().copied().unwrap_or(0) as usize, decoded.len(), "{decoded:?}");
            let within = decoded.ends_with(char::REPLACEMENT_CHARACTER);
            cuts_within += usize::from(within && !cut.text.contains(char::REPLACEMENT_CHARACTER));
        }
    }
    assert!(cuts_within >= 20, "only {cuts_within} cuts within a character");
}

#[test]
#[ignore = "temporary"]
fn zz_full() {
    use std::io::BufRead;
    let (small, expected) = fixture();
    for name in ["new", "published"] {
        let started = std::time::Instant::now();
        let tokenizer = TextTokenizer::read(Path::new(&format!("/tmp/qwen_{name}"))).unwrap();
        println!("{name}: read in {:?}, vocabulary {}", started.elapsed(), tokenizer.vocabulary());
        assert_eq!(small.vocabulary(), tokenizer.vocabulary());
        for case in &expected.cases {
            assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{:?}", case.text);
            assert_eq!(tokenizer.decode(&case.ids).unwrap(), case.decoded);
            assert_eq!(tokenizer.text_ends(&case.ids).unwrap(), case.ends, "{:?}", case.text);
        }
        let started = std::time::Instant::now();
        let (mut texts, mut ids, mut wrong, mut ends_time) = (0, 0, 0, std::time::Duration::ZERO);
        for line in std::io::BufReader::new(std::fs::File::open("/tmp/fuzz.jsonl").unwrap()).lines()
        {
            let case: Case = serde_json::from_str(&line.unwrap()).unwrap();
            let found = tokenizer.encode(&case.text).unwrap();
            let decoded = tokenizer.decode(&found).unwrap();
            let at = std::time::Instant::now();
            let ends = tokenizer.text_ends(&found).unwrap();
            ends_time += at.elapsed();
            texts += 1;
            ids += found.len();
            if found != case.ids || decoded != case.decoded || ends != case.ends {
                wrong += 1;
                if wrong < 6 {
                    println!(
                        "DIFF {:?} {} {} {}",
                        case.text.chars().take(60).collect::<String>(),
                        found == case.ids,
                        decoded == case.decoded,
                        ends == case.ends
                    );
                }
            }
        }
        println!(
            "{texts} texts, {ids} ids, {wrong} wrong, {:?}, of which ends {ends_time:?}",
            started.elapsed()
        );
    }
}
