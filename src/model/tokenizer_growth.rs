//! How much longer a tokenizer's normalizers and decoders can make a text: a few lines of
//! `tokenizer.json` can ask for more memory than any machine has (forty times "a" by "aa"), so the
//! worst case is known before a text is given to them.

use base64::Engine;
use serde_json::Value;

/// A text of n bytes becomes one of at most `factor` n + `added` bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Growth {
    pub(super) factor: f64,
    pub(super) added: f64,
}

impl Growth {
    const NONE: Self = Self { factor: 1.0, added: 0.0 };

    fn by(factor: f64) -> Self {
        Self { factor: factor.max(1.0), added: 0.0 }
    }

    /// One step after another.
    pub(super) fn then(self, next: Self) -> Self {
        Self { factor: self.factor * next.factor, added: self.added * next.factor + next.added }
    }

    /// The most bytes that become of a text of `bytes`.
    pub(super) fn of(self, bytes: usize) -> f64 {
        self.factor * bytes as f64 + self.added
    }
}

/// Of a normalizer, pre-tokenizer or decoder, or a sequence of them, as it stands in the file.
pub(super) fn growth(step: &Value) -> Growth {
    let length = |name: &str| step[name].as_str().map_or(0.0, |text| text.len() as f64);
    match step["type"].as_str().unwrap_or_default() {
        "Sequence" => {
            let lists =
                ["normalizers", "pretokenizers", "decoders"].map(|name| step[name].as_array());
            lists
                .into_iter()
                .flatten()
                .flatten()
                .fold(Growth::NONE, |sum, step| sum.then(growth(step)))
        }
        "Replace" => replacement(&step["pattern"], length("content")),
        "Prepend" => Growth { added: length("prepend"), ..Growth::NONE },
        // A byte becomes a character of up to two.
        "ByteLevel" => Growth { factor: 2.0, added: 1.0 },
        // A space, or nothing at the beginning, becomes the replacement.
        "Metaspace" => {
            Growth { factor: length("replacement").max(1.0), added: length("replacement") }
        }
        // No character of Unicode is longer than 11 times itself in any normal form, nor 3 times
        // itself in lower case.
        "NFC" | "NFD" | "NFKC" | "NFKD" => Growth::by(11.0),
        "Precompiled" => Growth::by(longest_replacement(
            step["precompiled_charsmap"].as_str().unwrap_or_default(),
        )),
        "Lowercase" => Growth::by(3.0),
        "BertNormalizer" => Growth::by(9.0),
        // A space at every token, and where an end-of-word mark is empty, at every character.
        "WordPiece" | "BPEDecoder" | "CTC" => Growth::by(2.0),
        _ => Growth::NONE,
    }
}

/// Every match of `pattern` becomes `content` bytes.
fn replacement(pattern: &Value, content: f64) -> Growth {
    let shortest = match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
        (Some(text), _) => text.len(),
        // What cannot be told of a pattern with look-around counts as a match of nothing.
        (_, Some(pattern)) => regex_syntax::parse(pattern)
            .ok()
            .and_then(|pattern| pattern.properties().minimum_len())
            .unwrap_or(0),
        _ => 0,
    };
    if shortest == 0 {
        Growth { factor: 1.0 + content, added: content }
    } else {
        Growth::by(content / shortest as f64)
    }
}

/// Bytes of the longest text that the table of `SentencePiece` puts in the place of a character:
/// after a tree, whose size comes first, texts that end with a zero.
fn longest_replacement(table: &str) -> f64 {
    let Ok(table) = base64::engine::general_purpose::STANDARD.decode(table) else { return 1.0 };
    let Some((size, rest)) = table.split_first_chunk::<4>() else { return 1.0 };
    let texts = rest.get(u32::from_le_bytes(*size) as usize..).unwrap_or(rest);
    texts.split(|&byte| byte == 0).map(<[u8]>::len).max().unwrap_or(0) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worst_case_of_steps_is_known() {
        let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
        let of = |normalizer: Value| growth(&normalizer);
        assert_eq!(of(Value::Null), Growth::NONE);
        assert_eq!(of(replace(json!({"String": " "}), "▁")), Growth::by(3.0));
        assert_eq!(of(replace(json!({"Regex": " {2,}"}), " ")), Growth::NONE);
        assert_eq!(of(replace(json!({"Regex": "x*"}), "ab")), Growth { factor: 3.0, added: 2.0 });
        let bomb = json!({"type": "Sequence", "normalizers": vec![replace(json!({"String": "a"}), "aa"); 40]});
        assert!((of(bomb).of(1) - (1u64 << 40) as f64).abs() < 1.0);
        let prepends = json!({"type": "Sequence", "normalizers": vec![json!({"type": "Prepend", "prepend": "abc"}); 100]});
        assert!((of(prepends).of(5) - 305.0).abs() < 1e-9);
    }
}
