//! Fields as rows of the table, and the structs that are made from such rows.

use serde_json::{Map, Value};

use super::kind::{Kind, Warning};

/// A field of a record type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The name in JSON.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// Whether a record of the type is incomplete without it.
    pub is_required: bool,
    /// The meaning of the field, in Markdown.
    pub about: &'static str,
}

/// The result of offering a value to a struct.
pub(crate) enum Offered {
    /// The struct has read it.
    Taken,
    /// The struct has no field of this name.
    Unknown(Value),
    /// The field has another kind.
    Wrong(Value, Warning),
}

/// Makes a struct whose fields are read one by one, and the rows that describe them.
macro_rules! field_struct {
    (
        $(#[$meta:meta])*
        $name:ident {
            $($(#[doc = $about:literal])+ $field:ident $wire:literal: $type:ty $(, $required:ident)?;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Debug, Default)]
        pub struct $name {
            $($(#[doc = $about])+ pub $field: Option<$type>,)*
        }

        impl $name {
            /// The rows of its fields.
            pub(crate) const FIELDS: &'static [$crate::records::field::Field] = &[
                $($crate::records::field::Field {
                    name: $wire,
                    kind: <$type as $crate::records::kind::FieldValue>::KIND,
                    is_required: {
                        let marks: &[&str] = &[$(stringify!($required))?];
                        !marks.is_empty()
                    },
                    about: concat!($($about),+).trim_ascii(),
                },)*
            ];

            /// Reads a field. The value must not be null.
            pub(crate) fn offer(
                &mut self,
                name: &str,
                value: serde_json::Value,
            ) -> $crate::records::field::Offered {
                use $crate::records::field::Offered;
                use $crate::records::kind::{FieldValue, Warning};
                match name {
                    $($wire => match <$type as FieldValue>::read(value) {
                        Ok(value) => {
                            self.$field = Some(value);
                            Offered::Taken
                        }
                        Err(value) => {
                            let warning = Warning::new($wire, <$type as FieldValue>::KIND, &value);
                            Offered::Wrong(value, warning)
                        }
                    },)*
                    _ => Offered::Unknown(value),
                }
            }

            /// Adds the fields that are present to an object.
            pub(crate) fn write(self, out: &mut serde_json::Map<String, serde_json::Value>) {
                use $crate::records::kind::FieldValue;
                $(if let Some(value) = self.$field {
                    out.insert($wire.to_owned(), FieldValue::write(value));
                })*
                let _ = out;
            }
        }
    };
}
pub(crate) use field_struct;

/// Reads the fields of a nested object. Returns those that are not known or of another kind.
pub(crate) fn read_nested(
    fields: Map<String, Value>,
    mut offer: impl FnMut(&str, Value) -> Offered,
) -> Map<String, Value> {
    let mut rest = Map::new();
    for (name, value) in fields {
        if value.is_null() {
            rest.insert(name, value);
            continue;
        }
        match offer(&name, value) {
            Offered::Taken => {}
            Offered::Unknown(value) | Offered::Wrong(value, _) => {
                rest.insert(name, value);
            }
        }
    }
    rest
}
