//! What a record key costs: an append with one beside an append without, an append to a session of
//! 1,000,000 keyed records beside one to a session of 1,000, and the first append after a start.

use std::time::Instant;

use anyhow::Result;

use super::sessions;
use crate::action::{self, Numbers};
use crate::bench::Bench;
use crate::caller::Caller;
use crate::dialect::http;
use crate::measurement::{Bound, Measurement, Nanos};
use crate::process::Sync;
use crate::sample::median;
use crate::side::{Side, interleave};

const CONNECTIONS: usize = 64;
/// How many keyed records the long log holds, and the short one.
const LONG: usize = 1_000_000;
const SHORT: usize = 1_000;
const STORAGE: &str = "record-keys";

/// Measures the appends in turns, then starts the service again and again.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let mut measurements = vec![against_none(bench)?];
    measurements.extend(long_log(bench)?);
    Ok(measurements)
}

fn against_none(bench: &Bench) -> Result<Measurement> {
    let service = bench.launch.start("keyed", Sync::Always)?;
    sessions::create_all(service.address())?;
    let load = |numbers| sessions::numbered(service.address(), CONNECTIONS, numbers);
    let [keyed, unkeyed] = interleave(
        bench,
        [
            Side::load("with record keys", load(Numbers::Keys)),
            Side::load("without", load(Numbers::Marks)),
        ],
    )?;
    Ok(Measurement::rates(
        format!("append of a keyed record, `always`, {CONNECTIONS} connections"),
        &keyed,
        ("without a key", &unkeyed),
        Bound::AtLeast(0.9),
    ))
}

fn long_log(bench: &Bench) -> Result<Vec<Measurement>> {
    let mut service = bench.launch.start(STORAGE, Sync::Always)?;
    let mut caller = Caller::connect(service.address(), http::answer)?;
    for (session, records) in [("long", LONG), ("short", SHORT)] {
        sessions::create(&mut caller, session)?;
        sessions::fill_keyed(&mut caller, session, records)?;
    }
    let append = |session| sessions::one_numbered(service.address(), session, Numbers::Keys);
    let [long, short] = interleave(
        bench,
        [
            Side::load("1,000,000 keyed records", append("long")),
            Side::load("1,000 keyed records", append("short")),
        ],
    )?;
    let mut first = [Vec::new(), Vec::new()];
    for repeat in 1..=bench.scale.starts {
        service.abandon();
        service = bench.launch.start(STORAGE, Sync::Always)?;
        let mut caller = Caller::connect(service.address(), http::answer)?;
        // The order alternates, because the first write of a process may pay for both.
        let mut order = [(0, "long"), (1, "short")];
        order.rotate_left(repeat % 2);
        sessions::create(&mut caller, &format!("other-{repeat}"))?;
        for (at, session) in order {
            let mut request = sessions::numbered_append(session, Numbers::Keys);
            action::renumber(&mut request);
            let sent = Instant::now();
            caller.call(&request)?;
            first[at].push(sent.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [long_first, short_first] = first.map(|took| median(took.into_iter()).unwrap_or(f64::NAN));
    let shown = |ms: f64| format!("{}", Nanos(ms * 1e6));
    Ok(vec![
        Measurement::latencies(
            "append of a keyed record to 1,000,000, `always`, 1 connection",
            &long,
            ("to 1,000", &short),
            Bound::AtMost(1.1),
        ),
        Measurement::value(
            "first keyed append to 1,000,000 after a kill and start, above one to 1,000",
            long_first - short_first,
            "ms",
            Bound::AtMost(1.0),
        )
        .between(
            shown(long_first),
            format_args!("to 1,000: {}", shown(short_first)),
        ),
    ])
}
