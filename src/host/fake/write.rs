//! Writing a file of the fake, step by step as a machine does it.

use std::sync::Arc;

use camino::Utf8Path;

use super::tree::{Inode, above, parent};
use super::{Effect, Machine, TEMPORARY};
use crate::host::{FoundFile, HostError};

impl Machine {
    pub(super) fn make_directories(&mut self, path: &Utf8Path) -> Result<(), HostError> {
        let above: Vec<&str> = above(path.as_str()).collect();
        for directory in above.into_iter().rev() {
            if !self.seen.directories.contains(directory) {
                self.step("make the directory of", path, Effect::Room)?;
                self.seen.directories.insert(directory.to_owned());
                self.step("flush the directory of", path, Effect::Nothing)?;
                self.flush_directory(parent(directory));
            }
        }
        Ok(())
    }

    pub(super) fn replace(
        &mut self,
        path: &Utf8Path,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), HostError> {
        self.make_directories(path)?;
        self.step("make a temporary file for", path, Effect::Room)?;
        self.temporary += 1;
        let temporary = format!("{}/{TEMPORARY}{}", parent(path.as_str()), self.temporary);
        let empty = Arc::new(FoundFile { bytes: Vec::new(), mode });
        self.inodes.push(Inode { seen: empty, kept: None });
        let inode = self.inodes.len() - 1;
        self.seen.files.insert(temporary.clone(), inode);
        let named = self.fill_and_name(inode, &temporary, path, bytes);
        if named.is_err() && !self.dead {
            self.seen.files.remove(&temporary);
        }
        named?;
        self.step("flush the directory of", path, Effect::Nothing)?;
        self.flush_directory(parent(path.as_str()));
        Ok(())
    }

    fn fill_and_name(
        &mut self,
        inode: usize,
        temporary: &str,
        path: &Utf8Path,
        bytes: &[u8],
    ) -> Result<(), HostError> {
        self.step("write", path, Effect::Room)?;
        let mode = self.inodes[inode].seen.mode;
        self.inodes[inode].seen = Arc::new(FoundFile { bytes: bytes.to_vec(), mode });
        self.step("flush", path, Effect::Nothing)?;
        self.flush_file(inode);
        self.step("rename", path, Effect::Names)?;
        self.seen.files.remove(temporary);
        self.seen.files.insert(path.as_str().to_owned(), inode);
        Ok(())
    }
}
