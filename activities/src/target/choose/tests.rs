use super::*;
use crate::condition::fixtures::release;
use crate::views::Status;

fn risk(name: &str, state: Status) -> Risk {
    let (message, url) = (format!("{name} happens."), "https://kb.example.com/1".to_owned());
    Risk { name: name.to_owned(), message, url, state, accepted: false }
}

fn offer(version: &str, risks: &[(&str, Status)]) -> Offer {
    Offer { release: release(version), risks: risks.iter().map(|(name, state)| risk(name, *state)).collect() }
}

fn digest_of(version: &str) -> String {
    let sum: u64 = version.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte));
    format!("sha256:{sum:064x}")
}

fn market() -> Market {
    let offers = vec![
        offer("4.16.25", &[]),
        offer("4.17.9", &[("Old", Status::True)]),
        offer("4.17.12", &[("SlowBoot", Status::False)]),
        offer("4.17.11", &[("SlowDisk", Status::Unknown), ("Gone", Status::True)]),
        offer("4.16.23", &[]),
    ];
    let unreachable = vec![release("4.16.20"), release("4.17.5"), release("4.18.1")];
    Market { offers, source: "the list".to_owned(), unreachable, unread: None }
}

fn unread() -> Market {
    Market { unread: Some("no route".to_owned()), source: "no list of updates".to_owned(), ..Market::default() }
}

/// The choice from 4.16.20 as one line: the version, then the notes; or the error's code and message.
fn check(wanted: &str, market: &Market, accepted: &[&str], expect: Result<&str, &str>) {
    let accepted: Vec<String> = accepted.iter().map(|&name| name.to_owned()).collect();
    let outcome = choose(&release("4.16.20"), &wanted.parse().unwrap(), market, &accepted);
    let shown = outcome.map(|choice| [vec![choice.release.title()], choice.notes].concat().join(" | "));
    let shown = shown.map_err(|error| format!("{}: {}", error.code, error.message));
    assert_eq!(shown.as_deref().map_err(String::as_str), expect);
}

const MINOR: &str = "this is a minor update, 4.16 to 4.17: it can't be taken back";

#[test]
fn the_newest_without_open_risks_is_chosen_and_what_was_passed_over_is_said() {
    check(
        "newest",
        &market(),
        &[],
        Ok(&format!(
            "4.17.9 | {MINOR} | 4.17.12 is newer, but carries risks that were not accepted (SlowBoot) | \
             4.17.11 is newer, but carries risks that were not accepted (SlowDisk)"
        )),
    );
    let accepted = "accepted by name: SlowBoot (concerns this cluster): SlowBoot happens. https://kb.example.com/1";
    check("newest", &market(), &["SlowBoot"], Ok(&format!("4.17.12 | {MINOR} | {accepted}")));
    let patches = Market { offers: vec![offer("4.16.25", &[]), offer("4.16.23", &[])], ..market() };
    check("newest", &patches, &[], Ok("4.16.25"));
    let nothing = "no-update: no update is offered from 4.16.20 by the list; wait until there is one, or choose another channel";
    check("newest", &Market { offers: Vec::new(), ..market() }, &[], Err(nothing));
    let far = Market { offers: vec![offer("4.18.1", &[]), offer("4.16.3", &[])], ..market() };
    check("newest", &far, &[], Err(nothing));
    check(
        "newest",
        &unread(),
        &[],
        Err("no-list: no list of updates could be read (no route); name the release by digest, or another update server"),
    );
    check(
        "newest",
        &market(),
        &["SlowBot"],
        Err("unknown-risk: there is no risk \"SlowBot\" on any update on offer (risks: Gone, Old, SlowBoot, SlowDisk); \
             correct or drop that acceptance"),
    );
}

