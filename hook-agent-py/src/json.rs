//! Python's values as JSON text, in one walk that never fails at the caller.
//!
//! What `json.dumps` writes, this writes: `dict`, `list`, `tuple`, `str`, `int`, `float`, `bool`, `None`, their
//! subclasses (so `str` and `int` enums too), and keys that are strings, numbers, `bool` or `None`. Every other value
//! is written in another form, and counted: `hook_agent._values` says in which. Only size is refused.

use hook_agent::{Error, MAX_EVENT_BYTES};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// The service takes 126 levels around and within an event.
const MAX_DEPTH: usize = 120;
const CIRCULAR: &str = "[circular]";
const TOO_DEEP: &str = "[nested deeper than 120 levels]";

/// The JSON text of what a call was given.
pub(crate) struct Event {
    pub json: String,
    /// How many values of it are written in another form.
    pub coerced: u64,
}

impl Event {
    /// What a call without data is sent with.
    pub(crate) fn empty() -> Self {
        Self { json: "{}".to_owned(), coerced: 0 }
    }

    /// Anything but an object becomes the `value` of one.
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> Result<Self, Refusal> {
        let mut writer = Writer { out: Vec::with_capacity(512), within: Vec::new(), depth: 0, coerced: 0 };
        writer.value(value)?;
        if writer.out.first() != Some(&b'{') {
            writer.out.splice(..0, *br#"{"value":"#);
            writer.out.push(b'}');
            writer.coerced += 1;
        }
        let json = String::from_utf8(writer.out).expect("it is made of strings and ASCII");
        Ok(Self { json, coerced: writer.coerced })
    }
}

/// An identifier as text: a `str` as it is, anything else as a value's text.
pub(crate) fn identifier(value: &Bound<'_, PyAny>) -> Result<String, Refusal> {
    let text = match value.cast::<PyString>() {
        Ok(text) => text.clone(),
        Err(_) => in_words(value, "identifier")?,
    };
    well_formed(&text)
}

/// Why there is no event.
pub(crate) enum Refusal {
    /// Larger than any event may be; so many bytes at least.
    Size(usize),
    /// No failure of a value: the program is to end, by `KeyboardInterrupt` or `SystemExit`.
    Raised(PyErr),
}

impl Refusal {
    /// The exception for the caller.
    pub(crate) fn of(self, py: Python<'_>, call: &'static str) -> PyErr {
        match self {
            Self::Size(bytes) => {
                crate::error::exception(py, &Error::TooLarge { call, bytes, limit: MAX_EVENT_BYTES })
            }
            Self::Raised(error) => error,
        }
    }
}

type Written = Result<(), Refusal>;

struct Writer {
    out: Vec<u8>,
    /// The values that are being written, outermost first, by their addresses.
    within: Vec<usize>,
    /// How many of them are objects or arrays.
    depth: usize,
    coerced: u64,
}

impl Writer {
    fn value(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if self.plain_value(value)? { Ok(()) } else { self.another_form(value) }
    }

    /// Writes what JSON has a form for; false if this is nothing of that kind.
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

    /// Every other type: `hook_agent._values` makes a plain value of it, whose members may again be of any type.
    fn another_form(&mut self, value: &Bound<'_, PyAny>) -> Written {
        if self.is_within(value) {
            return self.cut(CIRCULAR);
        }
        self.coerced += 1;
        let Some(form) = lenient(value.py(), ordinary(value))? else {
            return self.text(&in_words(value, "text")?);
        };
        self.once(value, |writer| {
            if writer.plain_value(&form)? { Ok(()) } else { writer.text(&in_words(&form, "text")?) }
        })
    }

    /// An object or an array; one that is too deep is cut.
    fn nested(&mut self, value: &Bound<'_, PyAny>, write: impl FnOnce(&mut Self) -> Written) -> Written {
        if self.depth == MAX_DEPTH {
            return self.cut(TOO_DEEP);
        }
        self.depth += 1;
        self.once(value, write)?;
        self.depth -= 1;
        Ok(())
    }

