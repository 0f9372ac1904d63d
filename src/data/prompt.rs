//! Prompts: a problem put into a template (Jinja, as Transformers' chat templates are).
//!
//! A template sees `problem`, with its choices listed where it has some, and `instruction`: the system message that the data set
//! gives with the problem or else one that asks for a boxed answer. A model's chat template sees both as `messages`. `plain` is the
//! problem as it is, to its last newline; the others leave white space around it out.

use super::record::Record;
use crate::error::{Error, Result, nearest};
use crate::experiment::AnswerFormat;
use crate::model::TextTokenizer;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use serde_json::Value;
use std::path::Path;

macro_rules! template {
    ($name:literal) => {
        ($name, include_str!(concat!("../../assets/prompts/", $name, ".jinja")))
    };
}

/// Templates that come with the program.
const TEMPLATES: [(&str, &str); 3] = [template!("plain"), template!("qwen_boxed"), template!("choice")];

/// The name that stands for the model's own chat template.
const CHAT: &str = "chat";

/// A template that is ready to make prompts.
pub struct PromptTemplate {
    environment: Environment<'static>,
    /// Its name: `plain`, `qwen_boxed`, `choice`, `chat` or a file.
    name: String,
    /// `bos_token` and `eos_token` of the model, which chat templates may ask for.
    special: [String; 2],
}

impl PromptTemplate {
    /// The template that `name` names: `plain`, `qwen_boxed`, `choice`, `chat` for the chat template of the model, or the file of
    /// that path. Without a name it is `chat` where the model has a chat template, and `plain` where not.
    pub fn new(name: Option<&str>, tokenizer: &TextTokenizer) -> Result<Self> {
        let config = match tokenizer.companion("tokenizer_config.json") {
            None => Value::Null,
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|e| Error::input(format!("the model's tokenizer_config.json is not valid JSON: {e}")))?,
        };
        let chat = match tokenizer.companion("chat_template.jinja") {
            Some(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            None => chat_template(&config),
        };
        let name = name.unwrap_or(if chat.is_some() { CHAT } else { "plain" });
        let source = if name == CHAT {
            chat.ok_or_else(|| {
                Error::input(
                    "the template `chat` is the model's chat template, and this model has none (chat_template.jinja or \
                     tokenizer_config.json in its folder); choose plain, qwen_boxed, choice or a file",
                )
            })?
        } else if let Some((_, source)) = TEMPLATES.iter().find(|(known, _)| *known == name) {
            (*source).to_string()
        } else {
            read(name)?
        };
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        // A chat template asks whether variables are there; our own ones have all that they name.
        let behaviour = if name == CHAT { UndefinedBehavior::Lenient } else { UndefinedBehavior::Strict };
        environment.set_undefined_behavior(behaviour);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned(name.to_string(), without_generation_tags(&source))
            .map_err(|e| fault(name, &e))?;
        let special = ["bos_token", "eos_token"].map(|token| special_token(&config, token));
        Ok(Self { environment, name: name.to_string(), special })
    }

    /// The template's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The prompt for a record.
    pub fn render(&self, record: &Record, format: AnswerFormat) -> Result<String> {
        let instruction = record.system.as_deref().unwrap_or(match format {
            AnswerFormat::Math | AnswerFormat::MathAnywhere => {
                "Please reason step by step, and put your final answer within \\boxed{}."
            }
            AnswerFormat::Choice => {
                "Please reason step by step, and put the letter of the right choice within \\boxed{}."
            }
        });
        let [bos_token, eos_token] = &self.special;
        let values = context! {
            problem => record.problem,
            instruction,
            messages => [context! { role => "system", content => instruction }, context! { role => "user", content => record.problem.trim() }],
            add_generation_prompt => true,
            bos_token,
            eos_token,
        };
        let template = self.environment.get_template(&self.name).map_err(|e| fault(&self.name, &e))?;
        template.render(values).map_err(|e| fault(&self.name, &e))
    }
}

/// The template without `{% generation %}` and `{% endgeneration %}`, by which Transformers marks what an assistant said: what stands
/// between them is rendered as it is. Their control of white space stays.
fn without_generation_tags(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start + 2..start + length];
        let word = tag.trim_matches(['-', '+']).trim();
        let plain = match word {
            "generation" => Some("if true"),
            "endgeneration" => Some("endif"),
            _ => None,
        };
        text.push_str(&rest[..start + 2]);
        text.push_str(&plain.map_or_else(|| tag.to_string(), |plain| tag.replace(word, &format!(" {plain} "))));
        text.push_str("%}");
        rest = &rest[start + length + 2..];
    }
    text + rest
}

