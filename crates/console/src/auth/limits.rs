//! Logins: so many attempts a user name and an address, and one password at a time.
//!
//! Whoever only knows a name must not keep its user out: what one address tries counts against that address. All
//! addresses together are bounded, too, but so loosely that it takes many of them.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{Failure, blocking, failure::Answer, password};
use volume::error::Result;

/// Attempts at once for one user from one address, and then one in so long.
const A_USER: (u32, Duration) = (10, Duration::from_secs(6));
/// The same for one user from everywhere.
const A_NAME: (u32, Duration) = (200, Duration::from_secs(1));
/// The same for one address: many may share it.
const AN_ADDRESS: (u32, Duration) = (40, Duration::from_secs(2));
/// So many names and addresses are remembered before those that have waited long enough are forgotten.
const REMEMBERED: usize = 1000;

/// What bounds logins.
#[derive(Debug)]
pub struct Logins {
    users: DefaultKeyedRateLimiter<(String, IpAddr)>,
    names: DefaultKeyedRateLimiter<String>,
    /// Of users who have logged in, and say their password again; by id.
    own: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    /// A hash takes 19 MiB: one at a time.
    hashing: Semaphore,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            users: RateLimiter::keyed(quota(A_USER)),
            names: RateLimiter::keyed(quota(A_NAME)),
            own: RateLimiter::keyed(quota(A_USER)),
            addresses: RateLimiter::keyed(quota(AN_ADDRESS)),
            hashing: Semaphore::new(1),
        }
    }
}

fn quota((burst, period): (u32, Duration)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period).unwrap_or_else(|| Quota::per_minute(burst)).allow_burst(burst)
}

/// Counts one for this key; 429 where there were too many.
fn count<K: Hash + Eq + Clone>(limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Answer<()> {
    if limiter.len() > REMEMBERED {
        limiter.retain_recent();
        limiter.shrink_to_fit();
    }
    let now = governor::clock::DefaultClock::default().now();
    limiter.check_key(key).map_err(|until| Failure::too_many(until.wait_time_from(now).as_secs() + 1))
}

/// Whom an address belongs to: with IPv6 everybody has as many as fit into a /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

impl Logins {
    /// Counts an attempt to log in.
    ///
    /// # Errors
    /// 429 where there were too many.
    pub fn attempt(&self, username: &str, address: IpAddr) -> Answer<()> {
        let address = network(address);
        // As the database compares names.
        let username: String = username.chars().take(100).collect::<String>().to_ascii_lowercase();
        count(&self.addresses, &address)?;
        count(&self.users, &(username.clone(), address))?;
        count(&self.names, &username)
    }

    /// Counts an attempt of a user who has logged in to say the present password.
    ///
    /// # Errors
    /// 429 where there were too many.
    pub fn attempt_own(&self, user_id: &str) -> Answer<()> {
        count(&self.own, &user_id.to_owned())
    }

    /// Whether this is the password; it takes as long where there is no hash.
    ///
    /// # Errors
    /// Where the console is being stopped.
    pub async fn is(&self, password: Zeroizing<String>, hash: Option<String>) -> Result<bool> {
        let _one = self.hashing.acquire().await;
        blocking(move || Ok(password::is(&password, hash.as_deref()))).await
    }

    /// What is kept of a new password.
    ///
    /// # Errors
    /// `Usage` for one that nobody should have.
    pub async fn hash(&self, password: Zeroizing<String>) -> Result<String> {
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

    /// Until there were too many.
    fn guess(logins: &Logins, username: &str, from: IpAddr) {
        assert!((0..100).any(|_| logins.attempt(username, from).is_err()));
    }

    #[test]
    fn one_address_keeps_nobody_out_but_itself() {
        let logins = Logins::default();
        guess(&logins, "admin", address("192.0.2.1"));
        assert!(logins.attempt("ADMIN", address("192.0.2.1")).is_err(), "names are compared as the database does");
        assert!(logins.attempt("admin", address("::ffff:192.0.2.1")).is_err(), "the same address");
        assert!(logins.attempt("admin", address("192.0.2.2")).is_ok());
        assert!(logins.attempt("else", address("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let logins = Logins::default();
        guess(&logins, "admin", address("2001:db8:0:1::1"));
        assert!(logins.attempt("admin", address("2001:db8:0:1:ffff::2")).is_err());
        assert!(logins.attempt("admin", address("2001:db8:0:2::1")).is_ok());
    }

    #[test]
    fn many_addresses_together_do_not_guess_for_ever() {
        let logins = Logins::default();
        let refused =
            (0..1000).find(|n| logins.attempt("admin", IpAddr::from([10, 0, (n / 250) as u8, *n as u8])).is_err());
        assert!(refused.is_some_and(|n| n >= 200), "{refused:?}");
        assert!(logins.attempt("else", address("192.0.2.1")).is_ok());
    }

    #[test]
    fn whoever_says_a_password_again_is_in_nobodys_way() {
        let logins = Logins::default();
        assert!((0..100).any(|_| logins.attempt_own("user-1").is_err()));
        assert!(logins.attempt_own("user-2").is_ok());
    }
}
