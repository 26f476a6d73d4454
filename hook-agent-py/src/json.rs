//! Writes Python values as JSON text, in one walk that never fails the caller.
//!
//! Writes what `json.dumps` writes: `dict`, `list`, `tuple`, `str`, `int`, `float`, `bool`, `None`,
//! their subclasses (so `str` and `int` enums too), and keys that are strings, numbers, `bool` or
//! `None`. Every other value is written in another form and counted; `hook_agent._values` defines
//! the form. Only an event that is too large is refused.

use hook_agent::{Error, MAX_RECORD_BYTES};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// The service accepts 126 levels around and within an event.
const MAX_DEPTH: usize = 120;
const CIRCULAR: &str = "[circular]";
const TOO_DEEP: &str = "[nested deeper than 120 levels]";

/// The JSON text of a call's data.
pub(crate) struct Event {
    pub json: String,
    /// How many values of it were written in another form.
    pub coerced: u64,
}

impl Event {
    /// Returns the data of a call without data.
    pub(crate) fn empty() -> Self {
        Self {
            json: "{}".to_owned(),
            coerced: 0,
        }
    }

    /// Writes a value as an event. A value that is not an object is wrapped in one, as its `value`.
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> Result<Self, Refusal> {
        let mut writer = Writer {
            out: Vec::with_capacity(512),
            within: Vec::new(),
            depth: 0,
            coerced: 0,
        };
        writer.value(value)?;
        if writer.out.first() != Some(&b'{') {
            writer.out.splice(..0, *br#"{"value":"#);
            writer.out.push(b'}');
            writer.coerced += 1;
        }
        let json = String::from_utf8(writer.out).expect("it is made of strings and ASCII");
        Ok(Self {
            json,
            coerced: writer.coerced,
        })
    }
}

/// Returns an identifier as text: a `str` as it is, any other value in words.
pub(crate) fn identifier(value: &Bound<'_, PyAny>) -> Result<String, Refusal> {
    let text = match value.cast::<PyString>() {
        Ok(text) => text.clone(),
        Err(_) => in_words(value, "identifier")?,
    };
    well_formed(&text)
}

/// Why there is no event.
pub(crate) enum Refusal {
    /// The event is larger than the limit; it has at least this many bytes.
    Size(usize),
    /// The program is ending, by `KeyboardInterrupt` or `SystemExit`. This is not a failure of a
    /// value.
    Raised(PyErr),
}

impl Refusal {
    /// Returns the exception for the caller.
    pub(crate) fn of(self, py: Python<'_>, call: &'static str) -> PyErr {
        match self {
            Self::Size(bytes) => crate::error::exception(
                py,
                &Error::TooLarge {
                    call,
                    bytes,
                    limit: MAX_RECORD_BYTES,
                },
            ),
            Self::Raised(error) => error,
        }
    }
}

type Written = Result<(), Refusal>;

struct Writer {
    out: Vec<u8>,
    /// The addresses of the values being written, outermost first.
    within: Vec<usize>,
    /// How many of them are objects or arrays.
    depth: usize,
    coerced: u64,
}

impl Writer {
    fn value(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if self.plain_value(value)? {
            Ok(())
        } else {
            self.another_form(value)
        }
    }

    /// Writes a value that has a JSON form; returns false for any other.
    fn plain_value(&mut self, value: &Bound<'_, PyAny>) -> Result<bool, Refusal> {
        if let Ok(text) = value.cast::<PyString>() {
            self.string(text)?;
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.nested(value, |writer| writer.dict(dict))?;
        } else if value.is_none() {
            self.ascii("null")?;
        } else if let Ok(truth) = value.cast::<PyBool>() {
            self.ascii(if truth.is_true() { "true" } else { "false" })?;
        } else if let Ok(number) = value.cast::<PyInt>() {
            self.int(number)?;
        } else if let Ok(number) = value.cast::<PyFloat>() {
            self.float(number.value())?;
        } else if let Ok(list) = value.cast::<PyList>() {
            self.nested(value, |writer| writer.array(list.iter()))?;
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.nested(value, |writer| writer.array(tuple.iter()))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Writes a value of any other type: `hook_agent._values` converts it to a plain value, whose
    /// members may again be of any type.
    fn another_form(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if self.is_within(value) {
            return self.cut(CIRCULAR);
        }
        self.coerced += 1;
        let Some(form) = lenient(value.py(), ordinary(value))? else {
            return self.text(&in_words(value, "text")?);
        };
        self.once(value, |writer| {
            if writer.plain_value(&form)? {
                Ok(())
            } else {
                writer.text(&in_words(&form, "text")?)
            }
        })
    }

    /// Writes an object or an array, or a notice in its place if it is nested too deep.
    fn nested(
        &mut self,
        value: &Bound<'_, PyAny>,
        write: impl FnOnce(&mut Self) -> Written,
    ) -> Written {
        if self.depth == MAX_DEPTH {
            return self.cut(TOO_DEEP);
        }
        self.depth += 1;
        self.once(value, write)?;
        self.depth -= 1;
        Ok(())
    }

    /// Writes a value, or a notice where a value contains itself.
    fn once(
        &mut self,
        value: &Bound<'_, PyAny>,
        write: impl FnOnce(&mut Self) -> Written,
    ) -> Written {
        if self.is_within(value) {
            return self.cut(CIRCULAR);
        }
        self.within.push(value.as_ptr().addr());
        write(self)?;
        self.within.pop();
        Ok(())
    }

    fn is_within(&self, value: &Bound<'_, PyAny>) -> bool {
        self.within.contains(&value.as_ptr().addr())
    }

    fn cut(&mut self, notice: &str) -> Written {
        self.coerced += 1;
        self.out.push(b'"');
        self.ascii(notice)?;
        self.ascii("\"")
    }

    /// Writes a dict from a copy of its items, so that no code that runs meanwhile can change what
    /// is walked.
    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Written {
        let items = if dict.is_exact_instance_of::<PyDict>() {
            dict.items()
        } else {
            self.own_items(dict)?
        };
        self.out.push(b'{');
        let mut is_first = true;
        for item in items.iter() {
            // The `items` of a subclass may return anything.
            let Ok((key, value)) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
                self.coerced += 1;
                continue;
            };
            if !std::mem::take(&mut is_first) {
                self.out.push(b',');
            }
            self.key(&key)?;
            self.out.push(b':');
            self.value(&value)?;
        }
        self.ascii("}")
    }

    /// Returns the items that a subclass of `dict` reports, or those that it stores if it fails to
    /// report them.
    fn own_items<'py>(&mut self, dict: &Bound<'py, PyDict>) -> Result<Bound<'py, PyList>, Refusal> {
        let items = dict.call_method0("items").and_then(|items| {
            PyList::new(dict.py(), items.try_iter()?.collect::<PyResult<Vec<_>>>()?)
        });
        if let Some(items) = lenient(dict.py(), items)? {
            return Ok(items);
        }
        self.coerced += 1;
        Ok(dict.items())
    }

