//! Values as Python has them.

use super::budget::Budget;
use super::syntax::{Loop, Signature};
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// How deep lists and dictionaries may be within each other.
const MAX_VALUE_DEPTH: usize = 64;

/// A value of a template.
#[derive(Clone, Debug)]
pub(in crate::data) enum Value {
    /// What stands for nothing, and how to call it.
    Undefined(Rc<str>),
    None,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(Rc<str>),
    /// A text that needs no escapes, which Python calls `Markup`. What is added to it gets them.
    Safe(Rc<str>),
    List(Rc<Items>),
    Tuple(Rc<Items>),
    /// What `range` and the methods of a dictionary give: a sequence that only prints otherwise.
    View(&'static str, Rc<Items>),
    /// What can be gone through once.
    Iterator(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<Dict>),
    Namespace(Rc<RefCell<Dict>>),
    Loop(Rc<LoopState>),
    /// `cycler(..)`: its values, and which is next.
    Cycler(Rc<(Items, RefCell<usize>)>),
    /// `joiner(..)`: its text, and whether it was used.
    Joiner(Rc<(Rc<str>, RefCell<bool>)>),
    Macro(Rc<Macro>),
    /// A method of a value.
    Method(Rc<(Value, &'static str)>),
    /// A function of the program.
    Function(&'static str),
}

/// Values in order, and how deep they are nested.
#[derive(Debug)]
pub(in crate::data) struct Items {
    pub(super) items: Vec<Value>,
    depth: usize,
}

/// Keys and values in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(in crate::data) struct Dict {
    pub(super) entries: Vec<(Value, Value)>,
    depth: usize,
}

/// Variables of a part of the template, within those around it.
#[derive(Debug, Default)]
pub(super) struct Scope {
    variables: RefCell<HashMap<String, Value>>,
    around: Option<Rc<Scope>>,
}

impl Scope {
    pub(super) fn within(around: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self { variables: RefCell::default(), around: Some(around.clone()) })
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.variables.borrow().get(name) {
                return Some(value.clone());
            }
            scope = scope.around.as_deref()?;
        }
    }

    pub(super) fn set(&self, name: &str, value: Value) {
        self.variables.borrow_mut().insert(name.to_string(), value);
    }
}

/// A macro, or the body of a `call`.
#[derive(Debug)]
pub(in crate::data) struct Macro {
    pub(super) signature: Arc<Signature>,
    /// Where it was made. It goes when that goes.
    pub(super) scope: Weak<Scope>,
}

/// Where a loop is.
#[derive(Debug)]
pub(in crate::data) struct LoopState {
    pub(super) body: Arc<Loop>,
    pub(super) scope: Weak<Scope>,
    pub(super) items: Rc<Vec<Value>>,
    pub(super) index: Cell<usize>,
    pub(super) depth: usize,
    pub(super) changed: RefCell<Option<Vec<Value>>>,
}

pub(super) type Outcome<T = Value> = Result<T, String>;

fn depth_of<'v>(values: impl Iterator<Item = &'v Value>) -> Outcome<usize> {
    let depth = values.map(Value::depth).max().unwrap_or(0);
    match depth {
        usize::MAX => {
            Err("a namespace cannot be within a list, a dictionary or another namespace"
                .to_string())
        }
        depth if depth >= MAX_VALUE_DEPTH => {
            Err(format!("lists and dictionaries are more than {MAX_VALUE_DEPTH} levels deep"))
        }
        depth => Ok(depth + 1),
    }
}

impl Items {
    pub(super) fn new(items: Vec<Value>) -> Outcome<Self> {
        let depth = depth_of(items.iter())?;
        Ok(Self { items, depth })
    }
}

impl Dict {
    pub(super) fn new(entries: Vec<(Value, Value)>, budget: &Budget) -> Outcome<Self> {
        let mut dict = Self::default();
        for (key, value) in entries {
            dict.set(key, value, budget)?;
        }
        Ok(dict)
    }

