//! Limits of connections in total and per peer, so that one peer cannot use up all connections.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::network;

const CONNECTIONS: u32 = 128;
const PER_PEER: usize = 32;

/// A handle to the limits; clones share them.
#[derive(Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The slot of one connection; dropping it frees the slot.
pub(super) struct Slot {
    peers: Arc<Mutex<HashMap<IpAddr, usize>>>,
    peer: IpAddr,
    _one: OwnedSemaphorePermit,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(CONNECTIONS as usize)), peers: Arc::default() }
    }

    /// Waits until the total allows one more connection.
    pub(super) async fn one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).acquire_owned().await.ok()
    }

    /// Turns the permit into the peer's slot, or drops it if the peer has too many connections.
    pub(super) fn for_peer(&self, one: OwnedSemaphorePermit, address: IpAddr) -> Option<Slot> {
        let peer = network(address);
        let mut peers = locked(&self.peers);
        let count = peers.entry(peer).or_default();
        if *count >= PER_PEER {
            return None;
        }
        *count += 1;
        drop(peers);
        Some(Slot { peers: Arc::clone(&self.peers), peer, _one: one })
    }

    /// Waits until all connections are closed.
    pub(super) async fn none_taken(&self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn take(slots: &Slots, address: &str) -> Option<Slot> {
        let one = Arc::clone(&slots.all).try_acquire_owned().expect("there is room");
        slots.for_peer(one, address.parse().expect("an address"))
    }

    #[test]
    fn a_peer_cannot_use_up_all_connections() {
        let slots = Slots::new();
        let mut taken: Vec<_> = (0..PER_PEER).map(|_| take(&slots, "10.0.0.1").expect("is within the limit")).collect();
        assert!(take(&slots, "10.0.0.1").is_none());
        assert!(take(&slots, "::ffff:10.0.0.1").is_none(), "the same peer");
        assert!(take(&slots, "10.0.0.2").is_some());
        taken.pop();
        taken.push(take(&slots, "10.0.0.1").expect("one is free again"));
        drop(taken);
        assert!(locked(&slots.peers).is_empty(), "peers without connections are forgotten");
        assert_eq!(slots.all.available_permits(), CONNECTIONS as usize);
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_count_as_one_peer() {
        let slots = Slots::new();
        let _taken: Vec<_> = (0..PER_PEER).map(|at| take(&slots, &format!("2001:db8::{at:x}"))).collect();
        assert!(take(&slots, "2001:db8::ffff:1:2:3").is_none());
        assert!(take(&slots, "2001:db8:0:1::1").is_some());
    }
}
