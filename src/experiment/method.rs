//! Methods: what differs from GRPO, with settings that belong to each.
//!
//! A method's file registers it with [`register_method!`](crate::register_method), and nothing else
//! has to name it. An experiment file says `method: G2rl(lambda: 0.5)` for a method of this program,
//! and `method: Custom("brevity", (strength: 0.5))` for one that a program built on this crate
//! brings.

use super::config::{EncoderSource, Experiment};
use super::parse::in_one_line;
use crate::error::{Result, nearest};
use bevy_app::{App, Plugin};
use ron::value::RawValue;
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, SeqAccess, VariantAccess, Visitor,
};
use serde::ser::SerializeTupleVariant;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::{Any, TypeId};
use std::collections::BTreeSet;
use std::fmt::{self, Debug};
use std::sync::LazyLock;

/// A method: a plugin whose fields are its settings.
///
/// Derive the rest, with `#[serde(default, deny_unknown_fields)]`, and register the type with
/// [`register_method!`](crate::register_method).
pub trait Method:
    Plugin + Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned
{
    /// Its name in experiment files.
    const NAME: &'static str;
    /// Its name as shown.
    const LABEL: &'static str;
    /// Its colour in the window and in figures; left out, one that such methods share.
    const COLOR: Option<MethodColor> = None;

    /// Refuses settings out of range, each by its path, such as `method.lambda`.
    fn validate(&self, experiment: &Experiment) -> Result<()> {
        let _ = experiment;
        Ok(())
    }

    /// The sentence encoder that it measures with, if it does.
    fn encoder(&self) -> Option<&EncoderSource> {
        None
    }

    /// The same, to settle where it comes from.
    fn encoder_mut(&mut self) -> Option<&mut EncoderSource> {
        None
    }

    /// Whether it measures with the sentence encoder of `record.encoder`, so that there is one though
    /// the experiment names none.
    fn needs_encoder(&self) -> bool {
        false
    }
}

/// A method's colour: red, green and blue, 0 to 255, readable on a dark and on a light ground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodColor {
    /// On a dark ground.
    pub on_dark: [u8; 3],
    /// On a light ground.
    pub on_light: [u8; 3],
}

/// A registered method, whatever its type.
pub struct MethodKind {
    name: &'static str,
    label: &'static str,
    color: Option<MethodColor>,
    /// Whether it is written by its name alone, and not within `Custom(..)`.
    is_built_in: bool,
    /// Whether an experiment that names no method has it.
    is_default: bool,
    /// Whether it has no settings, and is written without brackets.
    is_bare: bool,
    of: fn() -> TypeId,
    make: fn() -> Box<dyn AnyMethod>,
    read: fn(&mut dyn erased_serde::Deserializer<'_>) -> erased_serde::Result<Box<dyn AnyMethod>>,
}

inventory::collect!(MethodKind);

impl MethodKind {
    /// What is registered of a method that a program built on this crate brings.
    pub const fn of<M: Method>() -> Self {
        Self {
            name: M::NAME,
            label: M::LABEL,
            color: M::COLOR,
            is_built_in: false,
            is_default: false,
            is_bare: size_of::<M>() == 0,
            of: TypeId::of::<M>,
            make: || Box::new(M::default()),
            read: |from| Ok(Box::new(erased_serde::deserialize::<M>(from)?)),
        }
    }

    /// The same of a method of this program.
    pub(crate) const fn built_in<M: Method>() -> Self {
        Self { is_built_in: true, ..Self::of::<M>() }
    }

    /// The same of the method of an experiment that names none.
    pub(crate) const fn by_default(self) -> Self {
        Self { is_default: true, ..self }
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }

    /// Whether this program itself has a method of this name.
    pub(crate) fn is_built_in(name: &str) -> bool {
        Self::find(name, true).is_some()
    }

    fn find(name: &str, is_built_in: bool) -> Option<&'static Self> {
        Self::all().find(|kind| kind.name == name && kind.is_built_in == is_built_in)
    }

    /// A name that two methods have, so that nobody knows which of them a file means.
    pub(crate) fn registered_twice() -> Option<&'static str> {
        let mut known = BTreeSet::new();
        Self::all().map(|kind| kind.name).find(|name| !known.insert(*name))
    }

    /// Asks whether the registered method with a name like `name` was meant; empty where there is
    /// none. Follows on a statement.
    pub(crate) fn hint(name: &str) -> String {
        let near = nearest(name, Self::all().map(|kind| kind.name));
        match near.and_then(|near| Self::all().find(|kind| kind.name == near)) {
            Some(kind) if kind.is_built_in => {
                format!("; did you mean `{}`, without Custom(..)?", kind.name)
            }
            Some(kind) => format!("; did you mean `{}`?", kind.name),
            None => String::new(),
        }
    }

    /// All names as shown.
    #[cfg(test)]
    pub(crate) fn labels() -> impl Iterator<Item = &'static str> {
        Self::all().map(|kind| kind.label)
    }

    /// The colour of the method with this label, if it has one of its own.
    pub(crate) fn color_of(label: &str) -> Option<MethodColor> {
        Self::all().find(|kind| kind.label == label)?.color
    }
}

