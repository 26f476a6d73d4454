//! Forms of one thing for readers with different limits, made once per limit.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

/// A form that is kept, empty until it was made.
pub type KeptForm<F> = Arc<OnceCell<F>>;

/// The forms that are kept, in bounded memory.
#[derive(Debug)]
pub struct KeptForms<F>(Mutex<Kept<F>>);

#[derive(Debug)]
struct Kept<F> {
    /// The forms, by limit.
    forms: Vec<(usize, KeptForm<F>)>,
    /// The most bytes that they take.
    bytes: usize,
}

impl<F> Default for KeptForms<F> {
    fn default() -> Self {
        Self(Mutex::new(Kept {
            forms: Vec::new(),
            bytes: 0,
        }))
    }
}

impl<F> KeptForms<F> {
    /// Returns the form with this limit, which takes at most `bytes`; `None` if all forms would
    /// then take more than `space`.
    pub fn get(&self, limit: usize, bytes: usize, space: usize) -> Option<KeptForm<F>> {
        let mut kept = self.0.lock();
        if let Some((_, form)) = kept.forms.iter().find(|(of, _)| *of == limit) {
            return Some(Arc::clone(form));
        }
        if kept.bytes + bytes > space {
            return None;
        }
        let form = KeptForm::default();
        kept.bytes += bytes;
        kept.forms.push((limit, Arc::clone(&form)));
        Some(form)
    }
}
