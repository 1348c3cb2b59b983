//! A real `sshd` on loopback in front of hosts that are directories: a boot id, the units that were armed, a count of reboots.
//!
//! It runs as whoever runs the tests, with keys of its own, and is ended by its own process id.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// Set where an `sshd` must be there, as `tests/run` does: a test that can't have one then fails instead of being skipped.
const MUST: &str = "WINDLASS_REAL_SSHD";

/// Where Debian has it; it wants to be started by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// Without this directory, which its service would make, it does not start as root.
const SEPARATION: &str = "/run/sshd";

/// Ports are taken by others between the look for a free one and the start.
const MOST_STARTS: usize = 5;

const MOST_LOOKS: usize = 200;
const GLANCE: Duration = Duration::from_millis(25);

/// What every login runs: the command, on the host that was connected to, with that host's own programs.
const FORCED: &str = r#"#!/bin/sh
set -- $SSH_CONNECTION
HOST=ROOT/hosts/$3 PATH=ROOT/bin:$PATH
export HOST PATH
[ -d "$HOST" ] || { echo "no host is at $3" >&2; exit 1; }
sh -c "$SSH_ORIGINAL_COMMAND"
code=$?
if [ -e "$HOST/hangs-up" ] || { [ -e "$HOST/hangs-up-once-armed" ] && [ -n "$(ls "$HOST/units")" ]; }; then
  rm -f "$HOST/hangs-up" "$HOST/hangs-up-once-armed"
  kill -9 $PPID
fi
exit $code
"#;

