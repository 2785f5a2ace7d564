//! How many connections there are, in all and of each peer: one peer cannot have all of them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many connections at a time.
const CONNECTIONS: u32 = 128;
/// As many of one peer.
const OF_A_PEER: usize = 32;

/// All of them; a handle.
#[derive(Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's; free when it is dropped.
pub(super) struct Slot {
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
    peer: IpAddr,
    _one: OwnedSemaphorePermit,
}

impl Slots {
    pub fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(CONNECTIONS as usize)), peers: Arc::default() }
    }

    /// Waits until there may be one more connection.
    pub async fn one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// That one is this peer's, where the peer may have one more.
    pub fn for_peer(&self, one: OwnedSemaphorePermit, address: IpAddr) -> Option<Slot> {
        let peer = peer_of(address);
        let mut peers = locked(&self.peers);
        let count = peers.entry(peer).or_default();
        if *count >= OF_A_PEER {
            return None;
        }
        *count += 1;
        drop(peers);
        Some(Slot { peers: Arc::clone(&self.peers), peer, _one: one })
    }

    /// Waits until there is no connection.
    pub async fn none_taken(&self) {
        drop(self.all.acquire_many(CONNECTIONS).await);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut peers = locked(&self.peers);
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

fn locked(peers: &Mutex<HashMap<IpAddr, usize>>) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
    peers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever has an IPv6 address has 2^64 of them.
fn peer_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(slots: &Slots, address: &str) -> Option<Slot> {
        let one = Arc::clone(&slots.all).try_acquire_owned().expect("there is room");
        slots.for_peer(one, address.parse().expect("an address"))
    }

    #[test]
    fn a_peer_leaves_room_for_others() {
        let slots = Slots::new();
        let mut taken: Vec<_> = (0..OF_A_PEER).map(|_| take(&slots, "10.0.0.1").expect("is one of so many")).collect();
        assert!(take(&slots, "10.0.0.1").is_none());
        assert!(take(&slots, "::ffff:10.0.0.1").is_none(), "the same peer");
        assert!(take(&slots, "10.0.0.2").is_some());
        taken.pop();
        taken.push(take(&slots, "10.0.0.1").expect("one is free again"));
        drop(taken);
        assert!(locked(&slots.peers).is_empty(), "nothing is remembered of those that are gone");
        assert_eq!(slots.all.available_permits(), CONNECTIONS as usize);
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_are_one_peer() {
        let slots = Slots::new();
        let _taken: Vec<_> = (0..OF_A_PEER).map(|at| take(&slots, &format!("2001:db8::{at:x}"))).collect();
        assert!(take(&slots, "2001:db8::ffff:1:2:3").is_none());
        assert!(take(&slots, "2001:db8:0:1::1").is_some());
    }
}
