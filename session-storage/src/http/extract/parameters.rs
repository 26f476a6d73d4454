//! Query parameters: unknown ones are ignored, and malformed ones are rejected by name.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use session_model::{Code, Refusal, SessionId, clamp, record_key};

use super::ids::decode;
use crate::sessions::{ExportQuery, ListQuery, LogQuery, PageQuery};

const LIST_LIMIT: usize = 50;
const LIST_LIMITS: RangeInclusive<u64> = 0..=1000;

/// The format of a whole session.
#[derive(Clone, Copy)]
pub(in crate::http) enum Format {
    /// One JSON object.
    Json,
    /// The lines of a HAIL file.
    Hail,
}

/// A raw query string.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a>(pub(crate) &'a str);

fn refuse(name: &str, why: impl Display) -> Refusal {
    Refusal::new(Code::InvalidParameter, format!("`{name}` {why}"))
}

fn text(raw: &str) -> Option<String> {
    let spaced = if raw.contains('+') {
        Cow::Owned(raw.replace('+', " "))
    } else {
        Cow::Borrowed(raw)
    };
    decode(&spaced).map(Cow::into_owned)
}

impl<'a> Parameters<'a> {
    fn raw(self, name: &str) -> impl Iterator<Item = &'a str> {
        let pairs = self
            .0
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs
            .filter(move |(key, _)| *key == name || text(key).is_some_and(|key| key == name))
            .map(|(_, value)| value)
    }

    /// Returns all values of a repeatable parameter.
    fn all(self, name: &str) -> Result<Vec<String>, Refusal> {
        let decoded = |raw| text(raw).ok_or_else(|| refuse(name, "is not percent-encoded UTF-8"));
        self.raw(name).map(decoded).collect()
    }

    /// Returns the value of a parameter that may be given once.
    pub(crate) fn one(self, name: &str) -> Result<Option<String>, Refusal> {
        let mut values = self.all(name)?;
        if values.len() > 1 {
            return Err(refuse(name, "is given more than once"));
        }
        Ok(values.pop())
    }

    /// Returns a parameter that is a whole number.
    pub(crate) fn number(self, name: &str) -> Result<Option<u64>, Refusal> {
        let parse =
            |value: String| number(&value).ok_or_else(|| refuse(name, "must be a whole number"));
        self.one(name)?.map(parse).transpose()
    }

    /// Returns the length to which longer records and events are clamped.
    pub(crate) fn max_bytes(self) -> Result<Option<usize>, Refusal> {
        let bounds = u64::from(clamp::MIN)..=u64::from(clamp::MAX);
        match self.number("max_bytes")? {
            None => Ok(None),
            Some(most) if bounds.contains(&most) => Ok(Some(most as usize)),
            Some(_) => Err(refuse(
                "max_bytes",
                format_args!("must be a number from {} to {}", clamp::MIN, clamp::MAX),
            )),
        }
    }

    /// Returns a boolean parameter.
    pub(crate) fn switch(self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.one(name)?.as_deref() {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(refuse(name, "must be `true` or `false`")),
        }
    }

    /// Returns which sessions to export; `id_of` finds a session by its id or its original name.
    pub(crate) fn export(
        self,
        id_of: impl Fn(&str) -> Result<SessionId, Refusal>,
    ) -> Result<ExportQuery, Refusal> {
        let ids = self
            .all("session")?
            .iter()
            .map(|name| id_of(name))
            .collect::<Result<_, _>>()?;
        Ok(ExportQuery {
            ids,
            user: self.one("user")?,
        })
    }

    /// Returns the format of a whole session.
    pub(in crate::http) fn format(self) -> Result<Format, Refusal> {
        match self.one("format")?.as_deref() {
            None | Some("json") => Ok(Format::Json),
            Some("hail") => Ok(Format::Hail),
            Some(_) => Err(refuse("format", "must be `json` or `hail`")),
        }
    }

    /// Returns which records of a log to read.
    pub(crate) fn log(self) -> Result<LogQuery, Refusal> {
        if self.0.is_empty() {
            return Ok(LogQuery::default());
        }
        let descending = match self.one("order")?.as_deref() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(refuse("order", "must be `asc` or `desc`")),
        };
        Ok(LogQuery {
            after: self.number("after")?,
            before: self.number("before")?,
            descending,
            limit: self.number("limit")?,
            types: self.all("type")?,
            max_bytes: self.max_bytes()?,
            key: self.record_key()?,
            fold: self.switch("fold")?.unwrap_or(false),
        })
    }

    fn record_key(self) -> Result<Option<String>, Refusal> {
        match self.one("key")? {
            Some(key) if !record_key::is_key(&key) => {
                let most = record_key::MAX_CHARS;
                let why = format!("must have 1 to {most} characters, none of which is U+FFFD");
                Err(refuse("key", why))
            }
            key => Ok(key),
        }
    }

    /// Returns which sessions to list.
    pub(crate) fn list(self) -> Result<ListQuery, Refusal> {
        let limit = self.page_limit()?.unwrap_or(LIST_LIMIT);
        Ok(ListQuery {
            user: self.one("user")?,
            status: self.status()?,
            outcome: self.one("outcome")?,
            tag: self.one("tag")?,
            q: self.one("q")?,
            limit,
            cursor: self.one("cursor")?,
        })
    }

    /// Returns which page of a list to return. Without a limit such a list is returned whole.
    pub(crate) fn page(self) -> Result<PageQuery, Refusal> {
        Ok(PageQuery {
            limit: self.page_limit()?,
            cursor: self.one("cursor")?,
        })
    }

    fn page_limit(self) -> Result<Option<usize>, Refusal> {
        match self.number("limit")? {
            None => Ok(None),
            Some(limit) if LIST_LIMITS.contains(&limit) => Ok(Some(limit as usize)),
            Some(_) => Err(refuse("limit", "must be a number from 0 to 1000")),
        }
    }

    fn status(self) -> Result<Option<String>, Refusal> {
        let status = self.one("status")?;
        match status.as_deref() {
            None | Some("active" | "completed") => Ok(status),
            Some(_) => Err(refuse(
                "status",
                "must be `active` or `completed`; how a session ended is found by `outcome`",
            )),
        }
    }
}