/// Registers a method of a program that is built on this crate: a type that implements
/// [`Method`](crate::experiment::Method).
#[macro_export]
macro_rules! register_method {
    ($method:ty) => {
        $crate::__inventory::submit! { $crate::experiment::MethodKind::of::<$method>() }
    };
}

/// A method with its settings, of whatever type.
trait AnyMethod: Debug + Send + Sync {
    fn kind(&self) -> &'static MethodKind;
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn copy(&self) -> Box<dyn AnyMethod>;
    fn equals(&self, other: &dyn AnyMethod) -> bool;
    fn settings(&self) -> &dyn erased_serde::Serialize;
    fn validate(&self, experiment: &Experiment) -> Result<()>;
    fn encoder(&self) -> Option<&EncoderSource>;
    fn encoder_mut(&mut self) -> Option<&mut EncoderSource>;
    fn needs_encoder(&self) -> bool;
    fn add_to(&self, app: &mut App);
}

impl<M: Method> AnyMethod for M {
    fn kind(&self) -> &'static MethodKind {
        let registered = MethodKind::all().find(|kind| (kind.of)() == TypeId::of::<M>());
        registered.unwrap_or(const { &MethodKind::of::<M>() })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn copy(&self) -> Box<dyn AnyMethod> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn AnyMethod) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }

    fn settings(&self) -> &dyn erased_serde::Serialize {
        self
    }

    fn validate(&self, experiment: &Experiment) -> Result<()> {
        Method::validate(self, experiment)
    }

    fn encoder(&self) -> Option<&EncoderSource> {
        Method::encoder(self)
    }

    fn encoder_mut(&mut self) -> Option<&mut EncoderSource> {
        Method::encoder_mut(self)
    }

    fn needs_encoder(&self) -> bool {
        M::needs_encoder(self)
    }

    fn add_to(&self, app: &mut App) {
        app.add_plugins(self.clone());
    }
}

/// The method of an experiment, with its settings.
pub struct MethodConfig(Held);

enum Held {
    /// One that is registered in this process.
    Known(Box<dyn AnyMethod>),
    /// One of another program, whose run folder this one reads: its settings stay the text they
    /// are.
    Foreign { name: String, settings: Box<RawValue> },
}

impl MethodConfig {
    /// The settings, if the method is of this type.
    pub fn get<M: Method>(&self) -> Option<&M> {
        match &self.0 {
            Held::Known(method) => method.as_any().downcast_ref(),
            Held::Foreign { .. } => None,
        }
    }

    /// The settings to change, if the method is of this type.
    pub fn get_mut<M: Method>(&mut self) -> Option<&mut M> {
        match &mut self.0 {
            Held::Known(method) => method.as_any_mut().downcast_mut(),
            Held::Foreign { .. } => None,
        }
    }

    /// The method's name as shown.
    pub fn label(&self) -> &str {
        match &self.0 {
            Held::Known(method) => method.kind().label,
            Held::Foreign { name, .. } => name,
        }
    }

    /// The name of the method if it is registered nowhere in this process, so that it cannot run
    /// here.
    pub fn foreign(&self) -> Option<&str> {
        match &self.0 {
            Held::Known(_) => None,
            Held::Foreign { name, .. } => Some(name),
        }
    }

    /// Refuses settings out of range, each by its path. Those of a foreign method are not looked
    /// at.
    pub fn validate(&self, experiment: &Experiment) -> Result<()> {
        match &self.0 {
            Held::Known(method) => method.validate(experiment),
            Held::Foreign { .. } => Ok(()),
        }
    }

    /// The sentence encoder that the method measures with, if it does.
    pub fn encoder(&self) -> Option<&EncoderSource> {
        match &self.0 {
            Held::Known(method) => method.encoder(),
            Held::Foreign { .. } => None,
        }
    }

    /// The same, to settle where it comes from.
    pub fn encoder_mut(&mut self) -> Option<&mut EncoderSource> {
        match &mut self.0 {
            Held::Known(method) => method.encoder_mut(),
            Held::Foreign { .. } => None,
        }
    }

    /// Whether it measures with the sentence encoder of `record.encoder`.
    pub fn needs_encoder(&self) -> bool {
        match &self.0 {
            Held::Known(method) => method.needs_encoder(),
            Held::Foreign { .. } => false,
        }
    }

    /// Adds the method's plugin to an app. A foreign one has none.
    pub fn add_to(&self, app: &mut App) {
        if let Held::Known(method) = &self.0 {
            method.add_to(app);
        }
    }
}

