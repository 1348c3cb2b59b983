//! How a client wants its reply.

use super::request::Query;
use crate::store::ApiError;

/// The rendering that a client prefers among those that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accept {
    /// The object itself.
    Object,
    /// A table for people.
    Table(RowObject),
    /// The metadata alone.
    Metadata,
}

/// What each row of a table carries besides its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowObject {
    /// Nothing.
    None,
    /// The metadata.
    Metadata,
    /// The whole object.
    Whole,
}

impl Accept {
    pub(super) fn parse(header: &str, query: &Query) -> Result<Self, ApiError> {
        if header.trim().is_empty() {
            return Ok(Self::Object);
        }
        header
            .split(',')
            .find_map(|media| Self::of_media(media, query))
            .ok_or_else(|| ApiError::new(406, "NotAcceptable", "only the following media types are accepted: application/json"))
    }

    fn of_media(media: &str, query: &Query) -> Option<Self> {
        let mut parts = media.split(';').map(str::trim);
        if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let mut shape = None;
        let mut version = "v1";
        for part in parts {
            match part.split_once('=') {
                Some(("as", value)) => shape = Some(value),
                Some(("v", value)) => version = value,
                _ => {}
            }
        }
        match shape {
            None => Some(Self::Object),
            Some("Table") if version == "v1" => Some(Self::Table(match query.get("includeObject") {
                Some("None") => RowObject::None,
                Some("Object") => RowObject::Whole,
                _ => RowObject::Metadata,
            })),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if version == "v1" => Some(Self::Metadata),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, query: &str, expect: Option<Accept>) {
        assert_eq!(Accept::parse(header, &Query::parse(Some(query))).ok(), expect, "{header}");
    }

    #[test]
    fn the_first_rendering_that_there_is_wins() {
        let kubectl =
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        check("", "", Some(Accept::Object));
        check("*/*", "", Some(Accept::Object));
        check(kubectl, "", Some(Accept::Table(RowObject::Metadata)));
        check(kubectl, "includeObject=Object", Some(Accept::Table(RowObject::Whole)));
        check("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "", Some(Accept::Object));
        check("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "", Some(Accept::Metadata));
        check("application/vnd.kubernetes.protobuf,application/json", "", Some(Accept::Object));
        check("application/vnd.kubernetes.protobuf", "", None);
    }
}
