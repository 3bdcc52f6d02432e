use bytes::Bytes;

use super::Space;

/// Changes to commit together, across spaces. Of several to one key the last one wins.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    operations: Vec<Operation>,
    bytes: usize,
}

/// One change: a put, or a delete where there is no value.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) space: Space,
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
}

impl Batch {
    /// A batch without changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value under `key`.
    pub fn put(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.push(Operation {
            space,
            key: key.into(),
            value: Some(value.into()),
        });
    }

    /// Removes `key`, whether or not it is there.
    pub fn delete(&mut self, space: Space, key: impl Into<Bytes>) {
        self.push(Operation {
            space,
            key: key.into(),
            value: None,
        });
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    fn push(&mut self, operation: Operation) {
        let value = operation.value.as_ref().map_or(0, Bytes::len);
        self.bytes = self
            .bytes
            .saturating_add(operation.key.len())
            .saturating_add(value);
        self.operations.push(operation);
    }
}
