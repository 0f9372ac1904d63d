//! Which modules of a model a PEFT adapter says that it adapts, by the rules of PEFT.

use super::fields::{Fields, in_words};
use crate::error::{Error, Result};
use crate::escape::{MOST_SHOWN, cut};
use fancy_regex::Regex;
use serde_json::Value;

/// What PEFT adapts of the families of models here where `target_modules` is missing.
pub(super) const DEFAULT_TARGETS: [&str; 2] = ["q_proj", "v_proj"];

/// What `target_modules` and the fields around it say.
pub(super) struct Targets {
    names: Names,
    excluded: Names,
    /// The layers that are meant, where not all are, and what stands before a layer's number in the
    /// names of its modules.
    layers: Option<(Vec<usize>, Vec<Expression>)>,
}

enum Names {
    /// None are named, as opposed to an empty list.
    Absent,
    AllLinear,
    /// Whole names, or what names end with after a dot.
    List(Vec<String>),
    /// Matches whole names.
    Expression(Expression),
}

/// An expression of a field.
struct Expression {
    field: &'static str,
    regex: Regex,
}

impl Targets {
    /// Reads the fields of an `adapter_config.json`.
    pub(super) fn read(fields: &Fields) -> Result<Self> {
        let names = match Names::read(fields, "target_modules")? {
            Names::Absent => Names::List(DEFAULT_TARGETS.map(str::to_string).into()),
            names => names,
        };
        let layers = fields.list(
            "layers_to_transform",
            as_count,
            "it must be the number of a layer, or a list of them",
        )?;
        let patterns = fields
            .list("layers_pattern", as_text, "it must be a text, or a list of them")?
            .unwrap_or_default();
        let layers = layers.filter(|layers| !layers.is_empty());
        if layers.is_some() && !matches!(names, Names::List(_)) {
            return Err(
                fields.wrong("layers_to_transform", "it needs a list of names as target_modules")
            );
        }
        if layers.is_none() && patterns.iter().any(|pattern| !pattern.is_empty()) {
            return Err(fields.wrong("layers_pattern", "it needs layers_to_transform"));
        }
        // Without a pattern the number is the first that stands between dots after two other parts.
        let mut starts: Vec<String> =
            patterns.iter().map(|pattern| format!(r"(?:^|.*?\.)(?:{pattern})")).collect();
        if starts.is_empty() {
            starts.push(r".*?\.[^.]*".to_string());
        }
        let numbers = starts
            .iter()
            .map(|start| Expression::new("layers_pattern", &format!(r"^{start}\.(\d+)\.")));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        let excluded = Names::read(fields, "exclude_modules")?;
        Ok(Self { names, excluded, layers: layers.map(|layers| (layers, numbers)) })
    }

    /// Whether a linear layer of that name, such as `model.layers.0.self_attn.q_proj`, is adapted.
    pub(super) fn has(&self, module: &str) -> Result<bool> {
        if self.excluded.has(module)? {
            return Ok(false);
        }
        // A whole name needs no layer.
        let is_whole =
            matches!(&self.names, Names::List(names) if names.iter().any(|name| name == module));
        Ok(is_whole || (self.names.has(module)? && self.has_layer(module)?))
    }

    /// Whether the layer that a module belongs to is meant.
    fn has_layer(&self, module: &str) -> Result<bool> {
        let Some((layers, numbers)) = &self.layers else { return Ok(true) };
        for number in numbers {
            if let Some(number) = number.first_group(module)? {
                return Ok(number.parse().is_ok_and(|number| layers.contains(&number)));
            }
        }
        Ok(false)
    }
}

impl Names {
    fn read(fields: &Fields, field: &'static str) -> Result<Self> {
        Ok(match fields.get(field) {
            None => Self::Absent,
            Some(Value::String(all))
                if all.eq_ignore_ascii_case("all-linear") && field == "target_modules" =>
            {
                Self::AllLinear
            }
            Some(Value::String(expression)) => {
                Self::Expression(Expression::new(field, &format!(r"\A(?:{expression})\z"))?)
            }
            Some(_) => {
                let names =
                    fields.list(field, as_text, "it must be a list of names, or an expression")?;
                Self::List(names.unwrap_or_default())
            }
        })
    }

