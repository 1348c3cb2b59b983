//! A cluster: typed reads and smallest writes over one link, bound to the cluster's id.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use http::{Request, header};
use kube::Resource as _;
use kube::core::params::{GetParams, ListParams};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use windlass_engine::{ActivityError, Clock, SystemClock, Timestamp};

use crate::cache::Cache;
use crate::connect::ConnectError;
use crate::error::{Call, CallError, Failure};
use crate::hosts::Hosts;
use crate::ids::ClusterId;
use crate::limiter::{CallBudget, Limiter};
use crate::link::{Link, Source};
use crate::openstack::{CloudAccess, Clouds};
use crate::views::{ClusterVersion, Namespace, Pod, View};

/// Who writes, as it stands in the managed fields of what we change.
pub const FIELD_MANAGER: &str = "windlass";

/// Objects a page: a large cluster's nodes come in a few pages of a megabyte or two each.
const PAGE: u32 = 500;

/// What every activity works on: one cluster, whatever the name of the context that leads to it.
pub struct Cluster {
    pub(crate) link: Arc<Link>,
    id: ClusterId,
    is_openshift: bool,
    cache: OnceLock<Cache>,
    files: OnceLock<PathBuf>,
    pub(crate) clouds: Clouds,
}

/// What a cluster is told about its surroundings.
#[derive(Clone)]
pub struct Settings {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How many calls may be made; none is no limit.
    pub budget: Option<CallBudget>,
    /// How the hosts themselves are reached.
    pub hosts: Hosts,
    /// The login at the cloud under it, where it is not to be looked for in `clouds.yaml`.
    pub cloud: Option<CloudAccess>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), budget: Some(CallBudget::POLITE), hosts: Hosts::default(), cloud: None }
    }
}

impl Settings {
    /// For a simulated cluster: its clock, no limit on calls, and no host.
    pub fn simulated(clock: Arc<dyn Clock>) -> Self {
        Self { clock, budget: None, hosts: Hosts::Simulated, cloud: None }
    }

    /// With a login at the cloud under it.
    #[must_use]
    pub fn with_cloud(self, cloud: Option<CloudAccess>) -> Self {
        Self { cloud, ..self }
    }
}

/// A change to an object: only the fields that change.
#[derive(Clone, PartialEq, Debug)]
pub enum Patch {
    /// A merge patch (RFC 7386).
    Merge(Value),
    /// A JSON patch (RFC 6902); its `test` operations are preconditions.
    Json(Value),
}

/// Which objects to list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Query {
    /// Only in this namespace.
    pub namespace: Option<String>,
    /// A field selector: `spec.nodeName=worker-0`.
    pub fields: Option<String>,
    /// A label selector: `!olm.copiedFrom`.
    pub labels: Option<String>,
}

impl Cluster {
    /// Takes a client as it is, such as one on a simulated cluster in memory, and asks the cluster for its id.
    pub async fn from_client(client: kube::Client, settings: Settings) -> Result<Self, ConnectError> {
        let mut link = Link::new(Source::Given, client, Limiter::new(settings.budget), settings.clock);
        link.hosts = settings.hosts;
        Self::over(link, settings.cloud).await
    }