/// Parses decimal digits only; `u64::from_str` would also accept a `+`.
pub(crate) fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// Entry point for the fuzzer: any text may be a query string.
#[cfg(any(test, fuzzing))]
pub fn fuzz_parameters(query: &str) {
    let parameters = Parameters(query);
    if let Ok(list) = parameters.list() {
        assert!(LIST_LIMITS.contains(&(list.limit as u64)), "{}", list.limit);
    }
    if let Ok(log) = parameters.log() {
        assert!(log.types.iter().all(|kind| kind.len() <= query.len()));
    }
    if let Ok(export) = parameters.export(SessionId::parse) {
        assert!(export.ids.len() <= query.split('&').count());
    }
    for name in ["logs", "user", ""] {
        let _ = parameters.switch(name);
    }
    if let Some(plain) = decode(query) {
        assert!(plain.len() <= query.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_query_reads_every_parameter() {
        let query = Parameters(
            "limit=3&after=1&before=9&order=desc&type=a&type=b%20c&max_bytes=2048&colour=%zz",
        )
        .log()
        .unwrap();
        assert_eq!(query.limit, Some(3));
        assert_eq!(query.after, Some(1));
        assert_eq!(query.before, Some(9));
        assert!(query.descending);
        assert_eq!(query.max_bytes, Some(2048));
        assert_eq!(query.types, ["a", "b c"]);
        let none = Parameters("").log().unwrap();
        assert_eq!(none.limit, None);
        assert!(!none.descending);
        assert_eq!(none.types.len(), 0);
        assert_eq!(Parameters("type=x+y%2Bz").log().unwrap().types, ["x y+z"]);
    }

    #[test]
    fn what_is_malformed_is_named() {
        for query in [
            "limit=x",
            "limit=-1",
            "limit=+1",
            "limit",
            "limit=1&limit=2",
            "li%6Dit=x",
            "limit=99999999999999999999999",
            "after=1.5",
            "before=",
            "order=sideways",
            "max_bytes=1023",
            "max_bytes=16777217",
            "type=%ff",
        ] {
            let refusal = Parameters(query).log().unwrap_err();
            let name = query.split('=').next().unwrap().replace("%6D", "m");
            assert_eq!(refusal.code, Code::InvalidParameter);
            assert!(
                refusal.message.contains(&name),
                "{query}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn a_list_query_has_bounds() {
        let query =
            Parameters("user=ann&status=active&outcome=error&tag=t&q=a%26b&limit=7&cursor=c")
                .list()
                .unwrap();
        assert_eq!(query.user.as_deref(), Some("ann"));
        assert_eq!(query.q.as_deref(), Some("a&b"));
        assert_eq!(query.limit, 7);
        assert_eq!(Parameters("").list().unwrap().limit, LIST_LIMIT);
        assert_eq!(Parameters("limit=0").list().unwrap().limit, 0);
        for bad in ["limit=1001", "limit=many", "status=odd"] {
            assert!(Parameters(bad).list().is_err(), "{bad}");
        }
        let page = Parameters("limit=7&cursor=c").page().unwrap();
        assert_eq!(page.limit, Some(7));
        assert_eq!(page.cursor.as_deref(), Some("c"));
        assert_eq!(Parameters("").page().unwrap().limit, None);
        for bad in ["limit=1001", "limit=many", "limit=", "cursor=a&cursor=b"] {
            assert!(Parameters(bad).page().is_err(), "{bad}");
        }
    }

    #[test]
    fn switches_are_true_or_false() {
        assert_eq!(Parameters("logs=false").switch("logs"), Ok(Some(false)));
        assert_eq!(Parameters("logs=1").switch("logs"), Ok(Some(true)));
        assert_eq!(Parameters("log=1").switch("logs"), Ok(None));
        assert!(Parameters("logs").switch("logs").is_err());
    }
}