    fn place(&self, key: &Value, budget: &Budget) -> Outcome<Option<usize>> {
        for (place, (known, _)) in self.entries.iter().enumerate() {
            if known.equals(key, budget)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    pub(super) fn get(&self, key: &Value, budget: &Budget) -> Outcome<Option<Value>> {
        Ok(self.place(key, budget)?.map(|place| self.entries[place].1.clone()))
    }

    pub(super) fn set(&mut self, key: Value, value: Value, budget: &Budget) -> Outcome<()> {
        if matches!(key, Value::List(_) | Value::Dict(_)) {
            return Err(format!("a {} cannot be a key", key.kind()));
        }
        self.depth = self.depth.max(depth_of([&key, &value].into_iter())?);
        budget.spend(64)?;
        match self.place(&key, budget)? {
            Some(place) => self.entries[place].1 = value,
            None => self.entries.push((key, value)),
        }
        Ok(())
    }
}

impl Value {
    pub(in crate::data) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// A part of this text, which is as safe as the whole.
    pub(super) fn part(&self, text: &str) -> Self {
        match self {
            Self::Safe(_) => Self::Safe(text.into()),
            _ => Self::text(text),
        }
    }

    pub(super) fn list(items: Vec<Self>) -> Outcome {
        Ok(Self::List(Rc::new(Items::new(items)?)))
    }

    pub(super) fn tuple(items: Vec<Self>) -> Outcome {
        Ok(Self::Tuple(Rc::new(Items::new(items)?)))
    }

    pub(super) fn iterator(items: Vec<Self>) -> Outcome {
        let Items { items, .. } = Items::new(items)?;
        Ok(Self::Iterator(Rc::new(RefCell::new(items))))
    }

    /// A value of a JSON text.
    pub(in crate::data) fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::None,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i128() {
                Some(integer) => Self::Integer(integer),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::text(text),
            Json::Array(items) => {
                let items: Vec<Self> = items.iter().map(Self::from_json).collect();
                let depth = 1 + items.iter().map(Self::depth).max().unwrap_or(0);
                Self::List(Rc::new(Items { items, depth }))
            }
            Json::Object(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(k, v)| (Self::text(k), Self::from_json(v))).collect();
                let depth = 1 + entries.iter().map(|(_, value)| value.depth()).max().unwrap_or(0);
                Self::Dict(Rc::new(Dict { entries, depth }))
            }
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::View(_, items) => items.depth,
            Self::Iterator(items) => 1 + items.borrow().iter().map(Self::depth).max().unwrap_or(0),
            Self::Dict(dict) => dict.depth,
            Self::Cycler(cycler) => cycler.0.depth,
            Self::Method(method) => method.0.depth(),
            Self::Namespace(_) | Self::Loop(_) => usize::MAX,
            _ => 0,
        }
    }

