//! How kinds of objects are declared in this crate: a struct or an enum with its keys,
//! how it is read and its JSON Schema, in one place.

use super::shape::Shape;
use crate::value::{At, Place};

/// A set of words of which one is chosen.
pub trait Choice: Copy + PartialEq + std::fmt::Display + 'static {
    /// Every one of them.
    const ALL: &'static [Self];

    /// The word as written.
    fn word(self) -> &'static str;
}

/// An option that not every type of an object has.
#[derive(Clone, Copy, Debug)]
pub struct TypedOption<T: 'static> {
    /// The key.
    pub name: &'static str,
    /// The types that have it.
    pub types: &'static [T],
    /// Those of them that cannot be without it.
    pub required: &'static [T],
}

/// An object whose `type` decides which options it has.
pub trait Typed: Shape {
    /// The types.
    type Type: Choice;
    /// The options that only some types have, or that some type requires. Every type may have the others.
    const OPTIONS: &'static [TypedOption<Self::Type>];

    /// Its type.
    fn kind(&self) -> &At<Self::Type>;

    /// Where an option stands, if it is there.
    fn place(&self, option: &str) -> Option<&Place>;
}

/// Declares a struct that is read from a map: its fields, how they are read and
/// their JSON Schema, in one place. With `typed`, an option that only some types have
/// names them behind `=>`, and those that require it behind `required`.
macro_rules! declaration {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident as $what:literal typed $kind:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $mode:ident $key:literal $field:ident: $type:ty
                $(=> $of:tt $(required $by:tt)?)?,
            )*
        }
    ) => {
        declaration! {
            $(#[doc = $doc])*
            pub struct $name as $what {
                $( $(#[doc = $field_doc])* $mode $key $field: $type, )*
            }
        }

        impl $crate::declare::declaration::Typed for $name {
            type Type = $kind;
            const OPTIONS: &'static [$crate::declare::declaration::TypedOption<$kind>] = &[$($(
                $crate::declare::declaration::TypedOption {
                    name: $key,
                    types: declaration!(@types $kind $of),
                    required: declaration!(@types $kind $($by)?),
                },
            )?)*];

            fn kind(&self) -> &$crate::value::At<$kind> {
                &self.kind
            }

            fn place(&self, option: &str) -> Option<&$crate::value::Place> {
                match option {
                    $( $key => declaration!(@place $mode self $field), )*
                    _ => None,
                }
            }
        }
    };
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident as $what:literal {
            $( $(#[doc = $field_doc:literal])* $mode:ident $key:literal $field:ident: $type:ty, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: declaration!(@type $mode $type), )*
        }

        impl $crate::declare::shape::Shape for $name {
            fn read(
                node: &$crate::declare::yaml::Node,
                findings: &mut $crate::declare::finding::Findings,
            ) -> Option<Self> {
                let mut fields = $crate::declare::shape::Fields::of(node, $what, findings)?;
                $( let $field = declaration!(@read $mode fields $key findings); )*
                fields.finish(findings);
                Some(Self { $( $field: declaration!(@value $mode $field), )* })
            }

            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                let mut required: Vec<serde_json::Value> = Vec::new();
                $(
                    let mut schema = <$type as $crate::declare::shape::Shape>::schema();
                    if let Some(object) = schema.as_object_mut() {
                        let text = [$($field_doc),*].concat();
                        object.insert("description".to_owned(), text.trim().into());
                    }
                    properties.insert($key.to_owned(), schema);
                    if stringify!($mode) == "required" {
                        required.push($key.into());
                    }
                )*
                serde_json::json!({
                    "type": "object",
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                })
            }
        }
    };
    (@type required $type:ty) => { $crate::value::At<$type> };
    (@type optional $type:ty) => { Option<$crate::value::At<$type>> };
    (@read $mode:ident $fields:ident $key:literal $findings:ident) => {
        $fields.$mode($key, $findings)
    };
    (@types $kind:ident) => { &[] };
    (@types $kind:ident [$($of:ident)*]) => { &[$($kind::$of),*] };
    (@place required $object:ident $field:ident) => { Some(&$object.$field.place) };
    (@place optional $object:ident $field:ident) => { $object.$field.as_ref().map(|at| &at.place) };
    (@value required $field:ident) => { $field? };
    (@value optional $field:ident) => { $field };
}

/// Declares an enum of words.
macro_rules! choices {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident as $what:literal { $( $(#[doc = $variant_doc:literal])* $word:literal $variant:ident, )* }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $variant_doc])* $variant, )* }

        impl $crate::declare::declaration::Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),*];

            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl $name {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word as written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::declare::shape::Shape for $name {
            fn read(
                node: &$crate::declare::yaml::Node,
                findings: &mut $crate::declare::finding::Findings,
            ) -> Option<Self> {
                $crate::declare::shape::choice(node, $what, Self::WORDS, findings).map(|index| {
                    [$(Self::$variant),*][index]
                })
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({ "enum": Self::WORDS })
            }
        }
    };
}