fn read(name: &str) -> Result<String> {
    let path = Path::new(name);
    if path.is_file() {
        return std::fs::read_to_string(path)
            .map_err(|e| Error::input(format!("the prompt template cannot be read: {e} ({name})")));
    }
    let known: Vec<&str> = TEMPLATES.iter().map(|(known, _)| *known).chain([CHAT]).collect();
    let near = nearest(name, known.iter().copied()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Err(Error::input(format!("the prompt template `{name}` is neither a file nor one of {}{near}", known.join(", "))))
}

/// What is wrong with a template, with its name and line.
fn fault(name: &str, error: &minijinja::Error) -> Error {
    let line = error.line().map_or(String::new(), |line| format!(", line {line}"));
    let detail = error.detail().map_or(String::new(), |detail| format!(": {detail}"));
    Error::input(format!("the prompt template is not right: {}{detail} (template {name}{line})", error.kind()))
}

/// The chat template of a `tokenizer_config.json`: a text, or a list of named ones of which `default` is meant.
fn chat_template(config: &Value) -> Option<String> {
    match config.get("chat_template")? {
        Value::String(template) => Some(template.clone()),
        Value::Array(named) => {
            let default = named.iter().find(|entry| entry["name"] == "default")?;
            Some(default.get("template")?.as_str()?.to_string())
        }
        _ => None,
    }
}

/// A special token of a `tokenizer_config.json`, which is a text or an object with one; empty where there is none.
fn special_token(config: &Value, name: &str) -> String {
    let token = config.get(name).map(|token| token.get("content").unwrap_or(token));
    token.and_then(Value::as_str).unwrap_or_default().to_string()
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
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        TextTokenizer::read(folder.path()).unwrap()
    }

    fn prompt(name: Option<&str>, files: &[(&str, &str)]) -> Result<String> {
        PromptTemplate::new(name, &tokenizer(files))?.render(&record(), AnswerFormat::Math)
    }

    #[test]
    fn the_templates_of_the_program_give_these_prompts() {
        assert_eq!(prompt(Some("plain"), &[]).unwrap(), "Is 1 < 2 & \"so\"?");
        assert_eq!(
            prompt(Some("qwen_boxed"), &[]).unwrap(),
            "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n\
             <|im_start|>user\nIs 1 < 2 & \"so\"?<|im_end|>\n<|im_start|>assistant\n"
        );
        let choice = PromptTemplate::new(Some("choice"), &tokenizer(&[])).unwrap();
        assert_eq!(
            choice.render(&record(), AnswerFormat::Choice).unwrap(),
            "Is 1 < 2 & \"so\"?\n\nPlease reason step by step, and put the letter of the right choice within \\boxed{}.\n"
        );
        let spaced = Record { problem: " 1 + 1 =\n".to_string(), ..record() };
        let rendered = |name| {
            let template = PromptTemplate::new(Some(name), &tokenizer(&[])).unwrap();
            template.render(&spaced, AnswerFormat::Math).unwrap()
        };
        assert_eq!(rendered("plain"), " 1 + 1 =\n");
        assert!(rendered("qwen_boxed").contains("<|im_start|>user\n1 + 1 =<|im_end|>"));
        assert!(rendered("choice").starts_with("1 + 1 =\n\nPlease"));
        let own = Record { system: Some("Box it.".to_string()), ..record() };
        assert_eq!(choice.render(&own, AnswerFormat::Math).unwrap(), "Is 1 < 2 & \"so\"?\n\nBox it.\n");
    }

    #[test]
    fn the_models_chat_template_is_used_where_there_is_one() {
        let jinja = "{{ bos_token }}{%- for m in messages %}\n[{{ m.role }}] {{ m['content'].strip() }}\n{%- endfor %}\n{% if add_generation_prompt and not tools %}\n[assistant]\n{% endif %}";
        let expected = "<s>[system] Please reason step by step, and put your final answer within \\boxed{}.[user] Is 1 < 2 & \"so\"?[assistant]\n";
        let config = serde_json::json!({ "chat_template": jinja, "bos_token": { "content": "<s>" } }).to_string();
        assert_eq!(prompt(None, &[("tokenizer_config.json", &config)]).unwrap(), expected);
        let named = serde_json::json!({ "chat_template": [{ "name": "tool_use", "template": "x" }, { "name": "default", "template": jinja }], "bos_token": "<s>" });
        assert_eq!(prompt(Some("chat"), &[("tokenizer_config.json", &named.to_string())]).unwrap(), expected);
        let files = [("tokenizer_config.json", config.as_str()), ("chat_template.jinja", "own {{ problem }}")];
        assert_eq!(prompt(None, &files).unwrap(), "own Is 1 < 2 & \"so\"?");
        assert_eq!(prompt(None, &[]).unwrap(), "Is 1 < 2 & \"so\"?");
    }

    #[test]
    fn marks_of_what_the_assistant_said_leave_no_trace() {
        let template = "{%- for m in messages %}<{{ m.role }}>\n  {%- generation -%}\n  {{ m.content }}{% endgeneration %}\n\
            {% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
        let config = serde_json::json!({"chat_template": template}).to_string();
        let marked = prompt(None, &[("tokenizer_config.json", &config)]).unwrap();
        let plain = template.replace("{%- generation -%}\n  ", "").replace("{% endgeneration %}\n", "");
        let plain = plain.replace(">\n  {{", ">{{");
        let config = serde_json::json!({"chat_template": plain}).to_string();
        assert_eq!(marked, prompt(None, &[("tokenizer_config.json", &config)]).unwrap());
        assert!(marked.contains("<user>") && marked.ends_with("<assistant>"), "{marked}");
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
            ("{{ raise_exception('no system') }}", ["mine.jinja, line 1", "no system"]),
        ] {
            let error = prompt(Some(&file(content)), &[]).unwrap_err();
            assert_eq!(error.exit_status(), 2);
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{error}");
        }
        let error = prompt(Some("qwen_box"), &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `qwen_boxed`"), "{error}");
        let error = prompt(Some("chat"), &[]).unwrap_err().to_string();
        assert!(error.contains("this model has none"), "{error}");
    }
}
