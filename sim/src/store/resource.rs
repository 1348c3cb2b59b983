//! What the API server serves: resources and the columns of their tables.

use serde_json::Value;

/// One served resource (group, version and plural name its path).
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "discovery states each of them on its own")]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// API version within the group.
    pub version: &'static str,
    /// Plural name, as in paths.
    pub plural: &'static str,
    /// Singular name.
    pub singular: &'static str,
    /// Kind of one object.
    pub kind: &'static str,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names that kubectl accepts.
    pub short_names: &'static [&'static str],
    /// Whether there is a status subresource.
    pub status: bool,
    /// Whether there is a scale subresource.
    pub scale: bool,
    /// Whether objects carry a generation.
    pub generation: bool,
    /// Whether it comes from a CustomResourceDefinition, which changes how it may be patched.
    pub custom: bool,
    /// Columns of its table.
    pub columns: &'static [Column],
}

/// One column of a resource's table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading, before kubectl puts it in capitals.
    pub name: &'static str,
    /// OpenAPI type of the cells: string, integer, boolean or date.
    pub kind: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: u8,
    /// Where the cell comes from.
    pub cell: Cell,
}

/// Where a table's cell comes from.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    /// The value at this JSON pointer.
    At(&'static str),
    /// A field of the condition of this type.
    Condition(&'static str, &'static str),
    /// A computed value.
    Computed(fn(&Value) -> Value),
}

impl Resource {
    /// `plural.group`, or just the plural in the core group.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Whether both name the same table of objects, whatever the version.
    pub fn same(&self, other: &Self) -> bool {
        self.plural == other.plural && self.group == other.group
    }
}

impl PartialEq for Resource {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}

impl Eq for Resource {}