    /// No cluster: for commands that need to know what activities are and reach nothing. Whatever is asked of it fails.
    pub fn absent() -> Self {
        let nobody = tower::service_fn(|_: Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("this command reaches no cluster"))
        });
        let client = kube::Client::new(nobody, "default");
        let link = Link::new(Source::Given, client, Limiter::new(None), Arc::new(SystemClock));
        Self {
            link: Arc::new(link),
            id: ClusterId::new("none"),
            is_openshift: false,
            cache: OnceLock::new(),
            files: OnceLock::new(),
            clouds: Clouds::default(),
        }
    }

    pub(crate) async fn over(link: Link, cloud: Option<CloudAccess>) -> Result<Self, ConnectError> {
        let id = identify(&link, None).await.map_err(|error| ConnectError::from_call(error, &link.address))?;
        let Identity { id, is_openshift } = id.ok_or_else(|| ConnectError::Nameless { server: link.address.clone() })?;
        let clouds = Clouds::new(cloud);
        Ok(Self { link: Arc::new(link), id, is_openshift, cache: OnceLock::new(), files: OnceLock::new(), clouds })
    }

    /// The cluster's id.
    pub fn id(&self) -> &ClusterId {
        &self.id
    }

    /// Says where this machine keeps what runs copy from the cluster, such as databases before they are changed; the first word holds.
    pub fn keep_files_in(&self, dir: PathBuf) {
        self.files.get_or_init(|| dir);
    }

    /// Where this machine keeps what runs copy from the cluster.
    pub fn files(&self) -> Result<&Path, ActivityError> {
        let nowhere =
            || ActivityError::permanent("no-place", "this worker was given no folder for copies; name a journal with --journal");
        self.files.get().map(PathBuf::as_path).ok_or_else(nowhere)
    }

    /// Refuses to work on a cluster that is not OpenShift's.
    pub fn check_openshift(&self) -> Result<(), ConnectError> {
        if self.is_openshift { Ok(()) } else { Err(ConnectError::NotOpenShift { server: self.link.address.clone() }) }
    }

    /// Refuses to work on another cluster than the run was started for.
    pub fn check_identity(&self, expected: &str) -> Result<(), ConnectError> {
        if self.id.as_str() == expected {
            return Ok(());
        }
        Err(ConnectError::OtherCluster { expected: expected.to_owned(), found: self.id.as_str().to_owned() })
    }

    /// The cluster's own time, as far as its answers tell.
    pub fn time(&self) -> Timestamp {
        self.link.time.at(self.link.clock.now())
    }

    /// How far the cluster's clock and ours are apart.
    pub fn clock_skew(&self) -> std::time::Duration {
        self.link.time.skew()
    }

    /// The shared watches; the first wait starts them.
    pub(crate) fn cache(&self) -> &Cache {
        self.cache.get_or_init(|| Cache::start(self.link.clone(), self.id.clone()))
    }

    /// Reads one object; `None` if it does not exist.
    pub async fn get<K: View>(&self, namespace: Option<&str>, name: &str) -> Result<Option<K>, CallError> {
        let request = kube::core::Request::new(K::url_path(&(), namespace)).get(name, &GetParams::default());
        self.get_as(call_on::<K>("get", namespace, Some(name)), request).await
    }

    /// Reads one object's metadata; the rest of it does not leave the server.
    pub async fn get_metadata<K: View>(&self, namespace: Option<&str>, name: &str) -> Result<Option<K>, CallError> {
        let request = kube::core::Request::new(K::url_path(&(), namespace)).get_metadata(name, &GetParams::default());
        self.get_as(call_on::<K>("get", namespace, Some(name)), request).await
    }

    /// Reads an object that must exist.
    pub async fn must_get<K: View>(&self, namespace: Option<&str>, name: &str) -> Result<K, ActivityError> {
        let found = self.get(namespace, name).await?;
        found.ok_or_else(|| {
            let kind = K::plural(&());
            ActivityError::permanent("not-found", format!("{kind}/{name} does not exist on this cluster"))
        })
    }

    /// Lists objects, page by page.
    pub async fn list<K: View>(&self, query: &Query) -> Result<Vec<K>, CallError> {
        self.list_pages(query, kube::core::Request::list).await
    }

    /// Lists the metadata of objects, page by page.
    pub async fn list_metadata<K: View>(&self, query: &Query) -> Result<Vec<K>, CallError> {
        self.list_pages(query, kube::core::Request::list_metadata).await
    }

    /// Lists objects of a kind that not every cluster serves; none if it does not.
    pub async fn list_if_served<K: View>(&self, query: &Query) -> Result<Vec<K>, CallError> {
        match self.list(query).await {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            outcome => outcome,
        }
    }

    /// Changes one object and returns it as it then is.
    pub async fn patch<K: View>(&self, namespace: Option<&str>, name: &str, patch: &Patch) -> Result<K, CallError> {
        let changed = self.call(call_on::<K>("patch", namespace, Some(name)), patching::<K>(namespace, name, patch)).await?;
        self.link.floor.note(&changed);
        Ok(changed)
    }

    /// As [`Cluster::patch`], past the fence: for the lease itself.
    pub(crate) async fn patch_unfenced<K: View>(
        &self,
        namespace: Option<&str>,
        name: &str,
        patch: &Patch,
    ) -> Result<K, CallError> {
        self.call_unfenced(call_on::<K>("patch", namespace, Some(name)), patching::<K>(namespace, name, patch)).await
    }

    /// Creates one object from its whole text and returns it.
    pub async fn create<K: View>(&self, namespace: Option<&str>, object: &Value) -> Result<K, CallError> {
        self.call(call_on::<K>("create", namespace, None), creating::<K>(namespace, object)).await
    }

    /// As [`Cluster::create`], past the fence: for the lease itself.
    pub(crate) async fn create_unfenced<K: View>(&self, namespace: Option<&str>, object: &Value) -> Result<K, CallError> {
        self.call_unfenced(call_on::<K>("create", namespace, None), creating::<K>(namespace, object)).await
    }

    /// Deletes the one object that has this uid.
    pub async fn delete<K: View>(&self, namespace: Option<&str>, name: &str, uid: &str) -> Result<(), CallError> {
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
        let url = format!("{}/{name}", K::url_path(&(), namespace));
        let request =
            Request::delete(url).header(header::CONTENT_TYPE, "application/json").body(options.to_string().into_bytes());
        self.call(call_on::<K>("delete", namespace, Some(name)), request).await.map(|_: IgnoredAny| ())
    }

    /// Evicts the one pod that has this uid, if its budgets allow.
    pub async fn evict(&self, namespace: &str, name: &str, uid: &str) -> Result<(), CallError> {
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": {"preconditions": {"uid": uid}},
        });
        let url = format!("{}/{name}/eviction", Pod::url_path(&(), Some(namespace)));
        let request = Request::post(url).header(header::CONTENT_TYPE, "application/json").body(eviction.to_string().into_bytes());
        let mut call = call_on::<Pod>("create", Some(namespace), Some(name));
        call.resource.push_str("/eviction");
        self.call(call, request).await.map(|_: IgnoredAny| ())
    }

    async fn get_as<K: View, E: std::error::Error>(
        &self,
        call: Call,
        request: Result<Request<Vec<u8>>, E>,
    ) -> Result<Option<K>, CallError> {
        match self.call(call, request).await {
            Ok(object) => {
                self.link.floor.note(&object);
                Ok(Some(object))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list_pages<K: View, E: std::error::Error>(
        &self,
        query: &Query,
        page: impl Fn(&kube::core::Request, &ListParams) -> Result<Request<Vec<u8>>, E>,
    ) -> Result<Vec<K>, CallError> {
        let namespace = query.namespace.as_deref();
        let base = kube::core::Request::new(K::url_path(&(), namespace));
        let mut params = ListParams {
            limit: Some(PAGE),
            field_selector: query.fields.clone(),
            label_selector: query.labels.clone(),
            ..ListParams::default()
        };
        let mut objects = Vec::new();
        loop {
            let list: List<K> = self.call(call_on::<K>("list", namespace, None), page(&base, &params)).await?;
            objects.extend(list.items);
            params.continue_token = list.metadata.continue_token.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(objects);
            }
        }
    }

    pub(crate) async fn call<T: serde::de::DeserializeOwned, E: std::error::Error>(
        &self,
        call: Call,
        request: Result<Request<Vec<u8>>, E>,
    ) -> Result<T, CallError> {
        let request = request.map_err(|error| unreadable(&call, &error))?;
        let body = self.link.exchange(call.clone(), request).await;
        self.read_answer(&call, body).await
    }

    async fn call_unfenced<T: serde::de::DeserializeOwned, E: std::error::Error>(
        &self,
        call: Call,
        request: Result<Request<Vec<u8>>, E>,
    ) -> Result<T, CallError> {
        let request = request.map_err(|error| unreadable(&call, &error))?;
        let body = self.link.exchange_unfenced(None, call.clone(), request).await;
        self.read_answer(&call, body).await
    }

    /// Takes note that the login has ended, and reads the kubeconfig again.
    pub(crate) async fn renew_login(&self) {
        self.link.note_login(true);
        crate::connect::renew(&self.link, &self.id).await;
    }

    async fn read_answer<T: serde::de::DeserializeOwned>(
        &self,
        call: &Call,
        body: Result<Vec<u8>, CallError>,
    ) -> Result<T, CallError> {
        if let Err(error) = &body
            && error.is_unauthorized()
        {
            self.renew_login().await;
        }
        serde_json::from_slice(&body?).map_err(|error| unreadable(call, &error))
    }
}

fn patching<K: View>(namespace: Option<&str>, name: &str, patch: &Patch) -> Result<Request<Vec<u8>>, http::Error> {
    let (content_type, body) = match patch {
        Patch::Merge(body) => ("application/merge-patch+json", body),
        Patch::Json(body) => ("application/json-patch+json", body),
    };
    let url = format!("{}/{name}?fieldManager={FIELD_MANAGER}", K::url_path(&(), namespace));
    Request::patch(url).header(header::CONTENT_TYPE, content_type).body(body.to_string().into_bytes())
}

fn creating<K: View>(namespace: Option<&str>, object: &Value) -> Result<Request<Vec<u8>>, http::Error> {
    let url = format!("{}?fieldManager={FIELD_MANAGER}", K::url_path(&(), namespace));
    Request::post(url).header(header::CONTENT_TYPE, "application/json").body(object.to_string().into_bytes())
}

fn unreadable(call: &Call, error: &dyn std::error::Error) -> CallError {
    CallError { call: call.clone().into(), failure: Failure::Unreadable(error.to_string()) }
}

/// A list whose entries lack kind and version, as servers send them.
#[derive(Deserialize)]
#[serde(bound = "K: Deserialize<'de>")]
struct List<K> {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default = "Vec::new", deserialize_with = "crate::views::nullable")]
    items: Vec<K>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

