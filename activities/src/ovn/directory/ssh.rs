//! A node's disk over the system's `ssh`.

use std::net::IpAddr;

use windlass_engine::ActivityError;

use super::host::Place;
use crate::command::tail;
use crate::exec::Purpose;
use crate::ssh::Ssh;

/// Asks the host for its own addresses: a route or a table of hosts may lead elsewhere.
pub(super) async fn check(ssh: &Ssh<'_>, place: Place<'_>) -> Result<(), ActivityError> {
    let mut told = ssh.command(&["hostname", "-I"], Purpose::Look).await?;
    if told.code != 0 {
        told = ssh.command(&["ip", "-o", "addr"], Purpose::Look).await?;
    }
    let own = addresses(&String::from_utf8_lossy(&told.stdout));
    if own.contains(&place.address) {
        return Ok(());
    }
    let own: Vec<String> = own.iter().map(ToString::to_string).collect();
    let own = if own.is_empty() { tail(&told.in_words()).to_owned() } else { own.join(", ") };
    Err(place.wrong(&format!("asked for its addresses over ssh it says: {own}")))
}

/// Every word that is an address, with or without the length of its network.
fn addresses(text: &str) -> Vec<IpAddr> {
    let bare = |word: &str| word.split('/').next().unwrap_or_default().parse().ok();
    text.split_whitespace().filter_map(bare).collect()
}

#[cfg(test)]
mod tests;
