use windlass_engine::{FailureKind, Timestamp};

use super::super::fixtures::{CLUSTER, Is, OTHER, address, answers, edit, id, pod, raft, raft_address, short};
use super::super::raft::{Answer, Said};
use super::super::status::{Change, Phase};
use super::*;

fn kick(member: u8, of: u8) -> KickServer {
    KickServer {
        database: Database::Northbound,
        cluster: CLUSTER,
        address: address(member),
        id: Some(id(member)),
        short: short(member),
        voters: (1..=of).map(address).collect(),
    }
}

const WHOLE: [Is; 3] = [Is::Leading, Is::Following, Is::Following];

/// What the members answer once a member is out; it does not serve the database any more.
fn after(member: u8) -> Vec<Answer> {
    let mut answers = answers(&WHOLE);
    for other in (1..=3).filter(|other| *other != member) {
        edit(&mut answers, other, |status| {
            status.servers.retain(|server| server.id != short(member));
            status.connections.retain(|link| link.server != short(member));
        });
    }
    answers[usize::from(member) - 1].said = Said::NotServed;
    answers
}

fn look(answers: &[Answer]) -> Raft {
    Raft::of_cluster(Database::Northbound, Some(CLUSTER), answers)
}

/// Seen to fail with the order given in the victim's own pod, and with the digits of an id in place of all of it.
#[test]
fn the_order_goes_to_the_leader_or_past_it() {
    let check = |kick: &KickServer, states: &[Is], teller: u8, server: &str| {
        let expect = Next::Kick(Order { pod: pod(teller), server: server.to_owned() });
        assert_eq!(kick.decide(&raft(states)), Ok(expect), "{states:?}");
    };
    check(&kick(3, 3), &WHOLE, 1, &id(3).to_string());
    check(&kick(1, 3), &WHOLE, 2, &id(1).to_string());
    check(&kick(3, 3), &[Is::Leading, Is::Following, Is::Silent], 1, &id(3).to_string());
    // An id that was never told: the exact raft address names one server as well.
    let nameless = KickServer { id: None, ..kick(3, 3) };
    check(&nameless, &[Is::Leading, Is::Following, Is::Silent], 1, &raft_address(3));
    check(&nameless, &WHOLE, 1, &id(3).to_string());
    // Of two followers the one that has everything passes it on.
    let mut answers = answers(&WHOLE);
    edit(&mut answers, 1, |status| status.servers[1].indexes = Some((10_000, 9_990)));
    let expect = Next::Kick(Order { pod: pod(3), server: id(1).to_string() });
    assert_eq!(kick(1, 3).decide(&look(&answers)), Ok(expect));
}

/// Seen to fail without the comparison of the id, of the members, and of the cluster.
#[test]
fn what_was_pinned_must_still_be_so() {
    let check = |kick: &KickServer, raft: &Raft, kind: FailureKind, code: &str, part: &str| {
        let error = kick.decide(raft).unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        assert!(error.message.contains(part), "{error}");
    };
    let whole = raft(&WHOLE);
    let permanent = FailureKind::Permanent;
    let other_id = KickServer { id: Some(id(9)), short: short(9), ..kick(3, 3) };
    check(
        &other_id,
        &whole,
        permanent,
        "members-changed",
        "the server at 172.18.0.5 was 99990000-0000-0000-0000-000000000000, and is 33330000",
    );
    // The first four digits are the same, and it is another server.
    let alike = Uuid::from_u128(id(3).as_u128() + 1);
    check(
        &KickServer { id: Some(alike), ..kick(3, 3) },
        &whole,
        permanent,
        "members-changed",
        "33330000-0000-0000-0000-000000000001",
    );
    check(
        &KickServer { voters: vec![address(2), address(3)], ..kick(3, 3) },
        &whole,
        permanent,
        "members-changed",
        "its members were",
    );
    check(&kick(4, 4), &raft(&[Is::Leading, Is::Following]), permanent, "members-changed", "its members should be");
    let foreign = Raft::of_cluster(Database::Northbound, Some(CLUSTER), &answers(&[Is::Foreign, Is::Foreign]));
    check(&kick(2, 2), &foreign, permanent, "other-cluster", &OTHER.to_string());
    let transient = FailureKind::Transient;
    check(
        &kick(3, 3),
        &raft(&[Is::Leading, Is::Silent, Is::Following]),
        transient,
        "quorum-guard",
        "1 of 2 members would be alive",
    );
    check(&kick(2, 3), &raft(&[Is::Seeking, Is::Following, Is::Following]), transient, "quorum-guard", "no server leads");
    check(
        &KickServer { voters: vec![address(1)], ..kick(1, 1) },
        &raft(&[Is::Leading]),
        transient,
        "quorum-guard",
        "leave its own cluster",
    );
}

