//! Reading objects whole, of kinds that no view knows: for a picture of the cluster, never for a decision.

use http::Request;
use kube::core::params::ListParams;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::error::{Call, CallError};

/// Objects a page: those of a pod have some ten kilobytes each.
const PAGE: u32 = 500;

/// A kind of object, and where it is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Served<'a> {
    /// Group and version, as in `apiVersion`.
    pub api_version: &'a str,
    /// Its name in paths.
    pub plural: &'a str,
}

/// One page of a list of anything.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default, deserialize_with = "crate::views::nullable")]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

impl Cluster {
    /// Lists all objects of a kind page by page and hands each over at once, so that never more than a page is held; none of them
    /// if the cluster does not serve the kind.
    pub async fn each_object(
        &self,
        served: Served<'_>,
        labels: Option<&str>,
        mut take: impl FnMut(Value),
    ) -> Result<(), CallError> {
        let base = kube::core::Request::new(served.path(None));
        let labels = labels.map(str::to_owned);
        let mut params = ListParams { limit: Some(PAGE), label_selector: labels, ..ListParams::default() };
        loop {
            let page: Page = match self.call(served.call("list", None, None), base.list(&params)).await {
                Err(error) if error.is_not_found() => return Ok(()),
                outcome => outcome?,
            };
            page.items.into_iter().for_each(&mut take);
            params.continue_token = page.metadata.continue_token.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads one object, or only its metadata, so that the rest of it does not leave the server; `None` if it does not exist.
    pub async fn one_object(
        &self,
        served: Served<'_>,
        (namespace, name): (&str, &str),
        only_metadata: bool,
    ) -> Result<Option<Value>, CallError> {
        let base = kube::core::Request::new(served.path(Some(namespace)));
        let params = kube::core::params::GetParams::default();
        let request: Result<Request<Vec<u8>>, _> =
            if only_metadata { base.get_metadata(name, &params) } else { base.get(name, &params) };
        match self.call(served.call("get", Some(namespace), Some(name)), request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Served<'_> {
    fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') { "apis" } else { "api" };
        match namespace {
            Some(namespace) => format!("/{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural),
            None => format!("/{root}/{}/{}", self.api_version, self.plural),
        }
    }

    fn call(&self, verb: &'static str, namespace: Option<&str>, name: Option<&str>) -> Call {
        let group = self.api_version.split_once('/').map_or("", |(group, _)| group);
        Call {
            verb,
            group: group.to_owned(),
            resource: self.plural.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{OPERATORS, Server};

    #[tokio::test(start_paused = true)]
    async fn every_page_is_read_and_an_unserved_kind_is_empty() {
        let server = Server::healthy();
        server.page(2);
        let cluster = server.cluster().await;
        let count = async |api_version, plural| {
            let mut seen = 0_usize;
            cluster.each_object(Served { api_version, plural }, None, |_| seen += 1).await.map(|()| seen)
        };
        let operators = count("config.openshift.io/v1", "clusteroperators").await.unwrap();
        assert!(operators > 2, "{operators}");
        let asked = server.requests().iter().filter(|request| request.contains(OPERATORS)).count();
        assert_eq!(asked, operators.div_ceil(2), "{:?}", server.requests());
        assert_eq!(count("example.com/v1", "unicorns").await.unwrap(), 0);
    }
}