pub(crate) fn call_on<K: View>(verb: &'static str, namespace: Option<&str>, name: Option<&str>) -> Call {
    Call {
        verb,
        group: K::group(&()).into_owned(),
        resource: K::plural(&()).into_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
    }
}

/// Which cluster it is.
pub(crate) struct Identity {
    /// The id that OpenShift gave it, else the uid of its namespace `kube-system`, which lives as long as the cluster.
    pub(crate) id: ClusterId,
    pub(crate) is_openshift: bool,
}

/// Asks which cluster it is, with a client that is not in place yet if one is given; `None` if it tells neither id.
pub(crate) async fn identify(link: &Link, candidate: Option<kube::Client>) -> Result<Option<Identity>, CallError> {
    let version = read_alone::<ClusterVersion>(link, candidate.clone(), None, "version").await?;
    let is_openshift = version.is_some();
    if let Some(id) = version.map(|version| version.spec.cluster_id).filter(|id| !id.is_empty()) {
        return Ok(Some(Identity { id: ClusterId::new(id), is_openshift }));
    }
    let namespace = read_alone::<Namespace>(link, candidate, None, "kube-system").await?;
    Ok(namespace.map(|namespace| Identity { id: ClusterId::new(namespace.uid_text()), is_openshift }))
}

/// Reads one object, with a client that is not in place yet if one is given; `None` if it does not exist.
pub(crate) async fn read_alone<K: View>(
    link: &Link,
    candidate: Option<kube::Client>,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<K>, CallError> {
    let call = call_on::<K>("get", namespace, Some(name));
    let request = kube::core::Request::new(K::url_path(&(), namespace)).get(name, &GetParams::default());
    let request = request.map_err(|error| unreadable(&call, &error))?;
    match link.exchange_unfenced(candidate, call.clone(), request).await {
        Ok(body) => serde_json::from_slice(&body).map(Some).map_err(|error| unreadable(&call, &error)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
