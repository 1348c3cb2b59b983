//! Whether every host can be told to reboot, before anything is changed.

use std::collections::BTreeMap;

use futures::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use windlass_engine::{Activity, ActivityContext, ActivityError, ActivityName, Effect};

use super::Boot;
use super::ssh::BOOT_ID;
use crate::cluster::{Cluster, Query};
use crate::command::tail;
use crate::error::Failure;
use crate::ssh::Ssh;
use crate::views::Node;

/// A jump host lets ten unfinished logins wait (`MaxStartups` of OpenSSH) and refuses some of those beyond.
const AT_ONCE: usize = 8;

/// Logs in to every host, by the way in which it is to be told later, and asks it which boot it is in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckLogins {
    /// Who logs in.
    pub user: String,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Logins {
    /// How many hosts there are.
    pub hosts: u32,
    /// Which hosts could not be told, one line for each cause.
    pub blockers: Vec<String>,
}

impl Activity for CheckLogins {
    const NAME: ActivityName = ActivityName::new("check-logins");
    const EFFECT: Effect = Effect::Observe;
    type World = Cluster;
    type Output = Logins;

    fn summary(&self) -> String {
        format!("check that {} may log in to every host, and use sudo there", self.user)
    }

    async fn run(self, cx: ActivityContext<Cluster>) -> Result<Logins, ActivityError> {
        let nodes: Vec<Node> = cx.world().list(&Query::default()).await?;
        let mut boots: Vec<Boot> = nodes.iter().map(Boot::of).collect();
        boots.sort_by(|a, b| a.node.cmp(&b.node));
        let logins: Vec<_> = boots.iter().map(|boot| self.trouble(cx.world(), boot).boxed()).collect();
        let found = futures::stream::iter(logins).buffered(AT_ONCE).collect::<Vec<_>>().await;
        let mut causes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (boot, cause) in boots.iter().zip(found) {
            if let Some(cause) = cause {
                causes.entry(cause).or_default().push(boot.node.as_str());
            }
        }
        let blockers = causes.into_iter().map(|(cause, names)| {
            let names = names.join(", ");
            format!("{} can't be told to reboot over ssh by {}: {cause}; mend it, or choose --reboot-by daemon", names, self.user)
        });
        Ok(Logins { hosts: u32::try_from(boots.len()).unwrap_or(u32::MAX), blockers: blockers.collect() })
    }
}

impl CheckLogins {
    /// Why a host could not be told; the same words for the same cause on every host.
    async fn trouble(&self, cluster: &Cluster, boot: &Boot) -> Option<String> {
        let Some(address) = boot.addresses.first().copied() else { return Some("it tells no address".to_owned()) };
        let ssh = match Ssh::new(cluster, address, &self.user) {
            Ok(ssh) => ssh,
            Err(error) => return Some(error.message),
        };
        let told = match ssh.say(&BOOT_ID).await {
            Ok(told) => told,
            Err(failure) => return Some(in_words(&failure)),
        };
        if told.code != 0 {
            return Some(tail(without_place(&told.in_words())).to_owned());
        }
        let said = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        (said != boot.boot_id).then(|| "another host answers at its address: it is in another boot".to_owned())
    }
}

/// What `ssh` says without whom and where it says it of: `core@10.0.0.5: Permission denied (publickey).`
fn without_place(said: &str) -> &str {
    match said.split_once(": ") {
        Some((place, cause)) if place.contains('@') && !place.contains(' ') => cause,
        Some(_) | None => said,
    }
}

fn in_words(failure: &Failure) -> String {
    match failure {
        Failure::Answered { status, .. } => status.message.clone(),
        Failure::TimedOut(limit) => format!("no answer within {} s", limit.as_secs()),
        Failure::NotSent(cause)
        | Failure::Lost(cause)
        | Failure::NoCredentials(cause)
        | Failure::Fenced(cause)
        | Failure::Unreadable(cause) => cause.clone(),
    }
}