#[test]
fn a_version_is_taken_only_with_its_own_risks_accepted_by_name() {
    check("4.16.25", &market(), &[], Ok("4.16.25"));
    check(
        "4.17.12",
        &market(),
        &[],
        Err("risk-not-accepted: 4.17.12 carries risks that were not accepted:\n\
             SlowBoot (concerns this cluster): SlowBoot happens. https://kb.example.com/1\n\
             choose another release, or accept them by name: --accept-risk SlowBoot"),
    );
    check(
        "4.17.11",
        &market(),
        &[],
        Err("risk-not-accepted: 4.17.11 carries risks that were not accepted:\n\
             SlowDisk (could not be judged): SlowDisk happens. https://kb.example.com/1\n\
             choose another release, or accept them by name: --accept-risk SlowDisk"),
    );
    check(
        "4.17.12",
        &market(),
        &["SlowBoot", "SlowDisk"],
        Err("unknown-risk: there is no risk \"SlowDisk\" on 4.17.12 (risks: SlowBoot); correct or drop that acceptance"),
    );
    let accepted = "accepted by name: SlowDisk (could not be judged): SlowDisk happens. https://kb.example.com/1";
    check("4.17.11", &market(), &["SlowDisk", "Gone"], Ok(&format!("4.17.11 | {MINOR} | {accepted}")));
}

#[test]
fn what_is_not_offered_is_refused_with_what_is_close() {
    check(
        "4.17.10",
        &market(),
        &[],
        Err("not-offered: 4.17.10 is not offered from 4.16.20 by the list (offered: 4.17.9, 4.17.11, 4.17.12, and 2 more)"),
    );
    check(
        "4.17.5",
        &market(),
        &[],
        Err("not-offered: 4.17.5 is not offered from 4.16.20 by the list; it is in the channel, and no edge leads to it from \
             there (offered: 4.17.9, 4.17.11, 4.17.12, and 2 more)"),
    );
    check("4.16.20", &market(), &[], Err("already-there: the cluster is at 4.16.20 already; nothing is to be done"));
    check(
        "4.16.18",
        &market(),
        &[],
        Err("downgrade: 4.16.18 is older than 4.16.20, and clusters can't be taken back; choose a newer release"),
    );
    check(
        "4.18.1",
        &market(),
        &[],
        Err("giant-hop: 4.18.1 is more than one minor release beyond 4.16.20; go to 4.17 first, or use eus-update for two"),
    );
}

#[test]
fn a_digest_is_found_under_any_repository_or_taken_without_a_version() {
    let digested = |version: &str, risks: &[(&str, Status)]| {
        let mut offer = offer(version, risks);
        offer.release.image = format!("registry.example.com/release@{}", digest_of(version));
        offer
    };
    let market = Market {
        offers: vec![digested("4.17.9", &[]), digested("4.17.12", &[("SlowBoot", Status::False)])],
        unreachable: vec![digested("4.18.1", &[]).release, digested("4.17.5", &[]).release],
        ..market()
    };
    let mirrored = |version: &str| format!("mirror.example.com:5000/ocp/release@{}", digest_of(version));
    check(&mirrored("4.17.9"), &market, &[], Ok(&format!("4.17.9 | {MINOR}")));
    let chosen = choose(&release("4.16.20"), &Wanted::Digest(mirrored("4.17.9")), &market, &[]).unwrap();
    assert_eq!(chosen.release.image, mirrored("4.17.9"));
    let code =
        |wanted: &str, market: &Market| choose(&release("4.16.20"), &wanted.parse().unwrap(), market, &[]).unwrap_err().code;
    assert_eq!(code(&mirrored("4.17.12"), &market), "risk-not-accepted");
    assert_eq!(code(&mirrored("4.18.1"), &market), "giant-hop");
    assert_eq!(code(&mirrored("4.17.5"), &market), "not-offered");
    let digest = digest_of("4.17.77");
    check(
        &mirrored("4.17.77"),
        &unread(),
        &[],
        Ok(&format!(
            "{digest} | the version of {digest} is not known (no route): the cluster itself checks signature, version and \
             direction when it takes the image"
        )),
    );
    let mut from = release("4.16.20");
    from.image = format!("registry.example.com/release@{digest}");
    assert_eq!(choose(&from, &Wanted::Digest(mirrored("4.17.77")), &unread(), &[]).unwrap_err().code, "already-there");
}
