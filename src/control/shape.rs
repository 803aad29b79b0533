//! JSON shapes as data, so that the OpenAPI document cannot drift from the structs.
//!
//! `message!` and `words!` write the
//! type and its schema from one source: a field that is added, renamed or documented changes both.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A type whose JSON form can be described.
pub trait Shape {
    /// The schema to write where the type is used: a `$ref` for a named message, the schema itself for others.
    fn schema(defs: &mut Map<String, Value>) -> Value;
}

macro_rules! plain {
    ($($type:ty => $schema:tt),+ $(,)?) => {
        $(impl Shape for $type {
            fn schema(_: &mut Map<String, Value>) -> Value {
                json!($schema)
            }
        })+
    };
}

plain! {
    String => {"type": "string"},
    bool => {"type": "boolean"},
    u8 => {"type": "integer", "minimum": 0},
    u16 => {"type": "integer", "minimum": 0},
    u32 => {"type": "integer", "minimum": 0},
    u64 => {"type": "integer", "minimum": 0},
    i32 => {"type": "integer"},
    i64 => {"type": "integer"},
    Timestamp => {"type": "string", "format": "date-time"},
    Value => {},
}

impl<T: Shape> Shape for Option<T> {
    fn schema(defs: &mut Map<String, Value>) -> Value {
        let inner = T::schema(defs);
        match inner.get("type").and_then(Value::as_str) {
            Some(name) if inner.get("enum").is_none() => {
                let mut schema = inner.clone();
                schema["type"] = json!([name, "null"]);
                schema
            }
            _ => json!({"anyOf": [inner, {"type": "null"}]}),
        }
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({"type": "array", "items": T::schema(defs)})
    }
}

impl<T: Shape> Shape for BTreeMap<String, T> {
    fn schema(defs: &mut Map<String, Value>) -> Value {
        json!({"type": "object", "additionalProperties": T::schema(defs)})
    }
}

/// Puts a named schema into `defs` once and answers with a reference to it.
pub fn named(
    name: &str,
    defs: &mut Map<String, Value>,
    make: impl FnOnce(&mut Map<String, Value>) -> Value,
) -> Value {
    if !defs.contains_key(name) {
        // The placeholder ends the recursion of a type that contains itself.
        defs.insert(name.to_owned(), Value::Null);
        let schema = make(defs);
        defs.insert(name.to_owned(), schema);
    }
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Joins doc comment lines to one description.
pub fn description(lines: &[&str]) -> String {
    lines.iter().map(|it| it.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// A struct of the protocol and its schema.
///
/// After the name stands who writes it: `answer` (unknown fields are ignored by readers, every field is
/// always present) or `request` (unknown fields are refused, every field may be left out).
macro_rules! message {
    ($(#[doc = $doc:literal])* $who:ident $name:ident {
        $($(#[doc = $fdoc:literal])* $(#[serde($($attr:tt)*)])? $field:ident: $type:ty,)*
    }) => {
        $crate::control::shape::message!(@derive $who
            $(#[doc = $doc])*
            pub struct $name {
                $($(#[doc = $fdoc])* $(#[serde($($attr)*)])? pub $field: $type,)*
            }
        );

        impl $crate::control::shape::Shape for $name {
            fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
                $crate::control::shape::named(stringify!($name), defs, |defs| {
                    let mut properties = serde_json::Map::new();
                    let mut required: Vec<&str> = Vec::new();
                    $({
                        let name = stringify!($field).trim_start_matches("r#");
                        let mut schema = <$type as $crate::control::shape::Shape>::schema(defs);
                        let text = $crate::control::shape::description(&[$($fdoc),*]);
                        if !text.is_empty() && schema.get("$ref").is_none() {
                            schema["description"] = serde_json::json!(text);
                        }
                        properties.insert(name.to_owned(), schema);
                        if !concat!($(stringify!($($attr)*))?).contains("skip_serializing_if") {
                            required.push(name);
                        }
                    })*
                    $crate::control::shape::message!(@object $who properties required
                        $crate::control::shape::description(&[$($doc),*]))
                })
            }
        }
    };
    (@derive answer $($item:tt)*) => {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        $($item)*
    };
    (@derive request $($item:tt)*) => {
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $($item)*
    };
    (@object answer $properties:ident $required:ident $text:expr) => {
        serde_json::json!({
            "type": "object", "description": $text, "properties": $properties, "required": $required,
        })
    };
    (@object request $properties:ident $required:ident $text:expr) => {{
        let _ = $required;
        serde_json::json!({
            "type": "object", "description": $text, "properties": $properties, "additionalProperties": false,
        })
    }};
}
pub(crate) use message;

/// A closed set of words: the enum, its words on the wire, and its schema.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $wdoc:literal])* $word:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[doc = $wdoc])* #[serde(rename = $text)] $word,)+
        }

        impl $name {
            /// Every word, in the order the documents list them.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }

            /// The value behind a word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::control::shape::Shape for $name {
            fn schema(defs: &mut serde_json::Map<String, serde_json::Value>) -> serde_json::Value {
                $crate::control::shape::named(stringify!($name), defs, |_| serde_json::json!({
                    "type": "string",
                    "description": $crate::control::shape::description(&[$($doc),*]),
                    "enum": [$($text),+],
                }))
            }
        }
    };
}
pub(crate) use words;
