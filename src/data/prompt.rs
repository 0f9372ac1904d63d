//! Prompts: a problem put into a template (Jinja, as Transformers' chat templates are).
//!
//! A template sees `problem`, with its choices listed where it has some, and `instruction`: the
//! system message that the data set gives with the problem or else one that asks for a boxed
//! answer. A model's chat template sees both as `messages`, and what Transformers gives it: the
//! special tokens, and the variables that the experiment sets. `plain` is the problem as it is, to
//! its last newline; the others leave white space around it out.

use super::jinja::{self, Fault, Value};
use super::record::Record;
use crate::error::{Error, Result, nearest};
use crate::escape::{MOST_LISTED, listed, shown};
use crate::experiment::TemplateVariables;
use crate::verify::AnswerFormat;

use crate::files::{SETTINGS_BYTES, checksums::sha256, decode, read_text};
use crate::guard::caught;
use crate::model::TextTokenizer;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

macro_rules! template {
    ($name:literal) => {
        ($name, include_str!(concat!("../../assets/prompts/", $name, ".jinja")))
    };
}

/// Templates that come with the program.
const TEMPLATES: [(&str, &str); 3] =
    [template!("plain"), template!("qwen_boxed"), template!("choice")];

/// The name that stands for the model's own chat template.
const CHAT: &str = "chat";

/// What the program gives to every template, so that no experiment can set it.
const GIVEN: [&str; 4] = ["messages", "add_generation_prompt", "problem", "instruction"];

/// A template that is ready to make prompts.
pub struct PromptTemplate {
    template: jinja::Template,
    /// Its name: `plain`, `qwen_boxed`, `choice`, `chat` or a file.
    name: String,
    hash: String,
    /// What it reads of the model's special tokens, and the variables of the experiment.
    values: Vec<(String, Json)>,
    /// Whether it has asked for the time.
    asked_for_time: AtomicBool,
}

impl PromptTemplate {
    /// The template that `name` names: `plain`, `qwen_boxed`, `choice`, `chat` for the chat
    /// template of the model, or the file of that path. Without a name it is `chat` where the model
    /// has a chat template, and `plain` where not.
    ///
    /// A variable that the template does not read is bad input: it would change nothing.
    pub fn new(
        name: Option<&str>,
        variables: &TemplateVariables,
        tokenizer: &TextTokenizer,
    ) -> Result<Self> {
        let config = companion(tokenizer, "tokenizer_config.json")?;
        let chat = match tokenizer.companion("chat_template.jinja") {
            Some(bytes) => Some(text_of("chat_template.jinja", bytes)?),
            None => chat_template(&config)?,
        };
        let name = name.unwrap_or(if chat.is_some() { CHAT } else { "plain" });
        let source = if name == CHAT {
            chat.ok_or_else(|| {
                Error::input(
                    "the template `chat` is the model's chat template, and this model has none \
                     (chat_template.jinja or tokenizer_config.json in its folder); choose plain, \
                     qwen_boxed, choice or a file",
                )
            })?
        } else if let Some((_, source)) = TEMPLATES.iter().find(|(known, _)| *known == name) {
            (*source).to_string()
        } else {
            read(name)?
        };
        let template = guarded(|| jinja::Template::new(&source));
        let mut template = template.map_err(|e| fault(name, &e))?;
        // A chat template asks whether variables are there; our own ones have all that they name.
        template.strict = name != CHAT;
        check_variables(name, &template, variables)?;
        let mut values = special_tokens(&config, &companion(tokenizer, "special_tokens_map.json")?);
        for (name, value) in variables {
            values.retain(|(known, _)| known != name);
            values.push((name.clone(), json!(value)));
        }
        values.retain(|(name, _)| template.reads(name));
        let hash = sha256(json!([source, values]).to_string());
        Ok(Self {
            template,
            name: name.to_string(),
            hash,
            values,
            asked_for_time: AtomicBool::new(false),
        })
    }

    /// The template's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the template's text, and of the tokens and variables that it reads.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What a run should warn of, after prompts were made.
    pub fn note(&self) -> Option<String> {
        self.asked_for_time.load(Ordering::Relaxed).then(|| {
            let remedy = if self.template.reads("date_string") {
                "set template_variables: {\"date_string\": \"...\"} to keep one date"
            } else {
                "give a template without it to keep them the same"
            };
            format!(
                "the template {} writes the date into the prompts, so they differ from day to day; \
                 {remedy}",
                self.name
            )
        })
    }