    /// What Python calls its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "undefined value",
            Self::None => "None",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::Safe(_) => "Markup",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::View(kind, _) => kind,
            Self::Iterator(_) => "generator",
            Self::Dict(_) => "dict",
            Self::Namespace(_) => "namespace",
            Self::Loop(_) => "loop",
            Self::Cycler(_) => "cycler",
            Self::Joiner(_) => "joiner",
            Self::Macro(_) => "macro",
            Self::Method(_) => "method",
            Self::Function(_) => "function",
        }
    }

    pub(super) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Integer(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) | Self::Safe(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) | Self::View(_, items) => {
                !items.items.is_empty()
            }
            Self::Dict(dict) => !dict.entries.is_empty(),
            _ => true,
        }
    }

    /// The values of a sequence, or nothing.
    pub(super) fn sequence(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::View(_, items) => Some(&items.items),
            _ => None,
        }
    }

    /// All that a loop goes through.
    pub(super) fn items(&self, budget: &Budget) -> Outcome<Vec<Self>> {
        let items = match self {
            Self::Undefined(_) => Vec::new(),
            Self::Text(text) | Self::Safe(text) => {
                budget.spend(32 * text.len() as u64)?;
                text.chars().map(|c| Self::text(c.encode_utf8(&mut [0; 4]))).collect()
            }
            Self::Dict(dict) => {
                budget.spend(32 * dict.entries.len() as u64)?;
                dict.entries.iter().map(|(key, _)| key.clone()).collect()
            }
            Self::Iterator(items) => items.take(),
            _ => {
                let items = self
                    .sequence()
                    .ok_or_else(|| format!("a {} cannot be gone through", self.kind()))?;
                budget.spend(32 * items.len() as u64)?;
                items.to_vec()
            }
        };
        Ok(items)
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Safe(text) => Some(text),
            _ => None,
        }
    }

    /// Whole numbers, and truth values as 0 and 1.
    pub(super) fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bool(value) => Some(i128::from(*value)),
            _ => None,
        }
    }

    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            _ => self.as_integer().map(|number| number as f64),
        }
    }

    pub(super) fn equals(&self, other: &Self, budget: &Budget) -> Outcome<bool> {
        budget.spend(4)?;
        let same_items = |one: &Items, other: &Items| {
            if one.items.len() != other.items.len() {
                return Ok(false);
            }
            for (one, other) in one.items.iter().zip(&other.items) {
                if !one.equals(other, budget)? {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        if let (Some(one), Some(other)) = (self.as_integer(), other.as_integer()) {
            return Ok(one == other);
        }
        if let (Some(one), Some(other)) = (self.as_float(), other.as_float()) {
            #[allow(clippy::float_cmp, reason = "equal as Python has it")]
            return Ok(one == other);
        }
        if let (Some(one), Some(other)) = (self.as_text(), other.as_text()) {
            budget.spend(one.len().min(other.len()) as u64 / 16)?;
            return Ok(one == other);
        }
        match (self, other) {
            (Self::Undefined(_), Self::Undefined(_)) | (Self::None, Self::None) => Ok(true),
            (Self::List(one), Self::List(other)) | (Self::Tuple(one), Self::Tuple(other)) => {
                same_items(one, other)
            }
            (Self::View(one, a), Self::View(other, b)) if one == other => same_items(a, b),
            (Self::Dict(one), Self::Dict(other)) => {
                if one.entries.len() != other.entries.len() {
                    return Ok(false);
                }
                for (key, value) in &one.entries {
                    match other.get(key, budget)? {
                        Some(found) if found.equals(value, budget)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            (Self::Namespace(one), Self::Namespace(other)) => Ok(Rc::ptr_eq(one, other)),
            (Self::Macro(one), Self::Macro(other)) => Ok(Rc::ptr_eq(one, other)),
            (Self::Function(one), Self::Function(other)) => Ok(one == other),
            _ => Ok(false),
        }
    }

    /// Which comes first; a fault where Python cannot say.
    pub(super) fn order(&self, other: &Self, budget: &Budget) -> Outcome<Option<Ordering>> {
        budget.spend(4)?;
        if let (Some(one), Some(other)) = (self.as_integer(), other.as_integer()) {
            return Ok(Some(one.cmp(&other)));
        }
        if let (Some(one), Some(other)) = (self.as_float(), other.as_float()) {
            return Ok(one.partial_cmp(&other));
        }
        if let (Some(one), Some(other)) = (self.as_text(), other.as_text()) {
            budget.spend(one.len().min(other.len()) as u64 / 16)?;
            // Bytes of UTF-8 are in the order of their characters.
            return Ok(Some(one.cmp(other)));
        }
        match (self, other) {
            (Self::List(one), Self::List(other)) | (Self::Tuple(one), Self::Tuple(other)) => {
                for (one, other) in one.items.iter().zip(&other.items) {
                    if !one.equals(other, budget)? {
                        return one.order(other, budget);
                    }
                }
                Ok(Some(one.items.len().cmp(&other.items.len())))
            }
            _ => Err(format!("a {} and a {} have no order", self.kind(), other.kind())),
        }
    }

    /// Whether `self` holds `value`.
    pub(super) fn contains(&self, value: &Self, budget: &Budget) -> Outcome<bool> {
        match self {
            Self::Text(text) | Self::Safe(text) => {
                let part = value
                    .as_text()
                    .ok_or_else(|| format!("a {} cannot be in a str", value.kind()))?;
                budget.spend(text.len() as u64)?;
                Ok(text.contains(part))
            }
            Self::Dict(dict) => Ok(dict.get(value, budget)?.is_some()),
            _ => {
                for item in self.items(budget)? {
                    if item.equals(value, budget)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }

    /// How many characters, values or keys it has.
    pub(super) fn length(&self, budget: &Budget) -> Outcome<usize> {
        match self {
            Self::Undefined(_) => Ok(0),
            Self::Text(text) | Self::Safe(text) => {
                budget.spend(text.len() as u64)?;
                Ok(text.chars().count())
            }
            Self::Dict(dict) => Ok(dict.entries.len()),
            _ => self
                .sequence()
                .map(<[Self]>::len)
                .ok_or_else(|| format!("a {} has no length", self.kind())),
        }
    }
}
