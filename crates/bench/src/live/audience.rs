//! A thousand subscribers of one session on a thread of their own.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::subscriber::{Delivery, Subscriber};
use crate::stream::Address;

/// The subscribers, seated.
pub(crate) struct Audience {
    thread: JoinHandle<Result<Vec<Delivery>>>,
    dismiss: oneshot::Sender<()>,
    tally: Arc<Tally>,
}

/// What the subscribers' thread shares with the threads that wait for it.
#[derive(Default)]
struct Tally {
    deliveries: AtomicUsize,
    failed: AtomicBool,
}

/// What the subscribers share with each other.
#[derive(Default)]
struct Notes {
    deliveries: Vec<Delivery>,
    failure: Option<anyhow::Error>,
}

impl Audience {
    /// Returns when all are subscribed.
    pub(crate) fn connect(address: &Address, session: &str, count: usize) -> Result<Self> {
        let (dismiss, dismissed) = oneshot::channel();
        let (seated, all_seated) = mpsc::channel();
        let tally = Arc::new(Tally::default());
        let thread = {
            let address = address.clone();
            let session = session.to_owned();
            let tally = Arc::clone(&tally);
            thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                LocalSet::new().block_on(&runtime, async move {
                    let mut subscribers = Vec::new();
                    for _ in 0..count {
                        subscribers.push(Subscriber::connect(&address, &session).await?);
                    }
                    seated.send(()).ok();
                    listen(subscribers, &tally, dismissed).await
                })
            })
        };
        let audience = Self {
            thread,
            dismiss,
            tally,
        };
        match all_seated.recv() {
            Ok(()) => Ok(audience),
            Err(_) => Err(audience
                .dismiss()
                .err()
                .unwrap_or_else(|| anyhow!("the audience left"))),
        }
    }

    /// Events delivered so far, to all subscribers together.
    pub(crate) fn deliveries(&self) -> usize {
        self.tally.deliveries.load(Ordering::Relaxed)
    }

    /// Whether a subscriber has failed; [`Self::dismiss`] tells why.
    pub(crate) fn has_failed(&self) -> bool {
        self.tally.failed.load(Ordering::Relaxed)
    }

    /// Waits until so many events are delivered; an error when that takes longer than `patience`.
    pub(crate) fn wait_for(self, total: usize, patience: Duration) -> Result<Vec<Delivery>> {
        let deadline = Instant::now() + patience;
        while self.deliveries() < total && !self.has_failed() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let deliveries = self.dismiss()?;
        ensure!(
            deliveries.len() == total,
            "{} of {total} deliveries arrived",
            deliveries.len()
        );
        Ok(deliveries)
    }

    /// Closes all sockets and returns what was delivered; an error when a subscriber failed.
    pub(crate) fn dismiss(self) -> Result<Vec<Delivery>> {
        self.dismiss.send(()).ok();
        self.thread
            .join()
            .map_err(|_| anyhow!("the audience's thread panicked"))?
    }
}

async fn listen(
    subscribers: Vec<Subscriber>,
    tally: &Arc<Tally>,
    dismissed: oneshot::Receiver<()>,
) -> Result<Vec<Delivery>> {
    let notes = Rc::new(RefCell::new(Notes::default()));
    for subscriber in subscribers {
        tokio::task::spawn_local(follow(subscriber, Arc::clone(tally), Rc::clone(&notes)));
    }
    dismissed.await.context("nobody waits for the audience")?;
    let Notes {
        deliveries,
        failure,
    } = notes.take();
    match failure {
        Some(failure) => Err(failure),
        None => Ok(deliveries),
    }
}

async fn follow(mut subscriber: Subscriber, tally: Arc<Tally>, notes: Rc<RefCell<Notes>>) {
    loop {
        let mut count = 0;
        let read = subscriber.read(|delivery| {
            notes.borrow_mut().deliveries.push(delivery);
            count += 1;
        });
        let outcome = read.await;
        tally.deliveries.fetch_add(count, Ordering::Relaxed);
        if let Err(failure) = outcome {
            notes.borrow_mut().failure.get_or_insert(failure);
            tally.failed.store(true, Ordering::Relaxed);
            return;
        }
    }
}