    /// The prompt for a record. A prompt without text is bad input.
    pub fn render(&self, record: &Record, format: AnswerFormat) -> Result<String> {
        let instruction = record.system.as_deref().unwrap_or(match format {
            AnswerFormat::Math | AnswerFormat::MathAnywhere => {
                "Please reason step by step, and put your final answer within \\boxed{}."
            }
            AnswerFormat::Choice => {
                "Please reason step by step, and put the letter of the right choice within \
                 \\boxed{}."
            }
        });
        let messages = json!([
            { "role": "system", "content": instruction },
            { "role": "user", "content": record.problem.trim() },
        ]);
        let mut values = vec![
            ("messages", Value::from_json(&messages)),
            ("tools", Value::None),
            ("documents", Value::None),
            ("add_generation_prompt", Value::Bool(true)),
        ];
        // A chat template gets what Transformers gives it, and nothing else.
        if self.name != CHAT {
            values.extend([
                ("problem", Value::text(&record.problem)),
                ("instruction", Value::text(instruction)),
            ]);
        }
        let own = self.values.iter().map(|(name, value)| (name.clone(), Value::from_json(value)));
        let values = values.into_iter().map(|(name, value)| (name.to_string(), value)).chain(own);
        let now = |format: &str| {
            self.asked_for_time.store(true, Ordering::Relaxed);
            jiff::fmt::strtime::format(format, &jiff::ZonedDateTime::now())
                .map_err(|e| format!("the time cannot be written: {e}"))
        };
        let prompt =
            guarded(|| self.template.render(values, &now)).map_err(|e| fault(&self.name, &e))?;
        if prompt.is_empty() {
            let text = format!("the prompt of the problem {} has no text", record.id);
            return Err(fault(&self.name, &Fault { line: None, text }));
        }
        Ok(prompt)
    }
}

/// What comes from anybody ends with a fault, whatever is wrong with the engine.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    caught(work).unwrap_or_else(|panic| {
        Err(Fault { line: None, text: format!("it cannot be run: {panic}") })
    })
}

/// The absolute path of a template that is a file; other names stay as they are.
pub(crate) fn settled(name: &str) -> String {
    let is_known = name == CHAT || TEMPLATES.iter().any(|(known, _)| *known == name);
    let path = if is_known { None } else { Path::new(name).canonicalize().ok() };
    path.as_deref().and_then(Path::to_str).unwrap_or(name).to_string()
}

fn check_variables(
    name: &str,
    template: &jinja::Template,
    variables: &TemplateVariables,
) -> Result<()> {
    for variable in variables.keys() {
        if GIVEN.contains(&variable.as_str()) {
            return Err(Error::input(format!(
                "template_variables sets `{variable}`, which the program itself gives to every \
                 template; leave it out"
            )));
        }
        if !template.reads(variable) {
            let near = nearest(variable, template.names())
                .map_or("; a".to_string(), |near| format!("; did you mean `{near}`? A"));
            return Err(Error::input(format!(
                "template_variables sets `{variable}`, which the template {name} does not \
                 read{near} variable that changes nothing is refused"
            )));
        }
    }
    Ok(())
}

fn text_of(name: &str, bytes: &[u8]) -> Result<String> {
    decode(bytes.to_vec())
        .map_err(|e| Error::input(format!("the model's {name} cannot be read: {e}")))
}

/// A JSON file that came with the tokenizer; null where there is none.
fn companion(tokenizer: &TextTokenizer, name: &str) -> Result<Json> {
    let Some(bytes) = tokenizer.companion(name) else { return Ok(Json::Null) };
    serde_json::from_str(&text_of(name, bytes)?)
        .map_err(|e| Error::input(format!("the model's {name} is not valid JSON: {e}")))
}

fn read(name: &str) -> Result<String> {
    let path = Path::new(name);
    if path.exists() {
        return read_text(path, SETTINGS_BYTES).map_err(|e| {
            Error::input(format!("the prompt template cannot be read: {e} ({name})"))
        });
    }
    let known: Vec<&str> = TEMPLATES.iter().map(|(known, _)| *known).chain([CHAT]).collect();
    let near = nearest(name, known.iter().copied())
        .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(Error::input(format!(
        "the prompt template `{name}` is neither a file nor one of {}{near}",
        known.join(", ")
    )))
}

/// What is wrong with a template, with its name and line.
fn fault(name: &str, fault: &Fault) -> Error {
    let line = fault.line.map_or(String::new(), |line| format!(", line {line}"));
    let shown = shown(&fault.text, 1000);
    Error::input(format!("the prompt template is not right: {shown} (template {name}{line})"))
}

