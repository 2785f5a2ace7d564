//! Rate limits of logins, and one password hash at a time.
//!
//! The strict limit counts per user name and address, so that an attacker who only knows a name cannot lock its user
//! out. The limit per name over all addresses is loose, because it would allow exactly that.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Failure, blocking, failure::HttpResult, password};
use volume::error::Result;

/// Burst, and the time after which one more attempt is allowed, for one user name from one address.
const PER_USER: (u32, Duration) = (10, Duration::from_secs(6));
/// For one user name from all addresses.
const PER_NAME: (u32, Duration) = (200, Duration::from_secs(1));
/// For one address, which many users may share.
const PER_ADDRESS: (u32, Duration) = (40, Duration::from_secs(2));
/// A limiter with more keys than this drops every key that is back at its full burst.
const MAX_KEYS: usize = 1000;

#[derive(Debug)]
pub(crate) struct Logins {
    users: DefaultKeyedRateLimiter<(String, IpAddr)>,
    names: DefaultKeyedRateLimiter<String>,
    /// Logged-in users who enter their current password again, by user id.
    own: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    /// One hash at a time, because each takes 19 MiB.
    hashing: Semaphore,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            users: RateLimiter::keyed(quota(PER_USER)),
            names: RateLimiter::keyed(quota(PER_NAME)),
            own: RateLimiter::keyed(quota(PER_USER)),
            addresses: RateLimiter::keyed(quota(PER_ADDRESS)),
            hashing: Semaphore::new(1),
        }
    }
}

fn quota((burst, period): (u32, Duration)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period).unwrap_or_else(|| Quota::per_minute(burst)).allow_burst(burst)
}

/// Counts an attempt; fails with 429 beyond the limit.
fn count<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> HttpResult<()> {
    if limiter.len() > MAX_KEYS {
        limiter.retain_recent();
        limiter.shrink_to_fit();
    }
    let now = governor::clock::DefaultClock::default().now();
    limiter.check_key(key).map_err(|until| Failure::too_many(until.wait_time_from(now).as_secs() + 1))
}

/// IPv4 addresses as they are, IPv6 addresses as their /64, because a single client usually has a whole /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

impl Logins {
    /// Counts a login attempt; fails with 429 beyond a limit.
    pub(crate) fn attempt(&self, username: &str, address: IpAddr) -> HttpResult<()> {
        let address = network(address);
        // The database compares user names without regard to case, too.
        let username: String = username.chars().take(100).collect::<String>().to_ascii_lowercase();
        count(&self.addresses, &address)?;
        count(&self.users, &(username.clone(), address))?;
        count(&self.names, &username)
    }

    /// Counts an attempt of a logged-in user to enter the current password; fails with 429 beyond the limit.
    pub(crate) fn attempt_own(&self, user_id: &str) -> HttpResult<()> {
        count(&self.own, &user_id.to_owned())
    }

    /// Checks a password. Without a hash (no such user) it takes the same time, so that timing reveals no user names.
    pub(crate) async fn verify(&self, password: Zeroizing<String>, hash: Option<String>) -> Result<bool> {
        let _one = self.hashing.acquire().await;
        blocking(move || Ok(password::verify(&password, hash.as_deref()))).await
    }

    /// Hashes a new password; fails with `Usage` if it is too short or too long.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String> {
        password::acceptable(&password)?;
        let _one = self.hashing.acquire().await;
        blocking(move || password::hash(&password)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Tries until the limit is reached.
    fn guess(logins: &Logins, username: &str, from: IpAddr) {
        assert!((0..100).any(|_| logins.attempt(username, from).is_err()));
    }

    #[test]
    fn an_address_locks_out_only_itself() {
        let logins = Logins::default();
        guess(&logins, "admin", address("192.0.2.1"));
        assert!(logins.attempt("ADMIN", address("192.0.2.1")).is_err(), "case does not matter");
        assert!(logins.attempt("admin", address("::ffff:192.0.2.1")).is_err(), "the same address");
        assert!(logins.attempt("admin", address("192.0.2.2")).is_ok());
        assert!(logins.attempt("else", address("192.0.2.1")).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let logins = Logins::default();
        guess(&logins, "admin", address("2001:db8:0:1::1"));
        assert!(logins.attempt("admin", address("2001:db8:0:1:ffff::2")).is_err());
        assert!(logins.attempt("admin", address("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn many_addresses_together_reach_a_limit() {
        let logins = Logins::default();
        let refused =
            (0..1000).find(|n| logins.attempt("admin", IpAddr::from([10, 0, (n / 250) as u8, *n as u8])).is_err());
        assert!(refused.is_some_and(|n| n >= 200), "{refused:?}");
        assert!(logins.attempt("else", address("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_user_who_enters_the_current_password_again_blocks_no_other_user() {
        let logins = Logins::default();
        assert!((0..100).any(|_| logins.attempt_own("user-1").is_err()));
        assert!(logins.attempt_own("user-2").is_ok());
    }
}