    fn has(&self, module: &str) -> Result<bool> {
        match self {
            Self::Absent => Ok(false),
            Self::AllLinear => Ok(true),
            Self::List(names) => Ok(names.iter().any(|name| ends_with(module, name))),
            Self::Expression(expression) => expression.matches(module),
        }
    }
}

impl Expression {
    fn new(field: &'static str, expression: &str) -> Result<Self> {
        let regex = Regex::new(expression).map_err(|error| {
            Error::input(format!(
                "adapter_config.json's {field} has an expression that cannot be used: {}",
                cut(&error.to_string(), MOST_SHOWN)
            ))
        })?;
        Ok(Self { field, regex })
    }

    fn matches(&self, module: &str) -> Result<bool> {
        self.regex.is_match(module).map_err(|_| self.gives_up(module))
    }

    /// What the first group matches.
    fn first_group<'a>(&self, module: &'a str) -> Result<Option<&'a str>> {
        let found = self.regex.captures(module).map_err(|_| self.gives_up(module))?;
        Ok(found.and_then(|groups| groups.get(1)).map(|group| group.as_str()))
    }

    /// The complaint about an expression that goes back over a name too often.
    fn gives_up(&self, module: &str) -> Error {
        Error::input(format!(
            "adapter_config.json's {} has an expression that gives up on `{}`, because it goes \
             back over the name too often: {}; write it without repetitions within repetitions",
            self.field,
            cut(module, MOST_SHOWN),
            cut(self.regex.as_str(), MOST_SHOWN)
        ))
    }
}

/// A `rank_pattern` or `alpha_pattern`: values for modules whose name, or what follows one of its
/// dots, an expression matches.
pub(super) struct Patterns(Vec<Pattern>);

/// One of them.
pub(super) struct Pattern {
    /// The expression as it stands in the file.
    name: String,
    expression: Expression,
    pub(super) value: Value,
}

impl Pattern {
    /// The complaint about the value that `module` gets by it.
    pub(super) fn wrong(&self, module: &str, right: &str) -> Error {
        Error::input(format!(
            "adapter_config.json's {}.{} is {}, for the module `{module}`; {right}",
            self.expression.field,
            cut(&self.name, MOST_SHOWN),
            in_words(&self.value)
        ))
    }
}

impl Patterns {
    /// Reads the field of an `adapter_config.json`.
    pub(super) fn read(fields: &Fields, field: &'static str) -> Result<Self> {
        let patterns = fields.object(field)?.unwrap_or_default();
        let read = |(name, value): (&String, &Value)| {
            let expression = Expression::new(field, &format!(r"\A(?:.*\.)?(?:{name})\z"))?;
            Ok(Pattern { name: name.clone(), expression, value: value.clone() })
        };
        Ok(Self(patterns.map().iter().map(read).collect::<Result<_>>()?))
    }

    /// The value for a module: that of the first expression that matches.
    pub(super) fn get(&self, module: &str) -> Result<Option<&Pattern>> {
        for pattern in &self.0 {
            if pattern.expression.matches(module)? {
                return Ok(Some(pattern));
            }
        }
        Ok(None)
    }
}

/// Whether `module` is `name`, or ends with it after a dot.
fn ends_with(module: &str, name: &str) -> bool {
    module.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn as_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_string)
}

