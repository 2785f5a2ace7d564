//! Logins: so many attempts a user name and an address, and one password at a time.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    error::Result,
    serve::{Failure, blocking, failure::Answer, password},
};

/// Attempts at once for one user, and then one in so long.
const A_USER: (u32, Duration) = (10, Duration::from_secs(6));
/// The same for one address: many may share it.
const AN_ADDRESS: (u32, Duration) = (40, Duration::from_secs(2));
/// So many names and addresses are remembered before those that have waited long enough are forgotten.
const REMEMBERED: usize = 1000;

/// What bounds logins.
#[derive(Debug)]
pub struct Logins {
    users: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
    /// A hash takes 19 MiB: one at a time.
    hashing: Semaphore,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            users: RateLimiter::keyed(quota(A_USER)),
            addresses: RateLimiter::keyed(quota(AN_ADDRESS)),
            hashing: Semaphore::new(1),
        }
    }
}

fn quota((burst, period): (u32, Duration)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period).unwrap_or_else(|| Quota::per_minute(burst)).allow_burst(burst)
}

impl Logins {
    /// Counts an attempt.
    ///
    /// # Errors
    /// 429 where there were too many.
    pub fn attempt(&self, username: &str, address: IpAddr) -> Answer<()> {
        if self.users.len() > REMEMBERED || self.addresses.len() > REMEMBERED {
            self.users.retain_recent();
            self.addresses.retain_recent();
            self.users.shrink_to_fit();
            self.addresses.shrink_to_fit();
        }
        let clock = governor::clock::DefaultClock::default();
        let wait = |until: governor::NotUntil<_>| until.wait_time_from(clock.now()).as_secs() + 1;
        self.addresses.check_key(&address).map_err(|until| Failure::too_many(wait(until)))?;
        // As the database compares names.
        let username: String = username.chars().take(100).collect::<String>().to_ascii_lowercase();
        self.users.check_key(&username).map_err(|until| Failure::too_many(wait(until)))
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
