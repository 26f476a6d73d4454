//! Limits how many streams a client has open; WebSockets and server-sent event streams count
//! together.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

type Open = Arc<Mutex<HashMap<Arc<str>, usize>>>;

/// The number of open streams, by client.
#[derive(Clone)]
pub struct Streams {
    most: Option<usize>,
    open: Open,
}

/// The slot of one open stream, released on drop.
pub struct StreamSlot {
    name: Arc<str>,
    open: Open,
}

impl Streams {
    /// Creates the limit for each client.
    pub fn new(most: Option<usize>) -> Self {
        Self {
            most,
            open: Open::default(),
        }
    }

    /// Takes a slot; the error is the limit if all slots are taken.
    pub fn enter(&self, name: &Arc<str>) -> Result<Option<StreamSlot>, usize> {
        let Some(most) = self.most else {
            return Ok(None);
        };
        let mut open = self.open.lock();
        let count = open.entry(Arc::clone(name)).or_default();
        if *count >= most {
            return Err(most);
        }
        *count += 1;
        Ok(Some(StreamSlot {
            name: Arc::clone(name),
            open: Arc::clone(&self.open),
        }))
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_stream_frees_its_slot_and_other_clients_are_not_counted() {
        let streams = Streams::new(Some(2));
        let a: Arc<str> = "a".into();
        let b: Arc<str> = "b".into();
        let first = streams.enter(&a);
        let second = streams.enter(&a);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(streams.enter(&a).err(), Some(2));
        assert_eq!(streams.enter(&b).err(), None);
        drop(first);
        assert!(streams.enter(&a).is_ok());
        drop(second);
        assert!(streams.open.lock().is_empty());
        assert!(matches!(Streams::new(None).enter(&a), Ok(None)));
    }
}