    fn array<'py>(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>) -> Written {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.value(&item)?;
        }
        self.ascii("]")
    }

    fn key(&mut self, key: &Bound<'_, PyAny>) -> Written {
        if let Ok(text) = key.cast::<PyString>() {
            return self.string(text);
        }
        if key.is_none() || key.is_instance_of::<PyInt>() || key.is_instance_of::<PyFloat>() {
            let from = self.out.len();
            self.value(key)?;
            // A value written as a string already has its quotes.
            if self.out.get(from) != Some(&b'"') {
                self.out.insert(from, b'"');
                self.out.push(b'"');
            }
            return Ok(());
        }
        self.coerced += 1;
        self.text(&in_words(key, "key")?)
    }

    /// Writes a string. Unpaired surrogates, which `os.fsdecode` makes of invalid UTF-8, are
    /// replaced.
    fn string(&mut self, text: &Bound<'_, PyString>) -> Written {
        // This fails only for a text without a length, and every `str` has one.
        self.check_size(text.len().map_err(Refusal::Raised)?)?;
        if let Ok(text) = text.to_cow() {
            return self.json(&*text);
        }
        self.coerced += 1;
        self.json(&well_formed(text)?)
    }

    /// Like `string`, for a value that is already counted.
    fn text(&mut self, text: &Bound<'_, PyString>) -> Written {
        self.check_size(text.len().map_err(Refusal::Raised)?)?;
        self.json(&well_formed(text)?)
    }

    fn int(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(number) = number.extract::<i64>() {
            return self.json(&number);
        }
        // A subclass may override `__repr__`.
        let digits = number
            .py()
            .get_type::<PyInt>()
            .call_method1("__repr__", (number,));
        if let Some(digits) = lenient(
            number.py(),
            digits.and_then(|digits| digits.extract::<String>()),
        )? {
            return self.ascii(&digits);
        }
        // The number has more digits than the interpreter converts (`sys.set_int_max_str_digits`).
        self.coerced += 1;
        self.text(&in_words(number, "huge")?)
    }

    fn float(&mut self, number: f64) -> Written {
        if number.is_finite() {
            return self.json(&number);
        }
        self.cut(match number {
            f64::INFINITY => "Infinity",
            f64::NEG_INFINITY => "-Infinity",
            _ => "NaN",
        })
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Written {
        serde_json::to_writer(&mut self.out, value).expect("memory takes a number or a text");
        self.check_size(0)
    }

    fn ascii(&mut self, text: &str) -> Written {
        self.out.extend_from_slice(text.as_bytes());
        self.check_size(0)
    }

    fn check_size(&self, more: usize) -> Written {
        let bytes = self.out.len() + more;
        if bytes > MAX_RECORD_BYTES {
            Err(Refusal::Size(bytes))
        } else {
            Ok(())
        }
    }
}

/// Returns the plain value for a value of another type.
fn ordinary<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    values(value.py())?.call_method1("ordinary", (value,))
}

/// Returns a description of a value, made by this function of `hook_agent._values`; at worst the
/// name of its type.
fn in_words<'py>(
    value: &Bound<'py, PyAny>,
    function: &str,
) -> Result<Bound<'py, PyString>, Refusal> {
    let words = values(value.py())
        .and_then(|values| values.call_method1(function, (value,)))
        .and_then(|words| Ok(words.cast_into::<PyString>()?));
    if let Some(words) = lenient(value.py(), words)? {
        return Ok(words);
    }
    let name = value
        .get_type()
        .name()
        .map_or_else(|_| "value".to_owned(), |name| name.to_string());
    Ok(PyString::new(value.py(), &format!("<{name}>")))
}

fn values(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    Ok(py
        .import("hook_agent._imports")?
        .call_method1("load", ("_values",))?
        .cast_into()?)
}

/// Returns the text with each unpaired surrogate replaced by U+FFFD.
fn well_formed(text: &Bound<'_, PyString>) -> Result<String, Refusal> {
    if let Ok(text) = text.to_cow() {
        return Ok(text.into_owned());
    }
    let text = values(text.py()).and_then(|values| values.call_method1("well_formed", (text,)));
    text.and_then(|text| text.extract())
        .map_err(Refusal::Raised)
}

/// Returns `None` for an exception of a value, and an error for one that ends the program.
fn lenient<T>(py: Python<'_>, made: PyResult<T>) -> Result<Option<T>, Refusal> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(Refusal::Raised(error)),
    }
}