/// A host's programs, by name.
const PROGRAMS: [(&str, &str); 4] = [
    (
        "sudo",
        r#"[ ! -e "$HOST/asks" ] || { echo 'sudo: a password is required' >&2; exit 1; }
[ "$1 $2" = '-n --' ] || exit 1; shift 2; exec "$@""#,
    ),
    ("cat", r#"[ "$1" = /proc/sys/kernel/random/boot_id ] || exec /bin/cat "$@"; exec /bin/cat "$HOST/boot_id""#),
    (
        "systemd-run",
        r#"for word; do case $word in --unit=*) unit=${word#--unit=};; esac; script=$word; done
[ ! -e "$HOST/units/$unit" ] || { echo "Failed to start transient timer unit: Unit $unit.timer was already loaded." >&2; exit 1; }
printf '%s' "$script" > "$HOST/units/$unit"; printf '%s\n' "$*" >> "$HOST/told""#,
    ),
    (
        "systemctl",
        r#"case $1 in
show) for unit; do :; done; if [ -e "$HOST/units/${unit%.timer}" ]; then echo active; else echo inactive; fi;;
reboot) echo x >> "$HOST/reboots"; rm -f "$HOST"/units/*; echo "$NEXT_BOOT" > "$HOST/boot_id";;
esac"#,
    ),
];

/// The server, and the hosts behind it.
pub struct Sshd {
    root: TempDir,
    hosts: BTreeMap<String, Ipv4Addr>,
    _server: Server,
}

impl Sshd {
    /// Starts it with a host for each address that a cluster knows; none where there is no `sshd`. To a `locked` host nobody gets in.
    ///
    /// # Errors
    /// If it does not start.
    ///
    /// # Panics
    /// If there is none and `WINDLASS_REAL_SSHD` is set.
    pub fn start(addresses: &[String], locked: Option<&str>) -> Result<Option<Self>> {
        if !Path::new(SSHD).is_file() {
            assert!(std::env::var_os(MUST).is_none(), "{SSHD} is not here (apt-get install openssh-server)");
            eprintln!("skipped, there is no {SSHD} (apt-get install openssh-server)");
            return Ok(None);
        }
        let root = tempfile::tempdir()?;
        let own = |at: usize| Ipv4Addr::new(127, 0, 91, u8::try_from(at + 1).unwrap_or(u8::MAX));
        let hosts: BTreeMap<String, Ipv4Addr> =
            addresses.iter().enumerate().map(|(at, address)| (address.clone(), own(at))).collect();
        furnish(root.path(), &hosts)?;
        let locked = locked.map(|address| hosts[address]);
        for _ in 0..MOST_STARTS {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            configure(root.path(), &hosts, port, locked)?;
            let mut server = Server::start(root.path())?;
            let first = hosts.values().next().context("a host")?;
            if server.listens((*first, port).into())? {
                return Ok(Some(Self { root, hosts, _server: server }));
            }
            let said = fs::read_to_string(root.path().join("log"))?;
            ensure!(said.contains("in use"), "sshd does not start: {said}");
        }
        anyhow::bail!("no port is free")
    }

    /// What stands for `ssh`: the real one, with a configuration that leads from the cluster's addresses to these hosts.
    pub fn ssh(&self) -> PathBuf {
        self.root.path().join("ssh")
    }

    fn host(&self, address: &str) -> PathBuf {
        self.root.path().join("hosts").join(self.hosts[address].to_string())
    }

    /// Puts a host into a boot.
    ///
    /// # Errors
    /// If its directory can't be written to.
    pub fn set_boot(&self, address: &str, boot_id: &str) -> Result<()> {
        Ok(fs::write(self.host(address).join("boot_id"), format!("{boot_id}\n"))?)
    }

    /// Lets the next command on a host end without an answer, or `sudo` ask for a password there.
    ///
    /// # Errors
    /// If its directory can't be written to.
    pub fn spoil(&self, address: &str, how: Spoiled) -> Result<()> {
        let name = match how {
            Spoiled::HangsUp => "hangs-up",
            Spoiled::HangsUpOnceArmed => "hangs-up-once-armed",
            Spoiled::AsksForPassword => "asks",
        };
        Ok(fs::write(self.host(address).join(name), "")?)
    }

    /// The units that wait on a host.
    ///
    /// # Errors
    /// If its directory can't be read.
    pub fn units(&self, address: &str) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.host(address).join("units"))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Every command line of `systemd-run` that a host has taken.
    pub fn told(&self, address: &str) -> String {
        fs::read_to_string(self.host(address).join("told")).unwrap_or_default()
    }

    /// How often a host was rebooted.
    pub fn reboots(&self, address: &str) -> usize {
        fs::read_to_string(self.host(address).join("reboots")).unwrap_or_default().lines().count()
    }

    /// Lets the units of a host elapse: each script is run by a shell, as systemd would, and a reboot leads into the boot `next`.
    ///
    /// # Errors
    /// If no shell runs.
    pub fn elapse(&self, address: &str, next: &str) -> Result<()> {
        let host = self.host(address);
        let path = format!("{}:/usr/bin:/bin", self.root.path().join("bin").display());
        for unit in self.units(address)? {
            let script = fs::read_to_string(host.join("units").join(&unit))?;
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &script]).env("PATH", &path).env("HOST", &host).env("NEXT_BOOT", next);
            // A boot that is not the one that is named is left alone, and the script says so by its exit code.
            shell.status().context("a shell")?;
            if host.join("units").join(&unit).exists() {
                fs::remove_file(host.join("units").join(&unit))?;
            }
        }
        Ok(())
    }
}

/// What is wrong with a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spoiled {
    /// The connection breaks after the next command was carried out.
    HangsUp,
    /// The same, of the next command after which a unit waits.
    HangsUpOnceArmed,
    /// `sudo` wants a password.
    AsksForPassword,
}

/// The process; ended with its owner.
struct Server(Child);

impl Server {
    fn start(root: &Path) -> Result<Self> {
        let log = fs::File::create(root.join("log"))?;
        let mut command = Command::new(SSHD);
        command.args(["-D", "-e", "-f"]).arg(root.join("sshd_config"));
        Ok(Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?))
    }

    /// Waits until it takes connections; false if it has ended instead.
    fn listens(&mut self, at: SocketAddr) -> Result<bool> {
        for _ in 0..MOST_LOOKS {
            if self.0.try_wait()?.is_some() {
                return Ok(false);
            }
            if TcpStream::connect(at).is_ok() {
                return Ok(true);
            }
            std::thread::sleep(GLANCE);
        }
        anyhow::bail!("sshd does not listen")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already if these fail.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Directories, keys and programs.
fn furnish(root: &Path, hosts: &BTreeMap<String, Ipv4Addr>) -> Result<()> {
    fs::create_dir_all(root.join("bin"))?;
    for own in hosts.values() {
        fs::create_dir_all(root.join("hosts").join(own.to_string()).join("units"))?;
    }
    for (name, body) in PROGRAMS {
        write_program(&root.join("bin").join(name), &format!("#!/bin/sh\n{body}\n"))?;
    }
    let here = root.display().to_string();
    write_program(&root.join("forced"), &FORCED.replace("ROOT", &here))?;
    for name in ["host_key", "key"] {
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(root.join(name)).status()?;
        ensure!(made.success(), "no key was made");
    }
    fs::copy(root.join("key.pub"), root.join("authorized_keys"))?;
    let host_key = fs::read_to_string(root.join("host_key.pub"))?;
    fs::write(root.join("known_hosts"), format!("hosts {host_key}"))?;
    let user = Command::new("id").arg("-un").output()?;
    let user = String::from_utf8(user.stdout)?;
    if user.trim() == "root" && !Path::new(SEPARATION).is_dir() {
        fs::create_dir_all(SEPARATION)?;
    }
    write_program(&root.join("ssh"), &SSH.replace("ROOT", &here).replace("ME", user.trim()))
}

/// Another process writes it: a child that another test forks at this moment would inherit a handle that is open for writing, and
/// what is open for writing can't be run.
fn write_program(file: &Path, text: &str) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf '%s' \"$1\" > \"$0\" && chmod 700 \"$0\""]).arg(file).arg(text);
    ensure!(shell.status()?.success(), "{} can't be written", file.display());
    Ok(())
}

/// What both sides are told.
fn configure(root: &Path, hosts: &BTreeMap<String, Ipv4Addr>, port: u16, locked: Option<Ipv4Addr>) -> Result<()> {
    let here = root.display();
    let mut server = vec![format!(
        "HostKey {here}/host_key\nAuthorizedKeysFile {here}/authorized_keys\nPidFile none\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nForceCommand {here}/forced"
    )];
    server.extend(hosts.values().map(|own| format!("ListenAddress {own}:{port}")));
    server.extend(locked.map(|own| format!("Match LocalAddress {own}\n  AuthorizedKeysFile none")));
    fs::write(root.join("sshd_config"), server.join("\n") + "\n")?;
    let mut client: Vec<String> = hosts.iter().map(|(address, own)| format!("Host {address}\n  HostName {own}")).collect();
    client.push(format!(
        "Host *\n  Port {port}\n  HostKeyAlias hosts\n  UserKnownHostsFile {here}/known_hosts\n  GlobalKnownHostsFile /dev/null\n  \
         StrictHostKeyChecking yes\n  IdentityFile {here}/key\n  IdentitiesOnly yes\n  IdentityAgent none\n"
    ));
    Ok(fs::write(root.join("ssh_config"), client.join("\n"))?)
}

/// The `sshd` of somebody who is not root knows that user alone.
const SSH: &str = r#"#!/bin/sh
left=$#
while [ "$left" -gt 0 ]; do
  word=$1; shift; left=$((left - 1))
  set -- "$@" "$word"
  if [ "$word" = -l ]; then shift; left=$((left - 1)); set -- "$@" ME; fi
done
exec ssh -F ROOT/ssh_config "$@"
"#;
