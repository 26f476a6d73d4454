//! From text to values; each says in words what it expected.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::LogFormat;
use crate::store::SyncPolicy;

pub(super) fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let expected = || format!("is no number from {} to {}", range.start(), range.end());
    text.trim().parse().ok().filter(|n| range.contains(n)).ok_or_else(expected)
}

pub(super) fn at_least(value: u64, least: u64) -> Result<u64, String> {
    if value < least { Err(format!("is less than {least} bytes")) } else { Ok(value) }
}

pub(super) fn host(text: &str) -> Result<String, String> {
    let known = text == "localhost" || text.parse::<std::net::IpAddr>().is_ok();
    known.then(|| text.to_owned()).ok_or_else(|| "is neither `localhost` nor an IP address".to_owned())
}

pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("is no path".to_owned()) } else { Ok(PathBuf::from(text)) }
}

pub(super) fn sync_policy(text: &str) -> Result<SyncPolicy, String> {
    match text {
        "always" => Ok(SyncPolicy::Always),
        "everysec" => Ok(SyncPolicy::EverySecond),
        "no" => Ok(SyncPolicy::Never),
        _ => Err("is none of `always`, `everysec`, `no`".to_owned()),
    }
}

pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is neither `true` nor `false`".to_owned()),
    }
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is neither `text` nor `json`".to_owned()),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match tracing_subscriber::EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("is no log filter: {error}")),
    }
}

pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    let origins: Vec<String> =
        text.split(',').map(str::trim).filter(|o| !o.is_empty()).map(str::to_owned).collect();
    match origins.iter().find(|o| *o != "*" && !o.starts_with("http://") && !o.starts_with("https://")) {
        Some(bad) => Err(format!("names `{bad}`, which is no origin like http://localhost:3000")),
        None => Ok(origins),
    }
}

/// A number and a unit, split where the digits end.
fn amount(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((text[..digits].parse().ok()?, text[digits..].trim()))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = "is no time like `500ms`, `30s`, `15m`, `12h` or `30d`";
    let (number, unit) = amount(text).ok_or(expected)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected.to_owned()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "is too long".to_owned())
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let expected = "is no size like `1048576`, `256MiB` or `10GB`";
    let (number, unit) = amount(text).ok_or(expected)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return Err(expected.to_owned()),
    };
    number.checked_mul(factor).ok_or_else(|| "is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("12h"), Ok(Duration::from_hours(12)));
        assert_eq!(bytes("10GB"), Ok(10_000_000_000));
        assert_eq!(bytes("1 MiB"), Ok(1 << 20));
        for bad in ["", "x", "5y", "-1s", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
