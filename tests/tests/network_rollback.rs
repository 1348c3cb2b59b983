//! The way back from OVN-Kubernetes to OpenShift SDN, through crashes, repeats, failures and lost replies: each node reboots once to be
//! prepared, and once to take the old plugin.
//!
//! Seen to fail with the boot neither looked at before a host is told nor named in what it is told.

use std::time::Duration;

use windlass_tests::migration::{owed_if_begun, to_sdn};
use windlass_tests::{
    crash_at_every_append, crash_before_every_effect, fail_every_activity, lose_every_reply, repeat_every_activity,
};

#[test]
fn it_survives_a_crash_at_every_append() {
    crash_at_every_append(&to_sdn());
}

#[test]
fn it_survives_an_hour_without_a_worker_after_every_append() {
    let mut proof = to_sdn();
    proof.around.away = Duration::from_secs(3600);
    crash_at_every_append(&proof);
}

#[test]
fn it_survives_a_crash_before_every_effect() {
    crash_before_every_effect(&to_sdn());
}

#[test]
fn it_survives_the_repeat_of_every_activity() {
    repeat_every_activity(&to_sdn());
}

#[test]
fn it_survives_the_failure_of_every_activity() {
    fail_every_activity(&to_sdn(), owed_if_begun);
}

#[test]
fn it_survives_the_loss_of_every_reply() {
    lose_every_reply(&to_sdn());
}
