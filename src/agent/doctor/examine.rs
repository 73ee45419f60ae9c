//! Looking at a machine. Nothing is changed, and what cannot be looked at is said so
//! at its place: half a report is worth more than none.

mod kernel;
mod own;
mod remotes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::examined::{Clock, Examined, Looked, PACKAGES, Sources, System};
use super::filter::{Filter, InputFilter, of_iptables, of_nftables, of_proxmox};
use super::needs::{self, Needs};
use super::read;
use crate::agent::error::chain;
use crate::agent::settings::Settings;
use crate::facts::Route;
use crate::host::{EntryKind, Host as _, HostError, Linux, Room, STATE, interface_mtus};
use crate::network::Network;
use crate::sync::worker::FetchUser;
use crate::sync::{Cancel, Worker};
use crate::value::IfName;

/// The most bytes that are read of any file. A status file of dpkg with ten thousand
/// packages has a tenth of it.
const LIMIT: u64 = 128 << 20;

/// What belongs to the machine as a whole and not to one directory that stands for it.
const DRY: &str = "a dry node has files and nothing else";

/// The directories that weft writes to.
const WRITTEN: [&str; 3] = [STATE, "/var/cache/weft", "/etc/network"];

/// How long the fetch process may take to say how it is confined.
const PROBE: Duration = Duration::from_secs(5);

/// What came of looking at a machine.
#[derive(Debug)]
pub struct Examination {
    /// What was found.
    pub examined: Examined,
    /// The settings, where they are legal.
    pub settings: Option<Settings>,
    /// What the newest trusted commit declares, where the remotes were asked.
    pub network: Option<Network>,
}

/// Looks at a machine, or at the files of a dry node. `program` is this one, which is
/// started again to see how it is confined, and, where `online` says so, to ask the
/// remotes.
pub fn examine(host: &Linux, program: &Utf8Path, online: bool) -> Examination {
    let look = Look { host };
    let (settings_file, settings) = own::settings(&look);
    let (remotes, network) = remotes::ask(host, settings.as_ref(), online.then_some(program));
    let units = look.units();
    let examined = Examined {
        now: host.now(),
        dry: host.is_dry(),
        system: look.system(),
        packages: look.text("/var/lib/dpkg/status").map(|text| read::packages(&text, PACKAGES)),
        networkd: look.networkd(&units),
        network_manager: look.network_manager(&units),
        frr_answers: look.frr_answers(),
        dnsmasq_runs: is_active(&units, "dnsmasq.service"),
        sources: look.sources(),
        own_mtus: look.own_mtus(),
        many_vlan_aware_bridges: look
            .text("/etc/network/ifupdown2/ifupdown2.conf")
            .map(|text| read::many_vlan_aware_bridges(&text)),
        route_tables_directory: look.has_directory("/etc/iproute2/rt_tables.d"),
        modules: kernel::modules(&look),
        vlan_filtering: kernel::vlan_filtering(&look),
        clock: look.clock(),
        settings: settings_file,
        proxmox_configuration: look.has_directory("/etc/pve/sdn"),
        root_end: Looked::Unseen("no trusted commit was fetched".to_owned()),
        revoked: own::revoked(&look),
        anchor: own::trust(&look, settings.as_ref()),
        own_files: own::files(&look, settings.as_ref()),
        missing_files: own::missing(&look, settings.as_ref()),
        fetch_user: look.fetch_user(),
        landlock: look.landlock(program),
        remotes,
        rooms: WRITTEN.iter().map(|path| (Utf8PathBuf::from(*path), look.room(path))).collect(),
        filters: look.filters(),
        links: kernel::links(&look),
        rp_filter_all: kernel::rp_filter_all(&look),
        forwarding_v6: kernel::forwarding_v6(&look),
        routes: look.routes(settings.as_ref()),
        needs: look.needs(),
    };
    Examination { examined, settings, network }
}

impl<T> Looked<T> {
    fn map<U>(self, then: impl FnOnce(T) -> U) -> Looked<U> {
        match self {
            Self::Seen(found) => Looked::Seen(then(found)),
            Self::Unseen(why) => Looked::Unseen(why),
        }
    }

    fn and_then<U>(self, then: impl FnOnce(T) -> Looked<U>) -> Looked<U> {
        match self {
            Self::Seen(found) => then(found),
            Self::Unseen(why) => Looked::Unseen(why),
        }
    }
}

impl<T> From<Result<T, HostError>> for Looked<T> {
    fn from(result: Result<T, HostError>) -> Self {
        match result {
            Ok(found) => Self::Seen(found),
            Err(error) => Self::Unseen(chain(&error)),
        }
    }
}

