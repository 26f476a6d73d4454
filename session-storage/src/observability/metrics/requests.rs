//! Request metrics by route, method and status class, with durations, and errors by code.
//!
//! Every worker counts in a shard of its own that no other thread writes, so that counting is a few
//! plain loads and stores. A histogram is created at its first request, because most combinations
//! never occur.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use parking_lot::Mutex;
use session_model::Code;

use session_model::instrument::{Counter, Histogram, Reading, SECONDS};

/// A route's index in the table of routes. It is attached to the framework's resource, so that the
/// route of a response is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteId(pub usize);

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn method_index(method: &Method) -> usize {
    let known = METHODS.iter().position(|known| *known == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

fn class_index(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1
}

/// The metrics that one worker counts.
#[derive(Debug)]
pub struct Shard(Box<[OnceLock<Histogram>]>);

impl Shard {
    fn new(routes: usize) -> Self {
        Self(
            (0..routes * METHODS.len() * CLASSES.len())
                .map(|_| OnceLock::new())
                .collect(),
        )
    }

    /// Counts a response; called only by the worker that owns the shard.
    pub fn answered(&self, route: RouteId, method: &Method, status: StatusCode, took: Duration) {
        let index =
            (route.0 * METHODS.len() + method_index(method)) * CLASSES.len() + class_index(status);
        if let Some(place) = self.0.get(index) {
            place
                .get_or_init(|| Histogram::new(&SECONDS))
                .time_alone(took);
        }
    }
}

/// The number of errors per code.
#[derive(Debug)]
pub struct Errors([Counter; Code::ALL.len()]);

impl Default for Errors {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Errors {
    /// Counts an error.
    pub fn count(&self, code: Code) {
        self.0[code as usize].increment();
    }

    /// Returns every code with its count, including codes that never occurred.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Code::ALL
            .iter()
            .zip(&self.0)
            .map(|(code, count)| (code.as_str(), count.get()))
    }
}

/// The metrics of all requests.
#[derive(Debug)]
pub struct Requests {
    /// The route patterns.
    routes: Vec<&'static str>,
    shards: Mutex<Vec<Arc<Shard>>>,
    /// Errors of all responses, from any thread.
    pub errors: Errors,
}

/// The requests of one route, method and status class.
#[derive(Debug)]
pub struct RouteCounts {
    /// The route pattern.
    pub route: &'static str,
    /// The method.
    pub method: &'static str,
    /// The status class, for example `2xx`.
    pub class: &'static str,
    /// The durations.
    pub took: Reading,
}

impl Requests {
    /// Creates empty metrics for routes with these patterns.
    pub fn new(routes: Vec<&'static str>) -> Self {
        Self {
            routes,
            shards: Mutex::default(),
            errors: Errors::default(),
        }
    }

    /// Creates the shard of a worker.
    pub fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::new(self.routes.len()));
        self.shards.lock().push(Arc::clone(&shard));
        shard
    }

    /// The pattern of a route.
    pub fn pattern(&self, route: RouteId) -> &'static str {
        self.routes.get(route.0).copied().unwrap_or("unknown")
    }

    /// Reads the totals of all workers.
    pub fn read(&self) -> Vec<RouteCounts> {
        let shards = self.shards.lock().clone();
        let total = |index: usize| {
            let counted = shards.iter().filter_map(|shard| shard.0[index].get());
            counted.map(Histogram::read).reduce(|mut sum, one| {
                sum.add(&one);
                sum
            })
        };
        let row = |index: usize| {
            let method = index / CLASSES.len() % METHODS.len();
            let class = index % CLASSES.len();
            let route = self.routes[index / CLASSES.len() / METHODS.len()];
            Some(RouteCounts {
                route,
                method: METHODS[method],
                class: CLASSES[class],
                took: total(index)?,
            })
        };
        (0..self.routes.len() * METHODS.len() * CLASSES.len())
            .filter_map(row)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up_by_route_method_and_class() {
        let requests = Requests::new(vec!["/a", "/b"]);
        let one = requests.shard();
        let two = requests.shard();
        let took = Duration::from_millis(2);
        one.answered(RouteId(1), &Method::POST, StatusCode::OK, took);
        two.answered(RouteId(1), &Method::POST, StatusCode::CREATED, took);
        two.answered(RouteId(1), &Method::POST, StatusCode::NOT_FOUND, took);
        two.answered(
            RouteId(0),
            &Method::TRACE,
            StatusCode::SWITCHING_PROTOCOLS,
            took,
        );
        let found: Vec<_> = requests
            .read()
            .into_iter()
            .map(|r| (r.route, r.method, r.class, r.took.count()))
            .collect();
        assert_eq!(
            found,
            [
                ("/a", "other", "1xx", 1),
                ("/b", "POST", "2xx", 2),
                ("/b", "POST", "4xx", 1)
            ]
        );
    }

    #[test]
    fn a_route_or_status_that_is_none_breaks_nothing() {
        let requests = Requests::new(vec!["/a"]);
        let shard = requests.shard();
        shard.answered(RouteId(7), &Method::GET, StatusCode::OK, Duration::ZERO);
        shard.answered(
            RouteId(0),
            &Method::GET,
            StatusCode::from_u16(999).unwrap(),
            Duration::MAX,
        );
        let rows = requests.read();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].class, "5xx");
        assert_eq!(requests.pattern(RouteId(7)), "unknown");
    }

    #[test]
    fn codes_are_counted_each_for_itself() {
        let errors = Errors::default();
        errors.count(Code::StorageFull);
        errors.count(Code::StorageFull);
        let counted: Vec<_> = errors.read().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [("storage_full", 2)]);
    }
}
