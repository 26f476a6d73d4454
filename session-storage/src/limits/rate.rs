//! Rate limits by the generic cell rate algorithm: a burst as large as the rate's count, then
//! evenly spaced requests.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::config::Rate;

/// The remaining budget of a client: the values of the headers `RateLimit-…`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// The number of requests permitted at once.
    pub limit: u32,
    /// The number of requests that remain now.
    pub remaining: u32,
    /// In how many seconds the full budget is available again.
    pub reset: u64,
    /// If this request was refused, in how many seconds the next one is permitted.
    pub retry_after: Option<u64>,
}

/// Identifies the clients whose requests are counted together.
pub trait Counted {
    /// The type of the identity.
    type Name: Hash + Eq + Clone;
    /// The identity under which requests are counted.
    fn name(&self) -> Self::Name;
}

impl Counted for Arc<str> {
    type Name = Self;
    fn name(&self) -> Self {
        Self::clone(self)
    }
}

impl Counted for IpAddr {
    type Name = Self;
    /// Uses the /64 network of an IPv6 address, because an IPv6 client usually controls a whole
    /// /64.
    fn name(&self) -> Self {
        match self.to_canonical() {
            Self::V4(address) => Self::V4(address),
            Self::V6(address) => Self::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        }
    }
}

fn quota(rate: Rate) -> Option<Quota> {
    Quota::with_period(rate.per / rate.count.get()).map(|quota| quota.allow_burst(rate.count))
}

type Limiter<N> =
    RateLimiter<N, DefaultKeyedStateStore<N>, DefaultClock, StateInformationMiddleware>;

/// A rate limit per client.
pub struct RateLimit<C: Counted>(Option<(Rate, Limiter<C::Name>)>);

impl<C: Counted> RateLimit<C> {
    /// Creates the limit; without a rate it is off.
    pub fn new(rate: Option<Rate>) -> Self {
        let limiter = |rate: Rate| {
            let limiter = RateLimiter::keyed(quota(rate)?).with_middleware();
            Some((rate, limiter))
        };
        Self(rate.and_then(limiter))
    }

    /// Whether a rate is set.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Counts a request; `None` if the limit is off.
    pub fn count(&self, of: &C) -> Option<Budget> {
        let (rate, limiter) = self.0.as_ref()?;
        let limit = rate.count.get();
        let until_full = |missing: u32| seconds(rate.per / limit * missing);
        Some(match limiter.check_key(&of.name()) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Budget {
                    limit,
                    remaining,
                    reset: until_full(limit - remaining.min(limit)),
                    retry_after: None,
                }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(DefaultClock::default().now());
                Budget {
                    limit,
                    remaining: 0,
                    reset: seconds(rate.per),
                    retry_after: Some(seconds(wait).max(1)),
                }
            }
        })
    }

    /// Removes clients that have been inactive for so long that their full budget is available
    /// again.
    pub fn tidy(&self) {
        if let Some((_, limiter)) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn each_identity_has_a_burst_and_sees_how_much_is_left() {
        let rate = Rate {
            count: NonZeroU32::new(3).unwrap(),
            per: Duration::from_hours(1),
        };
        let limit = RateLimit::<Arc<str>>::new(Some(rate));
        let left = |who: &str| limit.count(&who.into()).unwrap();
        assert_eq!(
            [left("a"), left("a"), left("a")].map(|budget| budget.remaining),
            [2, 1, 0]
        );
        let refused = left("a");
        assert_eq!(refused.limit, 3);
        assert_eq!(refused.remaining, 0);
        assert_eq!(refused.reset, 3600);
        assert!(
            (1100..=1200).contains(&refused.retry_after.unwrap()),
            "{refused:?}"
        );
        assert_eq!(left("b").remaining, 2);
        assert_eq!(left("b").retry_after, None);
        assert_eq!(RateLimit::<Arc<str>>::new(None).count(&"a".into()), None);
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let name = |text: &str| text.parse::<IpAddr>().unwrap().name();
        assert_eq!(name("2001:db8::1"), name("2001:db8::ffff:1"));
        assert_ne!(name("2001:db8::1"), name("2001:db8:0:1::1"));
        assert_eq!(name("::ffff:10.0.0.1"), name("10.0.0.1"));
        assert_ne!(name("10.0.0.1"), name("10.0.0.2"));
    }
}