/// The units that are asked for, with their properties.
type Units = BTreeMap<String, BTreeMap<String, String>>;

/// Whether a unit runs. Of one that does not exist systemd says `inactive`; where it
/// says nothing, nobody listened.
fn is_active(units: &Looked<Units>, unit: &str) -> Looked<bool> {
    units.clone().and_then(|units| match units.get(unit).and_then(|unit| unit.get("ActiveState")) {
        Some(state) => Looked::Seen(state == "active"),
        None => Looked::Unseen("systemctl does not say it".to_owned()),
    })
}

/// The machine that is looked at.
struct Look<'a> {
    host: &'a Linux,
}

impl Look<'_> {
    /// A file's text; `None` where there is no file.
    fn file(&self, path: &str) -> Looked<Option<String>> {
        let found = self.host.read(Utf8Path::new(path), LIMIT);
        Looked::from(found)
            .map(|file| file.map(|file| String::from_utf8_lossy(&file.bytes).into_owned()))
    }

    /// The text of a file that should be there.
    fn text(&self, path: &str) -> Looked<String> {
        self.file(path).and_then(|text| match text {
            Some(text) => Looked::Seen(text),
            None => Looked::Unseen(format!("there is no `{path}`")),
        })
    }

    /// The text of a file that the kernel makes, which a dry node has none of.
    fn kernel_text(&self, path: &str) -> Looked<String> {
        if self.host.is_dry() { Looked::Unseen(DRY.to_owned()) } else { self.text(path) }
    }

    fn answer(&self, program: &str, arguments: &[&str]) -> Looked<Vec<u8>> {
        if self.host.is_dry() {
            return Looked::Unseen(DRY.to_owned());
        }
        self.host.ask(program, arguments).into()
    }

    fn answer_text(&self, program: &str, arguments: &[&str]) -> Looked<String> {
        self.answer(program, arguments).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn has_directory(&self, path: &str) -> Looked<bool> {
        let entry = Looked::from(self.host.entry(Utf8Path::new(path)));
        entry.map(|entry| entry.is_some_and(|entry| entry.kind == EntryKind::Directory))
    }

    fn system(&self) -> Looked<System> {
        let path = "/usr/lib/os-release";
        self.text(path).and_then(|text| match read::system(&text) {
            Some(system) => Looked::Seen(system),
            None => Looked::Unseen(format!("`{path}` has no `ID`")),
        })
    }

    fn own_mtus(&self) -> Looked<BTreeMap<IfName, u32>> {
        let text = self.file("/etc/network/interfaces");
        text.map(|text| text.map(|text| interface_mtus(&text)).unwrap_or_default())
    }

    fn sources(&self) -> Looked<Option<Sources>> {
        self.file("/etc/network/interfaces").map(|text| text.map(|text| read::sources(&text)))
    }

    /// A container may have the programs of systemd, and not systemd.
    fn ask_systemd(&self, program: &str, arguments: &[&str]) -> Looked<String> {
        match self.has_directory("/run/systemd/system") {
            Looked::Seen(false) if !self.host.is_dry() => {
                Looked::Unseen("systemd does not run here".to_owned())
            }
            _ => self.answer_text(program, arguments),
        }
    }

    fn units(&self) -> Looked<Units> {
        let units = ["systemd-networkd.service", "NetworkManager.service", "dnsmasq.service"];
        let arguments = [&["show", "--property=Id,ActiveState"], units.as_slice()].concat();
        self.ask_systemd("systemctl", &arguments).map(|answer| read::units(&answer))
    }

    fn networkd(&self, units: &Looked<Units>) -> Looked<BTreeSet<String>> {
        is_active(units, "systemd-networkd.service").and_then(|active| {
            if !active {
                return Looked::Seen(BTreeSet::new());
            }
            self.answer("networkctl", &["--json=short", "list"]).and_then(|answer| {
                read::networkd(&answer).map_or_else(Looked::Unseen, Looked::Seen)
            })
        })
    }

    fn network_manager(&self, units: &Looked<Units>) -> Looked<BTreeSet<String>> {
        is_active(units, "NetworkManager.service").and_then(|active| {
            if !active {
                return Looked::Seen(BTreeSet::new());
            }
            let arguments = ["--terse", "--fields", "DEVICE,STATE", "device"];
            self.answer_text("nmcli", &arguments).map(|answer| read::network_manager(&answer))
        })
    }

    fn clock(&self) -> Looked<Clock> {
        let arguments = ["show", "--property=CanNTP", "--property=NTPSynchronized"];
        self.ask_systemd("timedatectl", &arguments).and_then(|answer| match read::clock(&answer) {
            Some(clock) => Looked::Seen(clock),
            None => Looked::Unseen("timedatectl does not say it".to_owned()),
        })
    }

    /// FRR runs where its first daemon has its socket.
    fn frr_answers(&self) -> Looked<Option<bool>> {
        if self.host.is_dry() {
            return Looked::Unseen(DRY.to_owned());
        }
        let socket = Looked::from(self.host.entry(Utf8Path::new("/run/frr/zserv.api")));
        socket.map(|socket| {
            socket.map(|_| self.answer("vtysh", &["-c", "show version"]).seen().is_some())
        })
    }

    fn fetch_user(&self) -> Looked<bool> {
        if self.host.is_dry() {
            return Looked::Unseen(DRY.to_owned());
        }
        Looked::Seen(FetchUser::exists())
    }

    /// By a process that confines itself and does nothing else.
    fn landlock(&self, program: &Utf8Path) -> Looked<u32> {
        if self.host.is_dry() {
            return Looked::Unseen(DRY.to_owned());
        }
        let worker = Worker::start(program, FetchUser::find(), PROBE, &Cancel::default());
        match worker.and_then(|worker| worker.cage()) {
            Ok(cage) => Looked::Seen(cage.landlock),
            Err(error) => Looked::Unseen(chain(&error)),
        }
    }

    fn room(&self, path: &str) -> Looked<Room> {
        self.host.room(Utf8Path::new(path)).into()
    }

    /// Every filter that can be read. Where one cannot, that is the answer: it may be
    /// the one that drops.
    fn filters(&self) -> Looked<Vec<InputFilter>> {
        let mut filters = Vec::new();
        let tables = self
            .answer("nft", &["--json", "list", "ruleset"])
            .and_then(|answer| of_nftables(&answer).map_or_else(Looked::Unseen, Looked::Seen));
        match tables {
            Looked::Seen(found) => {
                filters.extend(found.into_iter().map(|filter| self.explained(filter)));
            }
            Looked::Unseen(why) => return Looked::Unseen(why),
        }
        for (program, listed, tables) in [
            ("iptables", "iptables-legacy", "/proc/net/ip_tables_names"),
            ("ip6tables", "ip6tables-legacy", "/proc/net/ip6_tables_names"),
        ] {
            let names = self.file(tables).seen().cloned().flatten().unwrap_or_default();
            if !read::has_filter_table(&names) {
                continue;
            }
            match self.answer_text(listed, &["-S"]) {
                Looked::Seen(rules) => filters.extend(of_iptables(program, &rules)),
                Looked::Unseen(why) => return Looked::Unseen(why),
            }
        }
        let proxmox = |path: &str| self.file(path).seen().cloned().flatten();
        if let Some(cluster) = proxmox("/etc/pve/firewall/cluster.fw") {
            filters.extend(of_proxmox(&cluster, proxmox("/etc/pve/local/host.fw").as_deref()));
        }
        Looked::Seen(filters)
    }

    /// A chain that iptables keeps in nftables, read by iptables, which understands its
    /// own rules.
    fn explained(&self, filter: InputFilter) -> InputFilter {
        let Filter::Nftables { family, table, chain } = &filter.by else { return filter };
        let program = match (family.as_str(), table.as_str(), chain.as_str()) {
            ("ip", "filter", "INPUT") => "iptables",
            ("ip6", "filter", "INPUT") => "ip6tables",
            _ => return filter,
        };
        match self.answer_text(&format!("{program}-nft"), &["-S"]) {
            Looked::Seen(rules) => of_iptables(program, &rules).unwrap_or(filter),
            Looked::Unseen(_) => filter,
        }
    }

    fn routes(&self, settings: Option<&Settings>) -> Looked<Vec<Route>> {
        // The name is recorded with the facts and changes none of them.
        let node = match settings {
            Some(settings) => settings.node.value.clone(),
            None => "unnamed".parse().expect("letters are a legal name"),
        };
        Looked::from(self.host.facts(&node)).map(|facts| facts.routes)
    }

    fn needs(&self) -> Looked<Option<Needs>> {
        let interfaces = self.file("/etc/network/interfaces.d/sdn");
        let frr = self.file("/etc/frr/frr.conf");
        let zones = Looked::from(self.host.list(Utf8Path::new("/etc/dnsmasq.d")));
        interfaces.and_then(|interfaces| {
            frr.and_then(|frr| {
                zones.map(|zones| {
                    let dhcp = zones.iter().any(|zone| {
                        let file = format!("/etc/dnsmasq.d/{zone}/00-default.conf");
                        matches!(self.host.entry(Utf8Path::new(&file)), Ok(Some(_)))
                    });
                    needs::of_files(interfaces.as_deref(), frr.as_deref(), dhcp)
                })
            })
        })
    }
}
