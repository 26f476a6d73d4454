//! What it costs to be asked for a key: the same appends to two services, one of which has keys.
//! With them comes the audit log, as by default.

use anyhow::Result;

use super::sessions;
use crate::action;
use crate::bench::{Bench, SESSIONS};
use crate::measurement::{Bound, Measurement};
use crate::process::Sync;
use crate::side::{Side, interleave};

const CONNECTIONS: usize = 64;
/// What a key may add to a request's processor time.
const MOST: f64 = 1.03;

/// Measures both in turns, and a third lane with a token for each session.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Measurement>> {
    let key = bench.launch.command(
        "guarded",
        &["key", "create", "--name", "load", "--role", "admin"],
    )?;
    let token = |index| {
        bench.launch.command(
            "guarded",
            &[
                "token",
                "issue",
                "--session",
                &action::session(index),
                "--ttl",
                "1h",
            ],
        )
    };
    let tokens = (0..SESSIONS).map(token).collect::<Result<Vec<String>>>()?;
    let open = bench.launch.start("open", Sync::Always)?;
    let guarded = bench.launch.start("guarded", Sync::Always)?;
    sessions::create_all(open.address())?;
    sessions::create_all_as_operator(&guarded)?;
    let with = |shown: &[String]| {
        sessions::appends_with(guarded.address(), CONNECTIONS, shown).watching(&guarded.process)
    };
    let [without, with_key, with_token] = interleave(
        bench,
        [
            Side::load(
                "no keys",
                sessions::appends(open.address(), CONNECTIONS).watching(&open.process),
            ),
            Side::load("a key", with(&[key])),
            Side::load("a token", with(&tokens)),
        ],
    )?;
    let work = |what: &str| format!("append, `always`, {CONNECTIONS} connections, {what}");
    let beside = ("no keys", &without);
    Ok(vec![
        Measurement::costs(
            work("with a key: processor time"),
            &with_key,
            beside,
            Bound::AtMost(MOST),
        ),
        Measurement::rates(work("with a key"), &with_key, beside, Bound::Open),
        Measurement::costs(
            work("with a token: processor time"),
            &with_token,
            beside,
            Bound::Open,
        ),
        Measurement::rates(work("with a token"), &with_token, beside, Bound::Open),
    ])
}
