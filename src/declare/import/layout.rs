//! Which file of a repository holds what.

use std::collections::{BTreeMap, BTreeSet};

use super::emit::{self, Item, Map};
use super::files::PveFiles;
use super::object::Import;
use super::services::Services;
use super::{Imported, KnownNode, Remark, Source};
use crate::declare::pve::{Config, Damage, Kind, Unequal};
use crate::declare::tree::MAX_FILE_BYTES;
use crate::declare::{CLUSTER_FILE, DIRECTORY, constant_path};
use crate::value::{ClusterName, NodeName, RepoPath};

type Files = BTreeMap<RepoPath, String>;

impl Import {
    /// Every object, in the files of a repository. `nodes` says what is known of nodes
    /// when every object has been read.
    pub(super) fn everything(
        &mut self,
        mut config: Config,
        services: Services,
        files: &PveFiles,
        nodes: impl FnOnce(&mut Self) -> BTreeMap<NodeName, KnownNode>,
    ) -> Result<Files, Damage> {
        let mut zones = self.zones(config.take(Kind::Zones));
        let controllers = self.controllers(config.take(Kind::Controllers));
        let fabrics = self.fabrics(&config.take(Kind::Fabrics));
        let subnets = config.take(Kind::Subnets);
        let vnets = self.vnets(config.take(Kind::Vnets), subnets, &files.firewalls);
        let known = nodes(self);
        let nodes = self.nodes(&known);
        let guests = self.guests(files)?;
        for kind in [Kind::RouteMaps, Kind::PrefixLists] {
            for (id, section) in config.take(kind) {
                self.leave_aside(kind.one(), &id, &section, "weft has no such objects");
            }
        }
        for (name, value) in std::mem::take(&mut config.rest) {
            self.leave_aside("section", &name, &value, "weft does not know it");
        }

        let mut made = Files::new();
        let mut names = BTreeSet::new();
        let mut astray = Map::default();
        for (zone, vnets) in vnets {
            match zones.remove(&zone) {
                Some(map) => {
                    let maps = [("zones", single(&zone, map)), ("vnets", vnets)];
                    self.file(&mut made, &zone_file(&mut names, &zone), 2, &maps);
                }
                None => astray.extend(vnets),
            }
        }
        for (zone, map) in zones {
            let path = zone_file(&mut names, &zone);
            self.file(&mut made, &path, 2, &[("zones", single(&zone, map))]);
        }
        self.file(&mut made, "vnets", 1, &[("vnets", astray)]);
        self.file(&mut made, "nodes", 1, &[("nodes", nodes)]);
        self.file(&mut made, "controllers", 1, &[("controllers", controllers)]);
        self.file(&mut made, "fabrics", 1, &[("fabrics", fabrics)]);
        self.file(&mut made, "services", 1, &[("ipams", services.ipams), ("dns", services.dns)]);
        self.file(&mut made, "guests", 1, &[("guests", guests)]);
        let rest = std::mem::take(&mut self.rest);
        self.file(&mut made, "left-out", 1, &[("zones", rest)]);
        Ok(made)
    }

    /// One file, or several where it would be too large for a node to read. `depth` is
    /// how many directories lead to it.
    fn file(&mut self, made: &mut Files, name: &str, depth: usize, maps: &[(&str, Map)]) {
        let head = schema_line(depth, "declarations.json");
        for (number, text) in (1_u32..).zip(emit::documents(&head, maps)) {
            let name = if number == 1 { name.to_owned() } else { format!("{name}-{number}") };
            let path = constant_path(&format!("{DIRECTORY}/{name}.yaml"));
            if text.len() as u64 > MAX_FILE_BYTES {
                let message = "is larger than a node reads, because of one object in it";
                self.remark_at(path.as_str(), message);
            }
            made.insert(path, text);
        }
    }

    /// The whole import.
    pub(super) fn finish(
        self,
        cluster: ClusterName,
        mut files: Files,
        version: u64,
        source: Source,
        pending: Vec<Unequal>,
    ) -> Imported {
        let text = format!(
            "{}weft: 1\ncluster: {}\n# With `strict: true` errors are made of what Proxmox VE accepts and is most likely\n# wrong. Turn it on when `weft validate` has nothing more to warn of.\n# strict: true\n",
            schema_line(0, "weft.json"),
            emit::scalar(cluster.as_str()),
        );
        files.insert(constant_path(CLUSTER_FILE), text);
        let mut remarks: Vec<Remark> = Vec::new();
        for remark in self.remarks {
            if !remarks.ends_with(std::slice::from_ref(&remark)) {
                remarks.push(remark);
            }
        }
        Imported {
            cluster,
            files,
            remarks,
            version,
            source,
            pending,
            credentials: self.credentials,
        }
    }
}

/// The line by which editors find the schema of a file.
pub(crate) fn schema_line(depth: usize, schema: &str) -> String {
    format!("# yaml-language-server: $schema={}schema/{schema}\n", "../".repeat(depth))
}

fn single(id: &str, map: Map) -> Map {
    let mut one = Map::default();
    one.insert(id.to_owned(), Item::Map(map));
    one
}

/// The file of a zone. Ids that differ by case only have files that differ in more.
fn zone_file(used: &mut BTreeSet<String>, zone: &str) -> String {
    let mut name = zone.to_owned();
    while !used.insert(name.to_ascii_lowercase()) {
        name.push('_');
    }
    format!("zones/{name}")
}
