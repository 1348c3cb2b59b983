use super::super::fixtures::{CLUSTER, Is, address, answers, raft};
use super::super::raft::Said;
use super::*;

fn wait(members: u8) -> AwaitMembers {
    AwaitMembers { database: Database::Northbound, cluster: CLUSTER, members: (1..=members).map(address).collect() }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// Seen to fail with members counted and not compared, with a lagging one taken for caught up, and with troubles of a server that is
/// out held against the others.
#[test]
fn members_agree_or_it_is_said_why_not() {
    use Is::{Cut, Following as F, Lagging, Leading as L, Silent};
    let check = |wait: &AwaitMembers, states: &[Is], expect: &str| {
        let known = Raft::of_cluster(Database::Northbound, Some(CLUSTER), &answers(states));
        let text = match judge(wait, &known) {
            Verdict::Met(text) => format!("met: {text}"),
            Verdict::NotYet(text) => format!("not yet: {text}"),
            Verdict::Failed(error) => format!("failed: {error}"),
        };
        assert!(text.starts_with(expect), "{states:?}: {text}");
    };
    check(&wait(3), &[L, F, F], "met: cluster af0d3812-a907-40a2-b06c-26573f91e464, term 5: 172.18.0.3 (1111) leads");
    check(&wait(3), &[L, F], "not yet: not a member yet: 172.18.0.5 (seen: ");
    check(&wait(2), &[L, F, F], "not yet: still a member, or again: 172.18.0.5 (seen: ");
    check(&wait(3), &[L, F, Lagging(500)], "not yet: 172.18.0.5 (3333) is 500 entries behind the leader (seen: ");
    check(
        &wait(3),
        &[L, F, Silent],
        "not yet: 172.18.0.5 (3333) does not answer: pod ovn-central-3: no answer within 10 s (seen: ",
    );
    check(
        &wait(3),
        &[L, F, Cut],
        "not yet: 172.18.0.5 is in term 6, the leader in 5; 172.18.0.5 (3333) says that it has lost touch",
    );
    check(&wait(3), &[F, F, F], "not yet: nobody leads");
    check(
        &wait(3),
        &[L, F, Is::Foreign],
        "failed: pod ovn-central-3 at 172.18.0.5 belongs to another cluster, bbbb3812-a907-40a2-b06c-26573f91e464: it founded one of \
         its own, and the northbound database is cluster af0d3812-a907-40a2-b06c-26573f91e464. Clients",
    );
    let mut two = answers(&[L, F]);
    two.push(answers(&[Silent, Silent, Is::Foreign]).remove(2));
    let known = Raft::of_cluster(Database::Northbound, Some(CLUSTER), &two);
    assert!(matches!(judge(&wait(2), &known), Verdict::Met(_)), "{:?}", known.troubles);
    // The pod of a server that was taken out runs on for a while.
    two[2].said = Said::NotServed;
    let known = Raft::of_cluster(Database::Northbound, Some(CLUSTER), &two);
    assert!(!known.troubles.is_empty() && matches!(judge(&wait(2), &known), Verdict::Met(_)), "{:?}", known.troubles);
}

/// Seen to fail with one look enough, and with the time without a leader counted from the first look.
#[test]
fn a_row_of_looks_decides() {
    let (whole, leaderless) =
        (raft(&[Is::Leading, Is::Following, Is::Following]), raft(&[Is::Following, Is::Following, Is::Following]));
    let mut watch = Watch::default();
    let says = |verdict: Verdict| {
        let Verdict::NotYet(text) = verdict else { panic!("{verdict:?}") };
        text
    };
    assert!(says(watch.take(&wait(3), &whole, at(0))).starts_with("the members agree, to be seen once more"));
    assert!(says(watch.take(&wait(3), &leaderless, at(100))).starts_with("nobody leads"));
    assert!(says(watch.take(&wait(3), &leaderless, at(110))).starts_with("nobody leads"));
    let long = says(watch.take(&wait(3), &leaderless, at(111)));
    assert!(long.starts_with("nobody has led the northbound database for 11 s, more than 2 election timers (5000 ms)"), "{long}");
    assert!(says(watch.take(&wait(3), &whole, at(112))).starts_with("the members agree, to be seen once more"));
    assert!(matches!(watch.take(&wait(3), &whole, at(114)), Verdict::Met(_)));
    assert!(says(watch.take(&wait(3), &leaderless, at(116))).starts_with("nobody leads"));
}