impl<M: Method> From<M> for MethodConfig {
    fn from(method: M) -> Self {
        Self(Held::Known(Box::new(method)))
    }
}

impl Default for MethodConfig {
    fn default() -> Self {
        match MethodKind::all().find(|kind| kind.is_default) {
            Some(kind) => Self(Held::Known((kind.make)())),
            None => unreachable!("a method of this crate is registered as the default"),
        }
    }
}

impl Clone for MethodConfig {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Held::Known(method) => Held::Known(method.copy()),
            Held::Foreign { name, settings } => {
                Held::Foreign { name: name.clone(), settings: settings.clone() }
            }
        })
    }
}

impl Debug for MethodConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Held::Known(method) => method.fmt(f),
            Held::Foreign { name, settings } => {
                write!(f, "Custom({name:?}, {})", settings.get_ron())
            }
        }
    }
}

impl PartialEq for MethodConfig {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Held::Known(one), Held::Known(other)) => one.equals(other.as_ref()),
            (Held::Foreign { name, settings }, Held::Foreign { name: other, settings: others }) => {
                name == other && settings.get_ron() == others.get_ron()
            }
            _ => false,
        }
    }
}

/// The enum that an experiment file sees, and its choice for methods from outside.
const ENUM: &str = "MethodConfig";
const CUSTOM: &str = "Custom";

impl Serialize for MethodConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let custom = |serializer: S, name: &str, settings: &dyn erased_serde::Serialize| {
            let mut written = serializer.serialize_tuple_variant(ENUM, 1, CUSTOM, 2)?;
            written.serialize_field(name)?;
            written.serialize_field(settings)?;
            written.end()
        };
        match &self.0 {
            Held::Known(method) => match method.kind() {
                kind if !kind.is_built_in => custom(serializer, kind.name, method.settings()),
                kind if kind.is_bare => serializer.serialize_unit_variant(ENUM, 0, kind.name),
                kind => serializer.serialize_newtype_variant(ENUM, 0, kind.name, method.settings()),
            },
            Held::Foreign { name, settings } => custom(serializer, name, settings),
        }
    }
}

/// The choices that a file has, for messages.
static CHOICES: LazyLock<&'static [&'static str]> = LazyLock::new(|| {
    let built_in = MethodKind::all().filter(|kind| kind.is_built_in).map(|kind| kind.name);
    let mut names: Vec<&'static str> = built_in.chain([CUSTOM]).collect();
    names.sort_unstable();
    names.leak()
});

impl<'de> Deserialize<'de> for MethodConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum(ENUM, &CHOICES, MethodVisitor)
    }
}

struct MethodVisitor;

impl<'de> Visitor<'de> for MethodVisitor {
    type Value = MethodConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a method, such as {:?}", MethodConfig::default())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<MethodConfig, A::Error> {
        let (name, variant) = access.variant_seed(Name)?;
        if name == CUSTOM {
            return variant.tuple_variant(2, CustomVisitor);
        }
        let kind = MethodKind::find(&name, true);
        let kind = kind.ok_or_else(|| A::Error::unknown_variant(&name, &CHOICES))?;
        if kind.is_bare {
            variant.unit_variant()?;
            return Ok(MethodConfig(Held::Known((kind.make)())));
        }
        variant.newtype_variant_seed(Settings(kind)).map(|method| MethodConfig(Held::Known(method)))
    }
}

/// The name of a choice.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a method")
    }

    fn visit_str<E>(self, name: &str) -> Result<String, E> {
        Ok(name.to_string())
    }
}

/// Reads the settings of a method of this kind.
struct Settings(&'static MethodKind);

impl<'de> DeserializeSeed<'de> for Settings {
    type Value = Box<dyn AnyMethod>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        (self.0.read)(&mut <dyn erased_serde::Deserializer<'_>>::erase(deserializer))
            .map_err(D::Error::custom)
    }
}

/// `Custom("name", settings)`; without settings in files of older versions.
struct CustomVisitor;

impl<'de> Visitor<'de> for CustomVisitor {
    type Value = MethodConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a method and its settings, as in Custom(\"name\", (strength: 0.5))")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<MethodConfig, A::Error> {
        let name: String =
            sequence.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let Some(kind) = MethodKind::find(&name, false) else {
            let settings: Option<Box<RawValue>> = sequence.next_element()?;
            let text =
                settings.map_or("()".to_string(), |settings| in_one_line(settings.get_ron()));
            let settings = RawValue::from_boxed_ron(text.into()).map_err(A::Error::custom)?;
            return Ok(MethodConfig(Held::Foreign { name, settings }));
        };
        let method = sequence.next_element_seed(Settings(kind))?.unwrap_or_else(kind.make);
        Ok(MethodConfig(Held::Known(method)))
    }
}