#[test]
fn a_server_that_left_by_itself_is_out() {
    let Ok(Next::Gone(evidence)) = kick(3, 3).decide(&look(&after(3))) else { panic!("an order") };
    assert_eq!(
        evidence,
        "it was out before anything was sent: 172.18.0.5 (3333) is no member any more; seen: cluster \
         af0d3812-a907-40a2-b06c-26573f91e464, term 5: 172.18.0.3 (1111) leads, 172.18.0.4 (2222) follows"
    );
    // Somebody else's order is under way.
    let mut answers = after(3);
    edit(&mut answers, 1, |status| status.changes.push(removing(3)));
    assert_eq!(kick(3, 3).decide(&look(&answers)).unwrap_err().code, "kick-unsettled");
}

fn removing(member: u8) -> Change {
    Change { server: short(member), address: raft_address(member), phase: Phase::Removing }
}

/// Seen to fail with a removal that is not agreed on taken for done, with a list of one follower passed over, with a member taken for
/// still in while one that may have been told is silent, and with a new server at the address taken for the old one.
#[test]
fn what_became_of_an_order_is_told_by_all() {
    let check = |raft: &Raft, expect: &str| {
        let (sort, text) = match judge::judge(&kick(3, 3), raft) {
            Settled::Gone(text) => ("gone", text),
            Settled::Still(text) => ("still", text),
            Settled::NotYet(text) => ("not yet", text),
        };
        assert!(format!("{sort}: {text}").starts_with(expect), "{sort}: {text}");
    };
    let with = |mut answers: Vec<Answer>, change: &dyn Fn(&mut Vec<Answer>)| {
        change(&mut answers);
        look(&answers)
    };
    check(&look(&after(3)), "gone: 172.18.0.5 (3333) is no member any more; seen: ");
    check(
        &with(after(3), &|all| edit(all, 1, |s| s.changes.push(removing(3)))),
        "not yet: 3333 at tcp:[172.18.0.5]:6643 is being taken out",
    );
    check(&with(after(3), &|all| edit(all, 1, |s| s.not_committed = 1)), "not yet: the leader has 1 entries");
    let late = |all: &mut Vec<Answer>| {
        let listed = answers(&WHOLE).remove(0);
        let Said::Status(listed, _) = listed.said else { panic!("it says nothing") };
        edit(all, 2, |status| status.servers.push(listed.servers[2].clone()));
    };
    check(&with(after(3), &late), "not yet: 172.18.0.3 lists 1111");
    check(&raft(&[Is::Leading, Is::Following, Is::Following]), "still: 172.18.0.5 (3333) is a member, and nothing is under way");
    check(&raft(&[Is::Leading, Is::Following, Is::Silent]), "still: ");
    check(&raft(&[Is::Leading, Is::Following, Is::Leaving]), "not yet: 172.18.0.5 (3333) asks to be taken out");
    check(&raft(&[Is::Following, Is::Following, Is::Following]), "not yet: no server leads");
    // One that hangs may have the order before it.
    check(&raft(&[Is::Leading, Is::Silent, Is::Following]), "not yet: 172.18.0.4 (2222) may have been told, and does not answer");
    // It came back under a new id, as a host does whose start script is left to itself.
    let mut answers = answers(&WHOLE);
    for member in 1..=3 {
        edit(&mut answers, member, |status| status.servers[2].id = short(7));
    }
    edit(&mut answers, 3, |status| status.server = id(7));
    check(&look(&answers), "gone: 172.18.0.5 (3333) is no member any more, and another server has joined from its address, 7777");
}

/// Seen to fail with one look enough to say that nothing happened, and with looks before an election counted.
#[test]
fn still_a_member_is_believed_after_some_looks_in_one_term() {
    let (kick, still, out, unclear) =
        (kick(3, 3), raft(&WHOLE), look(&after(3)), raft(&[Is::Leading, Is::Silent, Is::Following]));
    let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
    let mut settling = Settling::begun(at(0));
    assert_eq!(settling.take(&kick, &still, at(0)), None);
    assert_eq!(settling.pause(), std::time::Duration::from_secs(5));
    assert_eq!(settling.take(&kick, &still, at(5)), None);
    let mut elected = still.clone();
    elected.term += 1;
    assert_eq!(settling.take(&kick, &elected, at(10)), None);
    assert_eq!(settling.take(&kick, &elected, at(15)), None);
    assert!(matches!(settling.take(&kick, &elected, at(20)), Some(Settled::Still(_))));
    let mut settling = Settling::begun(at(0));
    assert_eq!(settling.take(&kick, &unclear, at(79)), None);
    let Some(Settled::NotYet(text)) = settling.take(&kick, &unclear, at(80)) else { panic!("it waits on") };
    assert!(text.starts_with("not settled after 80 s: 172.18.0.4 (2222) may have been told"), "{text}");
    assert!(matches!(Settling::begun(at(0)).take(&kick, &out, at(0)), Some(Settled::Gone(_))));
    let mut settling = Settling::begun(at(0));
    assert_eq!(settling.miss("unreachable".to_owned(), at(59)), None);
    assert!(settling.miss("unreachable".to_owned(), at(60)).is_some());
}
