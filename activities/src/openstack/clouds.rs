//! `clouds.yaml`: where OpenStack's own tools look for it, and what it says of one cloud.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use windlass_engine::ActivityError;

/// The variable that names the file, as OpenStack's own tools have it.
const VARIABLE: &str = "OS_CLIENT_CONFIG_FILE";

/// A file with the logins of a hundred clouds is some ten kilobytes long.
const LARGEST: u64 = 1024 * 1024;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who asks for it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// A login at a cloud.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CloudAccess {
    /// Keystone's address: `https://cloud.example.com:5000/v3`.
    pub auth_url: String,
    /// Who logs in.
    pub login: Login,
    /// Whose services, where the cloud has several regions.
    pub region: Option<String>,
    /// Which of a service's addresses: `public`, `internal`, `admin`.
    pub interface: String,
    /// The certificates that the services are to prove themselves by, if not those of the system.
    pub ca_file: Option<PathBuf>,
}

impl CloudAccess {
    /// With a credential made for one purpose, at the public addresses of whatever region.
    pub fn application(auth_url: &str, id: &str, secret: Secret) -> Self {
        let login = Login::Application { id: id.to_owned(), secret };
        Self { auth_url: auth_url.to_owned(), login, region: None, interface: "public".to_owned(), ca_file: None }
    }
}

/// Who logs in at a cloud.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Login {
    /// A credential made for one purpose, by its id.
    Application {
        /// Its id.
        id: String,
        /// Its secret.
        secret: Secret,
    },
    /// A user, in a project.
    Password {
        /// The user.
        user: Named,
        /// Their password.
        password: Secret,
        /// The project.
        project: Named,
    },
}

/// A user or project: by id, or by a name in a domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Named {
    /// By its id.
    Id(String),
    /// By its name.
    Name {
        /// The name.
        name: String,
        /// The domain, by id or name.
        domain: Domain,
    },
}

/// A domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Domain {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    clouds: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Auth,
    auth_type: Option<String>,
    region_name: Option<String>,
    interface: Option<String>,
    cacert: Option<PathBuf>,
    verify: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth_url: Option<String>,
    username: Option<String>,
    user_id: Option<String>,
    password: Option<Secret>,
    project_name: Option<String>,
    project_id: Option<String>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
    domain_name: Option<String>,
    domain_id: Option<String>,
    application_credential_id: Option<String>,
    application_credential_secret: Option<Secret>,
}

/// Finds a cloud's login: in the file that the variable names, else in the folder, the home directory or the system's.
pub(super) async fn find(name: &str) -> Result<CloudAccess, ActivityError> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let places: Vec<PathBuf> = match &named {
        Some(path) => vec![path.clone()],
        None => [Some(PathBuf::from(".")), home.map(|home| home.join(".config/openstack")), Some("/etc/openstack".into())]
            .into_iter()
            .flatten()
            .map(|folder| folder.join("clouds.yaml"))
            .collect(),
    };
    for path in &places {
        match tokio::fs::metadata(path).await {
            Ok(found) if found.len() > LARGEST => return Err(unusable(path, "it is larger than 1 MiB")),
            Ok(_) => return read(path, name).await,
            Err(_) => {}
        }
    }
    let looked: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
    let message = format!("there is no {}; name one with {VARIABLE}=FILE, then retry", looked.join(", "));
    Err(ActivityError::permanent("no-clouds", message))
}

/// Passwords may stand in `secure.yaml` beside it.
async fn read(path: &Path, name: &str) -> Result<CloudAccess, ActivityError> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| unusable(path, &error.to_string()))?;
    let secure = path.with_file_name("secure.yaml");
    let secrets = match tokio::fs::read_to_string(&secure).await {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(unusable(&secure, &error.to_string())),
    };
    let base = path.parent().unwrap_or(Path::new("."));
    parse(&text, secrets.as_deref(), name, base).map_err(|why| unusable(path, &why))
}

fn unusable(path: &Path, why: &str) -> ActivityError {
    ActivityError::permanent("bad-clouds", format!("{} can't be used: {why}; mend it, then retry", path.display()))
}

/// The error never repeats what it could not read: that may be a password.
fn parse(text: &str, secrets: Option<&str>, name: &str, base: &Path) -> Result<CloudAccess, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|_| "it is no list of clouds in YAML".to_owned())?;
    let there: Vec<&str> = file.clouds.keys().map(String::as_str).collect();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    let mut clouds = file.clouds;
    let mut entry =
        clouds.remove(name).ok_or_else(|| format!("it has no cloud {name:?}, only: {there}; name one with --os-cloud"))?;
    if let Some(secrets) = secrets {
        let file: File = serde_saphyr::from_str(secrets).map_err(|_| "secure.yaml is no list of clouds in YAML".to_owned())?;
        if let Some(more) = { file.clouds }.remove(name) {
            entry.auth.password = entry.auth.password.or(more.auth.password);
            let secret = entry.auth.application_credential_secret.or(more.auth.application_credential_secret);
            entry.auth.application_credential_secret = secret;
        }
    }
    if entry.verify == Some(false) {
        return Err(format!(
            "cloud {name} has `verify: false`, and a password would go to anybody; name its certificates with cacert"
        ));
    }
    let auth_url = entry.auth.auth_url.clone().filter(|url| !url.is_empty()).ok_or(format!("cloud {name} has no auth_url"))?;
    if !auth_url.starts_with("https://") && !auth_url.starts_with("http://") {
        return Err(format!("the auth_url of cloud {name} does not begin with https://"));
    }
    Ok(CloudAccess {
        auth_url,
        login: entry.login(name)?,
        region: entry.region_name.clone().filter(|region| !region.is_empty()),
        // Older files say `publicURL`.
        interface: entry.interface.as_deref().map_or("public", |text| text.trim_end_matches("URL")).to_owned(),
        ca_file: entry.cacert.map(|path| base.join(path)),
    })
}

