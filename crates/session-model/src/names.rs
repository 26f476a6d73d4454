//! An index of the items of a list by name, so that no lookup reads the whole list.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

/// Lists of at most this many items are searched without an index.
const FEW: usize = 32;

/// The index of one list: built at the first lookup, and updated when items are added.
#[derive(Debug)]
pub(crate) struct Names {
    /// The field that contains the name; `None` if the items are names themselves.
    key: Option<&'static str>,
    places: OnceLock<HashMap<String, usize>>,
    /// Numbers known to be in use, by the stem of a generated name: from the first up to, not
    /// including, the second.
    taken: Mutex<HashMap<String, (u64, u64)>>,
}

/// A clone starts without an index and builds it again when needed.
impl Clone for Names {
    fn clone(&self) -> Self {
        Self::of(self.key)
    }
}

impl Names {
    pub(crate) fn of(key: Option<&'static str>) -> Self {
        Self {
            key,
            places: OnceLock::new(),
            taken: Mutex::default(),
        }
    }

    fn name<'v>(&self, item: &'v Value) -> Option<&'v str> {
        self.key
            .map_or(Some(item), |key| item.get(key))
            .and_then(Value::as_str)
    }

    fn is(&self, item: &Value, name: &str) -> bool {
        self.key
            .map_or_else(|| item == name, |key| is_named(item, key, name))
    }

    /// The position of the first item with this name.
    pub(crate) fn place(&self, items: &[Value], name: &str) -> Option<usize> {
        if items.len() <= FEW {
            return items.iter().position(|item| self.is(item, name));
        }
        let gather = || {
            let mut places = HashMap::with_capacity(items.len());
            for (place, item) in items.iter().enumerate() {
                if let Some(name) = self.name(item) {
                    places.entry(name.to_owned()).or_insert(place);
                }
            }
            places
        };
        self.places.get_or_init(gather).get(name).copied()
    }

    /// Adds an item that is about to be appended at `place`.
    pub(crate) fn add(&mut self, item: &Value, place: usize) {
        let name = self.name(item).map(str::to_owned);
        if let (Some(places), Some(name)) = (self.places.get_mut(), name) {
            places.entry(name).or_insert(place);
        }
    }

    /// Discards the index, because the list was changed in a way other than appending.
    pub(crate) fn forget(&mut self) {
        *self = Self::of(self.key);
    }

    /// Returns the first unused name, counting up from the number that is free if all earlier names
    /// were generated here. Numbers found to be in use are not tried again, because many names may
    /// be requested at a time.
    pub(crate) fn free(
        &self,
        items: &[Value],
        stem: &str,
        from: u64,
        digits: impl Fn(u64) -> String,
    ) -> String {
        let named = |number| format!("{stem}{}", digits(number));
        let mut number = from.saturating_add(items.len() as u64);
        if self.place(items, &named(number)).is_none() {
            return named(number);
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, end) = taken
            .get(stem)
            .copied()
            .filter(|(first, end)| (*first..*end).contains(&number))
            .unwrap_or((number, number));
        number = end;
        while self.place(items, &named(number)).is_some() {
            number = number
                .checked_add(1)
                .expect("fewer names are in use than there are numbers");
        }
        taken.insert(stem.to_owned(), (first, number));
        named(number)
    }
}

/// Whether `key` of an object is `id`. The key is usually the first, where it is found without
/// hashing.
pub(crate) fn is_named(item: &Value, key: &str, id: &str) -> bool {
    let Value::Object(fields) = item else {
        return false;
    };
    match fields.iter().next() {
        Some((first, value)) if first == key => value == id,
        _ => fields.get(key).is_some_and(|value| value == id),
    }
}
