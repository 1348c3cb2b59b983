//! Real database servers in pods of ovn-central, started as Kube-OVN's start script starts them; skipped, loudly, where they are not.
//!
//! The cases were seen to fail with: nobody said to lead; `NODE_IPS` not looked at; files that are there made anew; a suspended server
//! that goes on; versions that delete databases and do not.

use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use windlass_sim::kube_ovn::Database;
use windlass_sim::kube_ovn::real::Settings;
use windlass_tests::raft::{CASES, Pods, real_raft, until};

async fn check(name: &str) -> Result<()> {
    let Some(raft) = real_raft(Settings::default()) else { return Ok(()) };
    let pods = Pods::new(raft.clone(), (1..=4).map(|node| raft.address(node)).collect())?;
    let case = CASES.iter().find(|case| case.name == name).context("there is such a case")?;
    assert_eq!((case.run)(&pods).await?, case.comes_out, "{name}");
    Ok(())
}

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            check(stringify!($name)).await
        })*

        #[test]
        fn every_case_is_tried() {
            let tried = [$(stringify!($name)),*];
            assert!(CASES.iter().map(|case| case.name).eq(tried));
        }
    };
}

cases! {
    three_form_one_cluster,
    a_follower_is_kicked,
    a_follower_forwards,
    the_leader_is_kicked_in_its_own_pod,
    the_leader_is_kicked_by_a_follower,
    the_last_one_takes_any_name_for_its_own,
    an_unknown_database,
    a_kick_of_one_that_hangs,
    a_kick_without_quorum,
    a_crashed_leader_comes_back,
    one_that_was_away_when_it_was_kicked,
    a_kicked_one_comes_back_with_new_files,
    a_fourth_joins,
    the_first_alone_founds_another_cluster,
    the_first_joins_where_a_leader_is,
    a_version_that_deletes,
    what_was_written_stays,
}

/// How many processes of this machine have `root` in their command line.
fn processes(root: &Path) -> Result<usize> {
    let named = |entry: std::io::Result<std::fs::DirEntry>| {
        let words = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        words.windows(root.as_os_str().len()).any(|part| part == root.as_os_str().as_bytes()).then_some(())
    };
    Ok(std::fs::read_dir("/proc")?.filter_map(named).count())
}

/// Seen to fail with threads that are not told to end when what holds them is dropped.
#[tokio::test]
async fn nothing_is_left_when_it_is_dropped() -> Result<()> {
    let Some(raft) = real_raft(Settings::default()) else { return Ok(()) };
    let root = raft.root().to_owned();
    let pods = Pods::new(raft.clone(), (1..=2).map(|node| raft.address(node)).collect())?;
    pods.start(&[1, 2], &[1, 2]);
    pods.members(Database::Northbound, &[1, 2]).await?;
    pods.suspend(2, true);
    assert_eq!(processes(&root)?, 4);
    drop((pods, raft));
    assert_eq!(processes(&root)?, 0);
    assert!(!root.exists());
    Ok(())
}

/// Tells the test below that it is the process that will be killed.
const VICTIM: &str = "WINDLASS_TEST_VICTIM";

/// Seen to fail with servers that are not tethered to the thread that started them.
#[tokio::test]
async fn nothing_outlives_a_process_that_is_killed() -> Result<()> {
    let Some(raft) = real_raft(Settings::default()) else { return Ok(()) };
    if std::env::var_os(VICTIM).is_some() {
        let pods = Pods::new(raft.clone(), vec![raft.address(1)])?;
        pods.start(&[1], &[1]);
        pods.ready(&[1]).await?;
        println!("\nroot {}", raft.root().display());
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        return Ok(());
    }
    // Its files stay, as after any kill.
    let scratch = tempfile::tempdir()?;
    let mut test = Command::new(std::env::current_exe()?);
    test.env("TMPDIR", scratch.path());
    test.args(["--exact", "nothing_outlives_a_process_that_is_killed", "--nocapture"]).env(VICTIM, "1");
    let mut test = test.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let said = BufReader::new(test.stdout.take().context("its output is a pipe")?);
    let root = said.lines().map_while(Result::ok).find_map(|line| Some(PathBuf::from(line.strip_prefix("root ")?)));
    let before = root.as_deref().map(processes);
    test.kill()?;
    test.wait()?;
    let root = root.context("it says where its servers are")?;
    assert_eq!(before.context("there is a root")??, 2);
    until("the servers to end", async || {
        let left = processes(&root)?;
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await
}
