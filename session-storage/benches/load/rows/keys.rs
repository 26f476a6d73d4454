//! What it costs to be asked for a key: the same appends to two services, one of which has keys. With them comes the
//! audit log, as by default.

use anyhow::Result;

use super::sessions;
use crate::action;
use crate::bench::{Bench, SESSIONS};
use crate::figure::{Bound, Figure};
use crate::lane::{Lane, interleave};
use crate::process::Sync;

const CONNECTIONS: usize = 64;
/// What a key may add to a request's processor time.
const MOST: f64 = 1.03;

/// Measures both in turns, and a third lane with a token for each session.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let key = bench.launch.command("guarded", &["key", "create", "--name", "load", "--role", "admin"])?;
    let token = |index| {
        bench
            .launch
            .command("guarded", &["token", "issue", "--session", &action::session(index), "--ttl", "1h"])
    };
    let tokens = (0..SESSIONS).map(token).collect::<Result<Vec<String>>>()?;
    let (open, guarded) =
        (bench.launch.start("open", Sync::Always)?, bench.launch.start("guarded", Sync::Always)?);
    sessions::create_all(open.address())?;
    sessions::create_all_as_operator(&guarded)?;
    let with = |shown: &[String]| {
        sessions::appends_with(guarded.address(), CONNECTIONS, shown).watching(&guarded.process)
    };
    let [without, with_key, with_token] = interleave(
        bench,
        [
            Lane::load("no keys", sessions::appends(open.address(), CONNECTIONS).watching(&open.process)),
            Lane::load("a key", with(&[key])),
            Lane::load("a token", with(&tokens)),
        ],
    )?;
    let work = |what: &str| format!("append, `always`, {CONNECTIONS} connections, {what}");
    let beside = ("no keys", &without);
    Ok(vec![
        Figure::costs(work("with a key: processor time"), &with_key, beside, Bound::AtMost(MOST)),
        Figure::rates(work("with a key"), &with_key, beside, Bound::Open),
        Figure::costs(work("with a token: processor time"), &with_token, beside, Bound::Open),
        Figure::rates(work("with a token"), &with_token, beside, Bound::Open),
    ])
}
