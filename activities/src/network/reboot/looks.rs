//! Looks at the hosts themselves while the API is away: evidence for a person, which decides nothing.

use std::convert::Infallible;
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use windlass_engine::{ActivityContext, Timestamp};

use super::Boot;
use crate::cluster::Cluster;
use crate::snapshot::ApiState;

/// The ports that are looked at: of every host, and of those of the control plane.
const SSH: u16 = 22;
const API: u16 = 6443;

/// How often at the most: sixty connections are no burden, and what boots takes minutes.
const EVERY: Duration = Duration::from_secs(30);

/// A host that is up takes a connection in milliseconds, across a continent too.
const LIMIT: Duration = Duration::from_secs(3);

/// So many connections are tried at a time.
const AT_ONCE: usize = 32;

/// How many hosts are named in a line.
const NAMED: usize = 5;

/// Which ports of a host answered.
struct Look<'a> {
    boot: &'a Boot,
    ssh: bool,
    api: Option<bool>,
}

/// Says, for as long as the API server is away, which hosts answer.
pub(super) async fn tell(cx: &ActivityContext<Cluster>, boots: &[Boot], budget: Duration) -> Infallible {
    let pictures = cx.world().cache().subscribe();
    loop {
        let api = pictures.borrow().api();
        if let ApiState::Lost { since, error } = api {
            let seen = in_words(&look(cx.world(), boots).await);
            // It may be back by now.
            if matches!(pictures.borrow().api(), ApiState::Lost { .. }) {
                cx.progress(format!("{}{seen}; {error}", away(since, cx.now(), budget)));
            }
        }
        cx.sleep(EVERY).await;
    }
}

fn away(since: Timestamp, now: Timestamp, budget: Duration) -> String {
    let minutes = now.since(since).as_secs() / 60;
    let until = since.plus(budget).to_datetime().format("%H:%M:%SZ");
    format!("the API server is away for {minutes} min, waited for until {until}; ")
}

async fn look<'a>(cluster: &Cluster, boots: &'a [Boot]) -> Vec<Look<'a>> {
    let one = |boot: &'a Boot| {
        async move {
            let Some(address) = boot.addresses.first().copied() else { return Look { boot, ssh: false, api: None } };
            let ssh = cluster.answers(address, SSH, LIMIT).await;
            let api = if boot.control_plane { Some(cluster.answers(address, API, LIMIT).await) } else { None };
            Look { boot, ssh, api }
        }
        .boxed()
    };
    let looks: Vec<_> = boots.iter().filter(|boot| !boot.addresses.is_empty()).map(one).collect();
    futures::stream::iter(looks).buffered(AT_ONCE).collect().await
}

fn in_words(looks: &[Look<'_>]) -> String {
    if looks.is_empty() {
        return "no address of a host is known".to_owned();
    }
    let silent: Vec<&str> =
        looks.iter().filter(|look| !look.ssh && look.api != Some(true)).map(|look| look.boot.node.as_str()).collect();
    if silent.len() == looks.len() {
        return format!("of {} hosts none answers from here: they boot, or the way to them (a VPN) is gone", looks.len());
    }
    let ssh = looks.iter().filter(|look| look.ssh).count();
    let (all, api) = (looks.iter().filter(|look| look.api.is_some()).count(), looks.iter().filter(|look| look.api == Some(true)));
    let control_plane = if all > 0 { format!(", {} of {all} on {API}", api.count()) } else { String::new() };
    let words = format!("of {} hosts {ssh} answer on port {SSH}{control_plane}", looks.len());
    if silent.is_empty() {
        return words;
    }
    let more = if silent.len() > NAMED { ", …" } else { "" };
    format!("{words}; not answering: {}{more}", silent.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::hosts::Hosts;
    use crate::testing::Server;

    fn boot(name: &str, address: [u8; 4], control_plane: bool) -> Boot {
        Boot { node: name.into(), boot_id: String::new(), addresses: vec![address.into()], control_plane }
    }

    /// Seen to fail with: the ports of the control plane looked for on every host; silent hosts not named.
    #[test]
    fn what_answers_is_told_in_a_line() {
        let boots: Vec<Boot> = (0..8_u8).map(|at| boot(&format!("n{at}"), [10, 0, 0, at], at < 3)).collect();
        let check = |ssh: &[usize], api: &[usize], expect: &str| {
            let looks = boots.iter().enumerate().map(|(at, boot)| {
                let api = boot.control_plane.then(|| api.contains(&at));
                Look { boot, ssh: ssh.contains(&at), api }
            });
            assert_eq!(in_words(&looks.collect::<Vec<_>>()), expect);
        };
        check(&[0, 1, 4], &[0], "of 8 hosts 3 answer on port 22, 1 of 3 on 6443; not answering: n2, n3, n5, n6, n7");
        check(&[0], &[], "of 8 hosts 1 answer on port 22, 0 of 3 on 6443; not answering: n1, n2, n3, n4, n5, …");
        check(&[0, 1, 2, 3, 4, 5, 6, 7], &[0, 1, 2], "of 8 hosts 8 answer on port 22, 3 of 3 on 6443");
        check(&[], &[], "of 8 hosts none answers from here: they boot, or the way to them (a VPN) is gone");
    }

    /// Seen to fail with: a port that nobody listens on said to answer.
    #[tokio::test]
    async fn a_port_answers_if_it_takes_a_connection() {
        let cluster = Server::healthy().cluster_with(Hosts::default()).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        assert!(cluster.answers(at.ip(), at.port(), LIMIT).await);
        drop(listener);
        assert!(!cluster.answers(at.ip(), at.port(), LIMIT).await);
    }
}