/// The chat template of a `tokenizer_config.json`: a text, or a list of named ones of which
/// `default` is meant.
fn chat_template(config: &Json) -> Result<Option<String>> {
    let not_one = |what: &str| {
        Error::input(format!("the model's tokenizer_config.json: `chat_template` {what}"))
    };
    match config.get("chat_template") {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(template)) => Ok(Some(template.clone())),
        Some(Json::Array(named)) => {
            let text =
                |entry: &Json, key: &str| entry.get(key).and_then(Json::as_str).map(str::to_string);
            let default =
                named.iter().find(|entry| text(entry, "name").as_deref() == Some("default"));
            let names: Vec<String> = named.iter().filter_map(|entry| text(entry, "name")).collect();
            let source = default.and_then(|entry| text(entry, "template"));
            let names = listed(names, MOST_LISTED);
            source.map(Some).ok_or_else(|| {
                not_one(&format!(
                    "lists templates, but none with the name `default` ({names}); write the one \
                     that is meant into chat_template.jinja, or give it as the template's file"
                ))
            })
        }
        Some(_) => Err(not_one("is neither a text nor a list of named templates")),
    }
}

/// The special tokens that have names, as Transformers gives them to chat templates. Those that a
/// model does not have are not there, because templates ask whether they are.
fn special_tokens(config: &Json, map: &Json) -> Vec<(String, Json)> {
    let text = |token: &Json| token.get("content").unwrap_or(token).as_str().map(str::to_string);
    let named = |entries: &Json| -> Vec<(String, Json)> {
        let all = entries.as_object().into_iter().flatten();
        all.filter_map(|(name, token)| Some((name.clone(), text(token)?.into()))).collect()
    };
    let is_token = |(name, _): &(String, Json)| name.ends_with("_token");
    let mut tokens: Vec<_> = named(config).into_iter().filter(is_token).collect();
    let mut more = Vec::new();
    for key in ["extra_special_tokens", "model_specific_special_tokens"] {
        more.extend(config.get(key).map(named).unwrap_or_default());
    }
    // The older file counts where the newer one says nothing of added tokens.
    if config.get("added_tokens_decoder").is_none() {
        more.extend(named(map).into_iter().filter(is_token));
    }
    for (name, token) in more {
        tokens.retain(|(known, _)| *known != name);
        tokens.push((name, token));
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            id: "0".to_string(),
            problem: "Is 1 < 2 & \"so\"?".to_string(),
            system: None,
            answer: "A".to_string(),
            has_choices: false,
            subject: None,
            level: None,
        }
    }

    /// A tokenizer in whose folder these files stand.
    fn tokenizer(files: &[(&str, &str)]) -> TextTokenizer {
        let folder = tempfile::tempdir().unwrap();
        TextTokenizer::numbers(3).unwrap().write(folder.path()).unwrap();
        std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
        // What the settings may call a token of the model is one.
        let path = folder.path().join("tokenizer.json");
        let mut json: Json =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let first = TextTokenizer::numbers(3).unwrap().vocabulary();
        let added = json["added_tokens"].as_array_mut().unwrap();
        let tokens = ["<audio>", "<s>", "</s>", "<pad>", "<other>", "<sep>"];
        added.extend(tokens.into_iter().enumerate().map(|(index, token)| {
            serde_json::json!({
                "id": first + index, "content": token, "special": true,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false
            })
        }));
        std::fs::write(&path, json.to_string()).unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        TextTokenizer::read(folder.path()).unwrap()
    }

    fn prompt(name: Option<&str>, files: &[(&str, &str)]) -> Result<String> {
        PromptTemplate::new(name, &TemplateVariables::default(), &tokenizer(files))?
            .render(&record(), AnswerFormat::Math)
    }

    fn plain(name: &str) -> PromptTemplate {
        PromptTemplate::new(Some(name), &TemplateVariables::default(), &tokenizer(&[])).unwrap()
    }

    #[test]
    fn the_templates_of_the_program_give_these_prompts() {
        assert_eq!(prompt(Some("plain"), &[]).unwrap(), "Is 1 < 2 & \"so\"?");
        assert_eq!(
            prompt(Some("qwen_boxed"), &[]).unwrap(),
            "<|im_start|>system\nPlease reason step by step, and put your final answer within \
             \\boxed{}.<|im_end|>\n<|im_start|>user\nIs 1 < 2 & \
             \"so\"?<|im_end|>\n<|im_start|>assistant\n"
        );
        let choice = plain("choice");
        assert_eq!(
            choice.render(&record(), AnswerFormat::Choice).unwrap(),
            "Is 1 < 2 & \"so\"?\n\nPlease reason step by step, and put the letter of the right \
             choice within \\boxed{}.\n"
        );
        let spaced = Record { problem: " 1 + 1 =\n".to_string(), ..record() };
        let rendered = |name| plain(name).render(&spaced, AnswerFormat::Math).unwrap();
        assert_eq!(rendered("plain"), " 1 + 1 =\n");
        assert!(rendered("qwen_boxed").contains("<|im_start|>user\n1 + 1 =<|im_end|>"));
        assert!(rendered("choice").starts_with("1 + 1 =\n\nPlease"));
        let own = Record { system: Some("Box it.".to_string()), ..record() };
        assert_eq!(
            choice.render(&own, AnswerFormat::Math).unwrap(),
            "Is 1 < 2 & \"so\"?\n\nBox it.\n"
        );
    }

    #[test]
    fn the_models_chat_template_is_used_where_there_is_one() {
        let jinja = "{{ bos_token }}{%- for m in messages %}\n[{{ m.role }}] {{ \
                     m['content'].strip() }}\n{%- endfor %}\n{% if add_generation_prompt and not \
                     tools %}\n[assistant]\n{% endif %}";
        let expected = "<s>[system] Please reason step by step, and put your final answer within \
                        \\boxed{}.[user] Is 1 < 2 & \"so\"?[assistant]\n";
        let config =
            serde_json::json!({ "chat_template": jinja, "bos_token": { "content": "<s>" } })
                .to_string();
        assert_eq!(prompt(None, &[("tokenizer_config.json", &config)]).unwrap(), expected);
        let named = serde_json::json!({ "chat_template": [{ "name": "tool_use", "template": "x" }, { "name": "default", "template": jinja }], "bos_token": "<s>" });
        assert_eq!(
            prompt(Some("chat"), &[("tokenizer_config.json", &named.to_string())]).unwrap(),
            expected
        );
        let files = [
            ("tokenizer_config.json", config.as_str()),
            ("chat_template.jinja", "\u{feff}own {{ messages[1].content }}{{ problem }}"),
        ];
        assert_eq!(prompt(None, &files).unwrap(), "own Is 1 < 2 & \"so\"?");
        assert_eq!(prompt(None, &[]).unwrap(), "Is 1 < 2 & \"so\"?");
    }

    #[test]
    fn marks_of_what_the_assistant_said_leave_no_trace() {
        let template = "{%- for m in messages %}<{{ m.role }}>\n  {%- generation -%}\n  {{ \
                        m.content }}{% endgeneration %}\n{% endfor %}{% if add_generation_prompt \
                        %}<assistant>{% endif %}";
        let config = serde_json::json!({"chat_template": template}).to_string();
        let marked = prompt(None, &[("tokenizer_config.json", &config)]).unwrap();
        let plain =
            template.replace("{%- generation -%}\n  ", "").replace("{% endgeneration %}\n", "");
        let plain = plain.replace(">\n  {{", ">{{");
        let config = serde_json::json!({"chat_template": plain}).to_string();
        assert_eq!(marked, prompt(None, &[("tokenizer_config.json", &config)]).unwrap());
        assert!(marked.contains("<user>") && marked.ends_with("<assistant>"), "{marked}");
    }

    #[test]
    fn templates_see_the_special_tokens_that_the_model_has() {
        let jinja = "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ unk_token is defined }}|{{ \
                     image_token }}|{{ audio_token }}|{{ tools is none }}";
        let mut config = serde_json::json!({
            "chat_template": jinja, "bos_token": {"content": "<s>"}, "eos_token": "</s>", "pad_token": "<pad>", "unk_token": null,
            "image_token": "<image>", "extra_special_tokens": {"audio_token": "<audio>"}
        });
        let map = r#"{"pad_token": {"content": "<other>"}}"#;
        let rendered = |config: &Json| {
            let config = config.to_string();
            prompt(
                None,
                &[("tokenizer_config.json", config.as_str()), ("special_tokens_map.json", map)],
            )
            .unwrap()
        };
        assert_eq!(rendered(&config), "<s>|</s>|<other>|False|<image>|<audio>|True");
        config["added_tokens_decoder"] = serde_json::json!({});
        assert_eq!(rendered(&config), "<s>|</s>|<pad>|False|<image>|<audio>|True");
        // Tokens that the template reads are a part of it, others are not.
        let hash = |config: &Json| {
            let tokenizer = tokenizer(&[("tokenizer_config.json", &config.to_string())]);
            PromptTemplate::new(None, &TemplateVariables::default(), &tokenizer)
                .unwrap()
                .hash()
                .to_string()
        };
        let before = hash(&config);
        config["sep_token"] = "<sep>".into();
        assert_eq!(hash(&config), before);
        config["bos_token"] = "<other>".into();
        assert_ne!(hash(&config), before);
    }

    #[test]
    fn variables_reach_the_template_and_one_that_it_does_not_read_is_refused() {
        let jinja = "{% if enable_thinking is defined and enable_thinking is false %}off{% else \
                     %}on{% endif %}{{ kinds }}";
        let config = serde_json::json!({ "chat_template": jinja }).to_string();
        let tokenizer = tokenizer(&[("tokenizer_config.json", &config)]);
        let with = |text: &str| {
            let variables: TemplateVariables =
                crate::experiment::from_text(text, "a test").unwrap();
            PromptTemplate::new(None, &variables, &tokenizer)?.render(&record(), AnswerFormat::Math)
        };
        assert_eq!(with("{}").unwrap(), "on");
        assert_eq!(with(r#"{"enable_thinking": false}"#).unwrap(), "off");
        assert_eq!(
            with(r#"{"enable_thinking": true, "kinds": [1, 2.5, "a", false]}"#).unwrap(),
            "on[1, 2.5, 'a', False]"
        );
        let error = with(r#"{"enable_thinkng": false}"#).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        assert!(
            error.to_string().contains(
                "`enable_thinkng`, which the template chat does not read; did you mean \
                 `enable_thinking`?"
            ),
            "{error}"
        );
        assert!(with(r#"{"messages": "x"}"#).unwrap_err().to_string().contains("leave it out"));
    }

    #[test]
    fn a_date_in_the_prompts_is_told_of() {
        let jinja = "{% if not date_string is defined %}{% set date_string = strftime_now('%Y') \
                     %}{% endif %}{{ date_string }}";
        let config = serde_json::json!({ "chat_template": jinja }).to_string();
        let tokenizer = tokenizer(&[("tokenizer_config.json", &config)]);
        let with = |text: &str| {
            let variables: TemplateVariables =
                crate::experiment::from_text(text, "a test").unwrap();
            let template = PromptTemplate::new(None, &variables, &tokenizer).unwrap();
            (template.render(&record(), AnswerFormat::Math).unwrap(), template.note())
        };
        let (year, note) = with("{}");
        assert!(year.parse::<u32>().unwrap() > 2024 && note.unwrap().contains("date_string"));
        assert_eq!(with(r#"{"date_string": "26 Jul 2024"}"#), ("26 Jul 2024".to_string(), None));
    }

    #[test]
    fn a_template_that_is_a_file_gets_its_whole_path_and_its_text_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.html");
        std::fs::write(&path, "\u{feff}<p>{{ problem }}</p>\r\n").unwrap();
        // No ending makes templates escape what they are given, and lines end as Jinja ends them.
        assert_eq!(prompt(path.to_str(), &[]).unwrap(), "<p>Is 1 < 2 & \"so\"?</p>");
        let name = path.canonicalize().unwrap().display().to_string();
        assert_eq!(
            settled(
                &folder
                    .path()
                    .join("../")
                    .join(folder.path().file_name().unwrap())
                    .join("t.html")
                    .display()
                    .to_string()
            ),
            name
        );
        assert_eq!(
            (settled("chat"), settled("plain"), settled("no.such")),
            ("chat".into(), "plain".into(), "no.such".into())
        );
        assert_eq!(plain("plain").hash().len(), 64);
        assert_ne!(plain("plain").hash(), plain("choice").hash());
    }

    #[test]
    fn faults_name_template_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = |content: &str| {
            let path = folder.path().join("mine.jinja");
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        for (content, words) in [
            ("a\n{{ problem", ["mine.jinja, line 2", "syntax error"]),
            ("a\n\n{{ problm }}", ["mine.jinja, line 3", "undefined value"]),
            (
                "{{ raise_exception('no \\x1b[2Jsystem') }}",
                ["mine.jinja, line 1", "no \\u001b[2Jsystem"],
            ),
            (
                "{% if false %}x{% endif %}",
                ["the prompt of the problem 0 has no text", "mine.jinja"],
            ),
            (
                "a\n{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
                ["too many steps", "mine.jinja, line 2"],
            ),
        ] {
            let error = prompt(Some(&file(content)), &[]).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        }
        let error = prompt(Some("qwen_box"), &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `qwen_boxed`"), "{error}");
        let error = prompt(Some("chat"), &[]).unwrap_err().to_string();
        assert!(error.contains("this model has none"), "{error}");
        let named = r#"{"chat_template": [{"name": "tool_use", "template": "x"}]}"#;
        let error = prompt(None, &[("tokenizer_config.json", named)]).unwrap_err().to_string();
        assert!(error.contains("none with the name `default` (tool_use)"), "{error}");
    }
}
