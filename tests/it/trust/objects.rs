//! A source of objects in memory, which can lie, and counts what is read.

use std::cell::RefCell;
use std::collections::HashMap;

use sha1_checked::{Digest, Sha1};
use weft::sync::objects::{Kind, ObjectError, Objects, Raw};
use weft::value::ObjectId;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) objects: HashMap<ObjectId, Raw>,
    /// Objects that are said to have this many bytes.
    pub(crate) huge: HashMap<ObjectId, u64>,
    pub(crate) reads: RefCell<HashMap<ObjectId, usize>>,
}

impl Objects for Memory {
    fn read(&self, id: ObjectId, limit: u64) -> Result<Raw, ObjectError> {
        *self.reads.borrow_mut().entry(id).or_default() += 1;
        if let Some(&size) = self.huge.get(&id) {
            return Err(ObjectError::TooLarge { id, size, limit });
        }
        let raw = self.objects.get(&id).ok_or(ObjectError::Missing { id })?;
        if raw.bytes.len() as u64 > limit {
            return Err(ObjectError::TooLarge { id, size: raw.bytes.len() as u64, limit });
        }
        Ok(raw.clone())
    }
}

impl Memory {
    /// Adds an object under the id that git would give it.
    pub(crate) fn add(&mut self, kind: Kind, bytes: &[u8]) -> ObjectId {
        let id = id(kind, bytes);
        self.objects.insert(id, Raw { kind, bytes: bytes.to_vec() });
        id
    }

    pub(crate) fn bytes(&self, id: ObjectId) -> &[u8] {
        &self.objects[&id].bytes
    }
}

pub(crate) fn id(kind: Kind, bytes: &[u8]) -> ObjectId {
    let mut hasher = Sha1::new();
    hasher.update(format!("{} {}\0", kind.as_str(), bytes.len()));
    hasher.update(bytes);
    ObjectId::from_bytes(hasher.finalize().into())
}

/// A raw directory of these entries, in the order given.
pub(crate) fn directory(entries: &[(&str, &[u8], ObjectId)]) -> Vec<u8> {
    let mut raw = Vec::new();
    for (mode, name, id) in entries {
        raw.extend_from_slice(mode.as_bytes());
        raw.push(b' ');
        raw.extend_from_slice(name);
        raw.push(0);
        raw.extend_from_slice(id.as_bytes());
    }
    raw
}