    /// A value that contains itself is cut where it comes again.
    fn once(&mut self, value: &Bound<'_, PyAny>, write: impl FnOnce(&mut Self) -> Written) -> Written {
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

    /// From a copy of its items: nothing that runs meanwhile can change what is walked.
    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Written {
        let items = if dict.is_exact_instance_of::<PyDict>() { dict.items() } else { self.own_items(dict)? };
        self.out.push(b'{');
        let mut is_first = true;
        for item in items.iter() {
            // A subclass may hand out anything.
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

    /// What a subclass of `dict` says that it holds; what it holds, if it cannot say so.
    fn own_items<'py>(&mut self, dict: &Bound<'py, PyDict>) -> Result<Bound<'py, PyList>, Refusal> {
        let items = dict
            .call_method0("items")
            .and_then(|items| PyList::new(dict.py(), items.try_iter()?.collect::<PyResult<Vec<_>>>()?));
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
            // What became a text has its quotes.
            if self.out.get(from) != Some(&b'"') {
                self.out.insert(from, b'"');
                self.out.push(b'"');
            }
            return Ok(());
        }
        self.coerced += 1;
        self.text(&in_words(key, "key")?)
    }

    /// Lone surrogates, which `os.fsdecode` makes of bytes that are no UTF-8, are replaced.
    fn string(&mut self, text: &Bound<'_, PyString>) -> Written {
        // A failure is a text without a length, which no `str` is.
        self.check_size(text.len().map_err(Refusal::Raised)?)?;
        if let Ok(text) = text.to_cow() {
            return self.json(&*text);
        }
        self.coerced += 1;
        self.json(&well_formed(text)?)
    }

    /// As `string`, of what is counted already.
    fn text(&mut self, text: &Bound<'_, PyString>) -> Written {
        self.check_size(text.len().map_err(Refusal::Raised)?)?;
        self.json(&well_formed(text)?)
    }

    fn int(&mut self, number: &Bound<'_, PyInt>) -> Written {
        if let Ok(number) = number.extract::<i64>() {
            return self.json(&number);
        }
        // A subclass may print itself in a way of its own.
        let digits = number.py().get_type::<PyInt>().call_method1("__repr__", (number,));
        if let Some(digits) = lenient(number.py(), digits.and_then(|digits| digits.extract::<String>()))? {
            return self.ascii(&digits);
        }
        // More digits than the interpreter writes (`sys.set_int_max_str_digits`).
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
        if bytes > MAX_EVENT_BYTES { Err(Refusal::Size(bytes)) } else { Ok(()) }
    }
}

/// The plain value that stands for one of another type.
fn ordinary<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    values(value.py())?.call_method1("ordinary", (value,))
}

/// A value in words, made by this function of `hook_agent._values`; at worst the name of its type.
fn in_words<'py>(value: &Bound<'py, PyAny>, function: &str) -> Result<Bound<'py, PyString>, Refusal> {
    let words = values(value.py())
        .and_then(|values| values.call_method1(function, (value,)))
        .and_then(|words| Ok(words.cast_into::<PyString>()?));
    if let Some(words) = lenient(value.py(), words)? {
        return Ok(words);
    }
    let name = value.get_type().name().map_or_else(|_| "value".to_owned(), |name| name.to_string());
    Ok(PyString::new(value.py(), &format!("<{name}>")))
}

fn values(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    Ok(py.import("hook_agent._imports")?.call_method1("load", ("_values",))?.cast_into()?)
}

/// The text with U+FFFD for each lone surrogate.
fn well_formed(text: &Bound<'_, PyString>) -> Result<String, Refusal> {
    if let Ok(text) = text.to_cow() {
        return Ok(text.into_owned());
    }
    let text = values(text.py()).and_then(|values| values.call_method1("well_formed", (text,)));
    text.and_then(|text| text.extract()).map_err(Refusal::Raised)
}

/// None for what a value raised; what ends the program, it ends.
fn lenient<T>(py: Python<'_>, made: PyResult<T>) -> Result<Option<T>, Refusal> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(None),
        Err(error) => Err(Refusal::Raised(error)),
    }
}