fn as_count(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|count| usize::try_from(count).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(fields: &str, module: &str) -> bool {
        Targets::read(&Fields::parse("adapter_config.json", fields).unwrap())
            .unwrap()
            .has(module)
            .unwrap()
    }

    #[test]
    fn modules_are_named_in_all_ways_that_peft_knows() {
        let q = "model.layers.1.self_attn.q_proj";
        for (fields, expected) in [
            (r#"{"target_modules": ["q_proj", "v_proj"]}"#, true),
            (r#"{"target_modules": ["roj"]}"#, false),
            (r#"{"target_modules": ["model.layers.1.self_attn.q_proj"]}"#, true),
            (r#"{"target_modules": ["self_attn.q_proj"]}"#, true),
            (r#"{"target_modules": []}"#, false),
            (r#"{"target_modules": null}"#, true),
            (r#"{"target_modules": "All-Linear"}"#, true),
            (r#"{"target_modules": ".*\\.(q_proj|down_proj)"}"#, true),
            (r#"{"target_modules": "q_proj"}"#, false),
            (r#"{"target_modules": "^(?!.*mlp).*proj$"}"#, true),
            (r#"{"target_modules": "^(?!.*attn).*proj$"}"#, false),
            (
                r#"{"target_modules": ["q_proj"], "exclude_modules": ["layers.1.self_attn.q_proj"]}"#,
                false,
            ),
            (r#"{"target_modules": ["q_proj"], "exclude_modules": ".*\\.0\\..*"}"#, true),
            (r#"{"target_modules": ["q_proj"], "exclude_modules": ".*\\.1\\..*"}"#, false),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": 1}"#, true),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": [0, 2]}"#, false),
            (
                r#"{"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": "layers"}"#,
                true,
            ),
            (
                r#"{"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h", "layer."]}"#,
                true,
            ),
            (
                r#"{"target_modules": ["q_proj"], "layers_to_transform": [1], "layers_pattern": ["h"]}"#,
                false,
            ),
            (r#"{"target_modules": ["q_proj"], "layers_to_transform": []}"#, true),
            (
                r#"{"target_modules": ["model.layers.1.self_attn.q_proj"], "layers_to_transform": [0]}"#,
                true,
            ),
        ] {
            assert_eq!(adapted(fields, q), expected, "{fields}");
        }
        assert!(adapted("{}", "model.layers.1.self_attn.v_proj"));
        assert!(!adapted("{}", "model.layers.1.self_attn.k_proj"));
        for fields in [
            r#"{"target_modules": "q", "layers_to_transform": [1]}"#,
            r#"{"target_modules": ["q"], "layers_pattern": "layers"}"#,
            r#"{"target_modules": "(q"}"#,
            r#"{"target_modules": 3}"#,
        ] {
            assert!(
                Targets::read(&Fields::parse("adapter_config.json", fields).unwrap()).is_err(),
                "{fields}"
            );
        }
    }

    #[test]
    fn the_first_pattern_that_matches_the_end_of_a_name_counts() {
        let patterns = r#"{"layers.0.self_attn.q_proj": 4, "q_proj": 8, "^model.layers.1.*v_proj": 2, "k_.*": 3}"#;
        let fields =
            Fields::parse("adapter_config.json", &format!(r#"{{"rank_pattern": {patterns}}}"#))
                .unwrap();
        let patterns = Patterns::read(&fields, "rank_pattern").unwrap();
        let of =
            |module: &str| patterns.get(module).unwrap().and_then(|pattern| pattern.value.as_u64());
        assert_eq!(of("model.layers.0.self_attn.q_proj"), Some(4));
        assert_eq!(of("model.layers.1.self_attn.q_proj"), Some(8));
        assert_eq!(of("model.layers.1.self_attn.v_proj"), Some(2));
        assert_eq!(of("model.layers.1.self_attn.k_proj"), Some(3));
        assert_eq!(of("model.layers.0.self_attn.v_proj"), None);
    }

    #[test]
    fn an_expression_that_gives_up_is_an_error() {
        let module = "model.layers.1.self_attn.q_proj";
        let endless = r"(?:.(?!X)|\w(?!X))*\d\d\d";
        let fields = |field: &str, value: Value| {
            Fields::parse("adapter_config.json", &serde_json::json!({ field: value }).to_string())
                .unwrap()
        };
        for field in ["target_modules", "exclude_modules"] {
            let targets = Targets::read(&fields(field, endless.into())).unwrap();
            let message = targets.has(module).unwrap_err().to_string();
            assert!(
                message.contains(&format!("{field} has an expression that gives up on `{module}`")),
                "{message}"
            );
        }
        let patterns = fields("rank_pattern", serde_json::json!({ endless: 4 }));
        let error = Patterns::read(&patterns, "rank_pattern").unwrap().get(module).err().unwrap();
        assert!(error.exit_status() == 2 && error.to_string().contains(endless), "{error}");
        let layers = serde_json::json!({"layers_to_transform": [1], "layers_pattern": endless});
        let layers = Fields::parse("adapter_config.json", &layers.to_string()).unwrap();
        assert!(Targets::read(&layers).unwrap().has(module).is_err());
    }
}
