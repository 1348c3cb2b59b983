//! Loopback addresses for the nodes of a simulated cluster.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// So many nodes of a cluster can run databases.
const NODES: u8 = 20;

/// A listener on this port of the range's last address is the claim; it goes with its process.
const CLAIM: (u8, u16) = (254, 6640);

/// What OVN's two databases listen on.
const PORTS: std::ops::RangeInclusive<u16> = 6641..=6644;

/// So many ranges are tried; a machine with as many clusters has other troubles.
const MOST_TRIES: u32 = 200;

/// A range of 254 loopback addresses, `127.a.b.1` and on, that no other process of this machine uses.
#[derive(Debug)]
pub struct Addresses {
    network: (u8, u8),
    _claim: TcpListener,
}

impl Addresses {
    /// Finds a free range and keeps it until it is dropped.
    ///
    /// # Errors
    /// If there is none, with the reason why the last that was tried is not free.
    pub fn claim() -> io::Result<Self> {
        static CLAIMED: AtomicU32 = AtomicU32::new(0);
        let mut last = None;
        for _ in 0..MOST_TRIES {
            // Processes begin far apart from each other; odd steps come by every range.
            let number = std::process::id().wrapping_mul(29).wrapping_add(CLAIMED.fetch_add(1, Ordering::Relaxed) * 7);
            let network = (16 + octet(number >> 8) % 200, octet(number));
            match Self::of(network) {
                Ok(addresses) => return Ok(addresses),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("no range of loopback addresses is free")))
    }

    fn of(network: (u8, u8)) -> io::Result<Self> {
        let claim = TcpListener::bind((of(network, CLAIM.0), CLAIM.1))?;
        for (node, port) in (1..=NODES).flat_map(|node| PORTS.map(move |port| (node, port))) {
            TcpListener::bind((of(network, node), port))?;
        }
        Ok(Self { network, _claim: claim })
    }

    /// The `number`th address, from 1.
    pub fn address(&self, number: u8) -> Ipv4Addr {
        of(self.network, number)
    }
}

fn octet(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

fn of((a, b): (u8, u8), host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, a, b, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seen to fail with the claim dropped at once.
    #[test]
    fn a_range_is_claimed_once() {
        let one = Addresses::claim().unwrap();
        assert!(Addresses::of(one.network).is_err());
        assert_ne!(Addresses::claim().unwrap().address(1), one.address(1));
        let network = one.network;
        drop(one);
        Addresses::of(network).unwrap();
    }

    /// Seen to fail with the ports not looked at.
    #[test]
    fn a_range_in_use_is_not_claimed() {
        let one = Addresses::claim().unwrap();
        let network = one.network;
        let _other = TcpListener::bind((one.address(2), 6643)).unwrap();
        drop(one);
        assert!(Addresses::of(network).is_err());
    }
}
