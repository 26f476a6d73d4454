//! Where the items of a list stand by their name, so that one of many is found without looking at all of them.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

use crate::state::is_named;

/// Up to so many items a list is searched through.
const FEW: usize = 32;

/// The names of one list: gathered when one is first asked for, and kept up while items are added.
#[derive(Debug)]
pub(crate) struct Names {
    /// The field that bears the name; `None`: the items are names themselves.
    key: Option<&'static str>,
    places: OnceLock<HashMap<String, usize>>,
    /// By the stem of a made name: which numbers are known to be taken, from the first up to before the second.
    taken: Mutex<HashMap<String, (u64, u64)>>,
}

/// A copy gathers them again if they are asked for.
impl Clone for Names {
    fn clone(&self) -> Self {
        Self::of(self.key)
    }
}

impl Names {
    pub(crate) fn of(key: Option<&'static str>) -> Self {
        Self { key, places: OnceLock::new(), taken: Mutex::default() }
    }

    fn name<'v>(&self, item: &'v Value) -> Option<&'v str> {
        self.key.map_or(Some(item), |key| item.get(key)).and_then(Value::as_str)
    }

    fn is(&self, item: &Value, name: &str) -> bool {
        self.key.map_or_else(|| item == name, |key| is_named(item, key, name))
    }

    /// Where the first item of this name stands.
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

    /// Notes an item that is about to be added behind the others.
    pub(crate) fn add(&mut self, item: &Value, place: usize) {
        let name = self.name(item).map(str::to_owned);
        if let (Some(places), Some(name)) = (self.places.get_mut(), name) {
            places.entry(name).or_insert(place);
        }
    }

    /// Forgets everything: the list was changed in another way than by adding to it.
    pub(crate) fn forget(&mut self) {
        *self = Self::of(self.key);
    }

    /// The first name that nobody has, counted on from where it is if all before were made so. Numbers that were
    /// found to be taken once are not tried again: many names may be asked for at the same time.
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
            number = number.checked_add(1).expect("fewer names are in use than there are numbers");
        }
        taken.insert(stem.to_owned(), (first, number));
        named(number)
    }
}
