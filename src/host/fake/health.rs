//! Whether the network of the fake works.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::{Effect, Fake, Machine, hold};
use crate::host::HostError;
use crate::plan::{Health as How, Look, Sign, Signs};
use crate::render::Managed;

/// What works, and what breaks it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    signs: Option<Signs>,
    breaks: Vec<(String, Sign, How)>,
    silent: Option<(String, Sign, u32)>,
}

impl Fake {
    /// Lets these work, and be looked at.
    pub(crate) fn set_signs(&self, signs: &[Sign]) {
        let signs = signs.iter().map(|sign| (sign.clone(), How::Up)).collect();
        hold(&self.machine).health.signs = Some(signs);
    }

    /// Lets one become so whatever the files say.
    pub(crate) fn set_sign(&self, sign: &Sign, how: How) {
        let mut machine = hold(&self.machine);
        machine.health.signs.get_or_insert_default().insert(sign.clone(), how);
    }

    /// Lets something not answer that knows of a sign, for so many looks.
    pub(crate) fn set_silent(&self, silent: &str, sign: &Sign, looks: u32) {
        hold(&self.machine).health.silent = Some((silent.to_owned(), sign.clone(), looks));
    }

    /// Lets one be so for as long as the interfaces file has a text.
    pub(crate) fn set_broken_by(&self, text: &str, sign: &Sign, how: How) {
        hold(&self.machine).health.breaks.push((text.to_owned(), sign.clone(), how));
    }
}

impl Machine {
    pub(super) fn observe(&mut self) -> Result<Option<Look>, HostError> {
        let Some(mut signs) = self.health.signs.clone() else { return Ok(None) };
        self.step("look at the health of", Utf8Path::new("/"), Effect::Nothing)?;
        let inode = self.seen.files.get(Managed::Interfaces.path().as_str());
        let text = inode.map(|inode| self.inodes[*inode].seen.text()).unwrap_or_default();
        for (breaks, sign, how) in &self.health.breaks {
            if text.contains(breaks) {
                signs.insert(sign.clone(), *how);
            }
        }
        let mut silent = BTreeSet::new();
        if let Some((name, sign, looks)) = &mut self.health.silent
            && *looks > 0
        {
            *looks -= 1;
            signs.remove(sign);
            silent.insert(name.clone());
        }
        Ok(Some(Look { signs, silent }))
    }
}
