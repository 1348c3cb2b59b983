//! Help texts, and what is said to a command line or a kubeconfig that cannot be.

mod support;

use support::Place;

#[test]
fn the_help_is_a_contract() {
    let place = Place::new();
    let commands = [
        "",
        "rehearse",
        "plan",
        "start",
        "resume",
        "adopt",
        "adopt-procedure",
        "list",
        "status",
        "history",
        "explain",
        "approve",
        "reject",
        "cancel",
        "pause",
        "unpause",
        "retry",
        "skip",
        "mark-done",
        "set-timeout",
        "note",
        "check",
        "verify",
        "repair",
        "export",
        "replay",
        "import",
        "sim",
        "snapshot",
        "rbac",
    ];
    let help = |command: &str| {
        let words: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        format!("$ windlass {}\n{}", words.join(" "), place.windlass(&words).whole())
    };
    insta::assert_snapshot!("help", commands.map(help).join("\n"));
    insta::assert_snapshot!("help_eus_update", place.windlass(&["start", "eus-update", "--help"]).whole());
}

#[test]
fn a_wrong_command_line_is_one_line_and_what_to_type() {
    let place = Place::new();
    let wrong: [&[&str]; 11] = [
        &["lst"],
        &["start", "eus-updat"],
        &["start", "nothing-like-it", "--to", "4.18"],
        &["rbac", "eus"],
        &["export"],
        &["list", "-o", "xml"],
        &["approve", "deadbeef"],
        &["rehearse", "eus-update", "--to", "4.17"],
        &["rehearse", "eus-update", "--to", "four"],
        &["rehearse", "--nodes", "many", "eus-update"],
        &["rehearse", "--faults", "no-such-file", "eus-update"],
    ];
    let mut text = String::new();
    for args in wrong {
        let said = place.windlass(args);
        assert_eq!(said.code, 2, "{args:?}: {}", said.whole());
        assert!(said.err.lines().last().is_some_and(|line| line.starts_with("next: ")), "{args:?}: {}", said.err);
        text.extend(["$ windlass ", &args.join(" "), "\n", &said.whole()]);
    }
    insta::assert_snapshot!("usage", text);
}

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: prod
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: prod, context: {cluster: c, user: u}}, {name: lost, context: {cluster: gone, user: u}}]
";

#[test]
fn a_wrong_kubeconfig_is_named() {
    let place = Place::new();
    let (good, broken) = (place.path("kubeconfig"), place.path("broken"));
    std::fs::write(&good, KUBECONFIG).expect("it can be written");
    std::fs::write(&broken, "clusters: 7").expect("it can be written");
    let (good, broken) = (good.display().to_string(), broken.display().to_string());
    let missing = place.path("missing").display().to_string();
    let check = |flags: &[&str], code: i32| {
        let said = place.windlass(&[flags, &["start", "eus-update", "--to", "4.18"]].concat());
        assert_eq!(said.code, code, "{flags:?}: {}", said.whole());
        assert_eq!(said.err.lines().count(), 2, "{flags:?}: {}", said.err);
        said.whole()
    };
    let text = [
        check(&["--kubeconfig", &missing], 2),
        check(&["--kubeconfig", &broken], 2),
        check(&["--kubeconfig", &good, "--context", "other"], 2),
        check(&["--kubeconfig", &good, "--context", "lost"], 2),
        check(&["--kubeconfig", &good], 1),
    ];
    insta::assert_snapshot!("kubeconfig", text.concat());
    assert!(!place.journal().exists(), "nothing may be made before the cluster is known");
}
