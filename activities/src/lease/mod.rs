//! Who may drive a cluster: one Lease in it, which a worker takes before it drives anything and renews while it does.
//!
//! The lease alone would not be enough: a laptop that slept does not know that its time is over. So each write looks at
//! the lease first and is not sent unless it is still ours (`fence`), and whoever takes the lease from somebody else
//! waits until nothing of theirs can be on its way any more ([`take`]). No decision compares two clocks: whether a holder
//! lives is seen in renewals that are watched for a whole term on one's own.

mod decide;
pub(crate) mod fence;
mod holder;
mod keep;
mod record;
mod take;

pub use holder::{Claim, Holder};
pub use keep::{Held, Release};
pub(crate) use record::Standing;
pub use record::{Adopter, Lost, Owner};
pub use take::{LeaseError, Taking, Tell, look, take};

use std::time::Duration;

use windlass_engine::ActivityError;

use crate::cluster::Cluster;
use crate::error::Call;
use crate::link::CALL_LIMIT;

/// The namespace of what windlass keeps in a cluster.
pub const NAMESPACE: &str = "windlass";
/// The lease's name.
pub const NAME: &str = "windlass";

/// How long a holder that is not heard of keeps the lease: four renewals may be lost to a rebooting API server.
const TERM: Duration = Duration::from_secs(60);
/// Whatever a lease says that somebody wrote by hand, its holder is watched for no longer.
const LONGEST_TERM: Duration = Duration::from_secs(300);
/// A quarter of the term.
const RENEW_EVERY: Duration = Duration::from_secs(15);
/// After a renewal that failed; also how often the lease is looked at while its holder is watched.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A write leaves so soon after the look at the lease, or another look is taken.
const LEAVES_WITHIN: Duration = Duration::from_secs(5);
/// Until this long after its look a write may still take effect: it left, its connection came about, and the server
/// itself gives a request up after a minute, whatever the caller does. The call's own limit lies within.
const SETTLES_WITHIN: Duration = Duration::from_secs(90);
const _: () = assert!(LEAVES_WITHIN.as_secs() + CALL_LIMIT.as_secs() < SETTLES_WITHIN.as_secs());

/// On a simulated cluster whose clock runs faster, the times of its lease pass faster too, up to this: its calls take milliseconds.
const FASTEST: f64 = 30.0;

impl Cluster {
    /// How long one of our own times, the lease's above all, takes on this cluster.
    pub(crate) fn at_pace(&self, time: Duration) -> Duration {
        time.div_f64(self.link.clock.speed().clamp(1.0, FASTEST))
    }

    /// Says who we are, as far as it is known before a lease is taken: what our own journal left behind is no other's.
    pub fn introduce(&self, holder: Holder) {
        // Whoever said it first is the same process.
        self.link.us.get_or_init(|| holder);
    }

    /// Who we are, if that was said.
    pub(crate) fn us(&self) -> Option<&Holder> {
        self.link.us.get()
    }

    /// Looks at the lease before something is changed that belongs to the cluster and is no object of it.
    pub(crate) async fn still_ours(&self, tool: &str) -> Result<(), ActivityError> {
        let call = Call { verb: "run", group: String::new(), resource: tool.to_owned(), namespace: None, name: None };
        let client = self.link.client().borrow().clone();
        if let Some(passage) = self.link.admit(&client, &call).await? {
            passage.end(&Ok(()));
        }
        Ok(())
    }
}
