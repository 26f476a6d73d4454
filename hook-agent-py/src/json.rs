//! Python's values as JSON text, in one walk.
//!
//! What `json.dumps` writes, this writes: `dict`, `list`, `tuple`, `str`, `int` of any size, `float`, `bool`, `None`,
//! their subclasses (so `str` and `int` enums too), and keys that are strings, numbers, `bool` or `None`. Unlike
//! it, NaN and the infinities are refused, as no JSON has them. Whatever is refused is named by its path.

use hook_agent::{Error, MAX_EVENT_BYTES};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// The service takes 126 levels around and within an event.
const MAX_DEPTH: usize = 120;
/// A path in an error names so many steps at most.
const MAX_STEPS: usize = 12;

/// The JSON text of what a call was given.
pub(crate) fn text(call: &'static str, value: &Bound<'_, PyAny>) -> Result<String, Error> {
    let mut writer = Writer { out: Vec::with_capacity(512), depth: 0 };
    writer.value(value).map_err(|refusal| refusal.of(call))?;
    // Never fails: it is made of strings and ASCII.
    String::from_utf8(writer.out).map_err(|error| Error::NotJson { call, reason: error.to_string() })
}

struct Writer {
    out: Vec<u8>,
    depth: usize,
}

enum Refusal {
    /// The way to the value, innermost step first, and why it is refused.
    Value { steps: Vec<String>, reason: String },
    /// Larger than any event may be; so many bytes at least.
    Size(usize),
}

type Written = Result<(), Refusal>;

impl Writer {
    fn value(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if let Ok(text) = value.cast::<PyString>() {
            self.string(text)
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.nested(|writer| writer.dict(dict))
        } else if value.is_none() {
            self.plain("null")
        } else if let Ok(truth) = value.cast::<PyBool>() {
            self.plain(if truth.is_true() { "true" } else { "false" })
        } else if let Ok(number) = value.cast::<PyInt>() {
            self.int(number)
        } else if let Ok(number) = value.cast::<PyFloat>() {
            self.float(number.value())
        } else if let Ok(list) = value.cast::<PyList>() {
            self.nested(|writer| writer.array(list.iter()))
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.nested(|writer| writer.array(tuple.iter()))
        } else {
            Err(refused(format!("is a {}, which JSON has not{}", type_name(value), advice(value))))
        }
    }

    fn nested(&mut self, write: impl FnOnce(&mut Self) -> Written) -> Written {
        if self.depth == MAX_DEPTH {
            return Err(refused(format!("is nested deeper than {MAX_DEPTH} levels, or contains itself")));
        }
        self.depth += 1;
        write(self)?;
        self.depth -= 1;
        Ok(())
    }

    /// From a copy of its items: nothing that runs meanwhile can change what is walked.
    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Written {
        let items = if dict.is_exact_instance_of::<PyDict>() { dict.items() } else { own_items(dict)? };
        self.out.push(b'{');
        for (index, item) in items.iter().enumerate() {
            let (key, value) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>().map_err(raised)?;
            if index > 0 {
                self.out.push(b',');
            }
            self.key(&key).map_err(|refusal| refusal.beneath(|| step(&key)))?;
            self.out.push(b':');
            self.value(&value).map_err(|refusal| refusal.beneath(|| step(&key)))?;
        }
        self.plain("}")
    }

    fn array<'py>(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>) -> Written {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(&item).map_err(|refusal| refusal.beneath(|| format!("[{index}]")))?;
        }
        self.plain("]")
    }

    fn key(&mut self, key: &Bound<'_, PyAny>) -> Written {
        if let Ok(text) = key.cast::<PyString>() {
            return self.string(text);
        }
        if !(key.is_none() || key.is_instance_of::<PyInt>() || key.is_instance_of::<PyFloat>()) {
            return Err(refused(format!("has a {} as its key", type_name(key))));
        }
        self.out.push(b'"');
        self.value(key)?;
        self.plain("\"")
    }

    fn string(&mut self, text: &Bound<'_, PyString>) -> Written {
        let length = text.len().map_err(raised)?;
        self.check_size(length)?;
        let Ok(text) = text.to_cow() else {
            return Err(refused("has a lone surrogate, which is no character".to_owned()));
        };
        serde_json::to_writer(&mut self.out, &*text).map_err(|error| refused(error.to_string()))
    }

    fn int(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(number) = number.extract::<i64>() {
            return serde_json::to_writer(&mut self.out, &number).map_err(|error| refused(error.to_string()));
        }
        // A subclass may print itself in a way of its own.
        let digits = number.py().get_type::<PyInt>().call_method1("__repr__", (number,)).map_err(raised)?;
        let digits = digits.extract::<String>().map_err(raised)?;
        self.plain(&digits)
    }

    fn float(&mut self, number: f64) -> Written {
        if !number.is_finite() {
            return Err(refused(format!("is {number}, which JSON has not")));
        }
        serde_json::to_writer(&mut self.out, &number).map_err(|error| refused(error.to_string()))
    }

    fn plain(&mut self, text: &str) -> Written {
        self.out.extend_from_slice(text.as_bytes());
        self.check_size(0)
    }

    fn check_size(&self, more: usize) -> Written {
        let bytes = self.out.len() + more;
        if bytes > MAX_EVENT_BYTES { Err(Refusal::Size(bytes)) } else { Ok(()) }
    }
}

/// What a subclass of `dict` says that it holds.
fn own_items<'py>(dict: &Bound<'py, PyDict>) -> Result<Bound<'py, PyList>, Refusal> {
    let items = dict.call_method0("items").map_err(raised)?;
    items
        .try_iter()
        .and_then(|items| PyList::new(dict.py(), items.collect::<PyResult<Vec<_>>>()?))
        .map_err(raised)
}

fn refused(reason: String) -> Refusal {
    Refusal::Value { steps: Vec::new(), reason }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` calls")]
fn raised(error: PyErr) -> Refusal {
    refused(format!("raised {error}"))
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string())
}

fn advice(value: &Bound<'_, PyAny>) -> &'static str {
    match type_name(value).as_str() {
        "datetime" | "date" | "time" => ": pass its `isoformat()`",
        "set" | "frozenset" => ": pass a list",
        "bytes" | "bytearray" => ": decode it",
        "Decimal" => ": pass a `float` or a `str`",
        _ => "",
    }
}

fn step(key: &Bound<'_, PyAny>) -> String {
    let key =
        key.str().map_or_else(|_| "?".to_owned(), |key| key.to_string_lossy().chars().take(64).collect());
    let plain = key.chars().all(|sign| sign.is_alphanumeric() || sign == '_') && !key.is_empty();
    if plain { format!(".{key}") } else { format!("[{key:?}]") }
}

impl Refusal {
    fn beneath(mut self, name: impl FnOnce() -> String) -> Self {
        if let Self::Value { steps, .. } = &mut self {
            steps.push(name());
        }
        self
    }

    fn of(self, call: &'static str) -> Error {
        match self {
            Self::Size(bytes) => Error::TooLarge { call, bytes, limit: MAX_EVENT_BYTES },
            Self::Value { steps, reason } if steps.is_empty() => {
                Error::NotJson { call, reason: format!("the value {reason}") }
            }
            Self::Value { steps, reason } => {
                let mut path: String = steps.iter().rev().take(MAX_STEPS).map(String::as_str).collect();
                if steps.len() > MAX_STEPS {
                    path.push('…');
                }
                Error::NotJson { call, reason: format!("`{}` {reason}", path.trim_start_matches('.')) }
            }
        }
    }
}