impl Entry {
    fn login(&self, name: &str) -> Result<Login, String> {
        let auth = &self.auth;
        let kind = self.auth_type.as_deref().unwrap_or(match auth.application_credential_id {
            Some(_) => "v3applicationcredential",
            None => "password",
        });
        match kind {
            "v3applicationcredential" => {
                let missing = |what: &str| format!("cloud {name} has no application_credential_{what}");
                let id = auth.application_credential_id.clone().ok_or_else(|| missing("id"))?;
                let secret = auth.application_credential_secret.clone().filter(|secret| !secret.is_empty());
                Ok(Login::Application { id, secret: secret.ok_or_else(|| missing("secret"))? })
            }
            "password" | "v3password" => {
                let domain = |id: &Option<String>, name: &Option<String>| {
                    let (id, name) = (id.as_ref().or(auth.domain_id.as_ref()), name.as_ref().or(auth.domain_name.as_ref()));
                    match (id, name) {
                        (Some(id), _) => Domain::Id(id.clone()),
                        (None, Some(name)) => Domain::Name(name.clone()),
                        (None, None) => Domain::Id("default".to_owned()),
                    }
                };
                let named = |id: &Option<String>, name: &Option<String>, domain| match (id, name) {
                    (Some(id), _) => Some(Named::Id(id.clone())),
                    (None, Some(name)) => Some(Named::Name { name: name.clone(), domain }),
                    (None, None) => None,
                };
                let user = named(&auth.user_id, &auth.username, domain(&auth.user_domain_id, &auth.user_domain_name));
                let project =
                    named(&auth.project_id, &auth.project_name, domain(&auth.project_domain_id, &auth.project_domain_name));
                Ok(Login::Password {
                    user: user.ok_or(format!("cloud {name} has no username"))?,
                    password: auth.password.clone().filter(|p| !p.is_empty()).ok_or(format!("cloud {name} has no password"))?,
                    project: project.ok_or(format!("cloud {name} has no project_name"))?,
                })
            }
            other => Err(format!("cloud {name} has auth_type {other}; password and v3applicationcredential are known")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, secrets: Option<&str>, expect: Result<CloudAccess, &str>) {
        let found = parse(text, secrets, "prod", Path::new("/base"));
        assert_eq!(found, expect.map_err(str::to_owned), "{text}");
    }

    fn access(login: Login) -> CloudAccess {
        let auth_url = "https://cloud.example.com:5000/v3".to_owned();
        CloudAccess { auth_url, login, region: None, interface: "public".to_owned(), ca_file: None }
    }

    #[test]
    fn logins_are_read_as_openstacks_own_tools_read_them() {
        let application = "clouds:\n  prod:\n    auth_type: v3applicationcredential\n    region_name: west\n    interface: internalURL\n    \
             cacert: ca.pem\n    auth:\n      auth_url: https://cloud.example.com:5000/v3\n      application_credential_id: a1\n";
        let login = Login::Application { id: "a1".to_owned(), secret: Secret::new("s3cret") };
        let expect = CloudAccess {
            region: Some("west".to_owned()),
            interface: "internal".to_owned(),
            ca_file: Some("/base/ca.pem".into()),
            ..access(login)
        };
        let secret = "clouds:\n  prod:\n    auth:\n      application_credential_secret: s3cret\n";
        check(application, Some(secret), Ok(expect.clone()));
        check(application, None, Err("cloud prod has no application_credential_secret"));
        check(&format!("{application}      application_credential_secret: s3cret\n"), None, Ok(expect));

        let password = "clouds:\n  prod:\n    auth:\n      auth_url: https://cloud.example.com:5000/v3\n      username: ops\n      \
             password: hunter2\n      project_name: clusters\n      user_domain_name: Default\n";
        let user = Named::Name { name: "ops".to_owned(), domain: Domain::Name("Default".to_owned()) };
        let project = Named::Name { name: "clusters".to_owned(), domain: Domain::Id("default".to_owned()) };
        check(password, None, Ok(access(Login::Password { user, password: Secret::new("hunter2"), project })));
        check(&password.replace("prod", "test"), None, Err("it has no cloud \"prod\", only: test; name one with --os-cloud"));
        check(
            &password.replace("    auth:", "    verify: false\n    auth:"),
            None,
            Err("cloud prod has `verify: false`, and a password would go to anybody; name its certificates with cacert"),
        );
        check(&password.replace("https", "ftp"), None, Err("the auth_url of cloud prod does not begin with https://"));
        check(&password.replace("username", "user"), None, Err("cloud prod has no username"));
        check(
            &password.replace("    auth:", "    auth_type: v3token\n    auth:"),
            None,
            Err("cloud prod has auth_type v3token; password and v3applicationcredential are known"),
        );
    }

    #[test]
    fn a_secret_is_shown_nowhere() {
        let login = Login::Application { id: "a1".to_owned(), secret: Secret::new("s3cret") };
        assert!(!format!("{:?}", access(login)).contains("s3cret"));
        let error = parse("clouds: [hunter2", None, "prod", Path::new("/")).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
