//! Values of the kernel that a file of `sysctl.d(5)` sets.

use std::collections::BTreeMap;

use super::kernel::Kernel;
use super::step::NetworkStep;
use super::verify::Mismatch;

/// The settings of a file by their names with `/`, so that a dot is part of an interface's
/// name. A line that is no setting of the network is left out.
pub fn settings(text: &str) -> BTreeMap<String, String> {
    let setting = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        // With a hyphen one that is not there is no error.
        let name = name.strip_prefix('-').unwrap_or(name);
        is_of_network(name).then(|| (name.to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(setting).collect()
}

fn is_of_network(name: &str) -> bool {
    let parts = || name.split('/');
    let is_part = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && !["", ".", ".."].contains(&part)
    };
    name.starts_with("net/") && parts().count() > 2 && parts().all(is_part)
}

/// The settings that a kernel has otherwise, each with what it has. What is not there, such
/// as the interface of it, is no difference.
fn others<'a>(
    wanted: &'a BTreeMap<String, String>,
    kernel: &'a Kernel,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    wanted.iter().filter_map(|(name, value)| {
        let is = kernel.sysctls.get(name).filter(|is| *is != value)?;
        Some((name.as_str(), value.as_str(), is.as_str()))
    })
}

pub(super) fn differences(wanted: &BTreeMap<String, String>, kernel: &Kernel) -> Vec<Mismatch> {
    let mismatch = |(name, value, is): (&str, &str, &str)| {
        let parts: Vec<&str> = name.split('/').collect();
        match parts.as_slice() {
            ["net", _, "conf", interface, key] => {
                Mismatch::new(*interface, format!("has {key} {is}, where {value} is wanted"))
            }
            _ => Mismatch::of_node(&format!("`{name}` is {is}, where {value} is wanted")),
        }
    };
    others(wanted, kernel).map(mismatch).collect()
}

pub(super) fn steps(wanted: &BTreeMap<String, String>, kernel: &Kernel) -> Vec<NetworkStep> {
    let step = |(name, value, _): (&str, &str, &str)| NetworkStep::SetSysctl {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    others(wanted, kernel).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::settings;
    use crate::plan::{Kernel, Target};

    const TEXT: &str = "# Written by weft.\n\nnet/ipv4/conf/all/rp_filter = 0\n\
        -net/ipv4/conf/vmbr0.7/rp_filter = 0\nnet/ipv4/udp_l3mdev_accept = 1\n";

    #[test]
    fn only_settings_of_the_network_are_read() {
        let read = settings(TEXT);
        let names: Vec<&str> = read.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "net/ipv4/conf/all/rp_filter",
                "net/ipv4/conf/vmbr0.7/rp_filter",
                "net/ipv4/udp_l3mdev_accept"
            ]
        );
        for text in ["net/../kernel/x = 1", "kernel/x = 1", "net/ipv4/a b = 1", "net//x = 1", "x"] {
            assert!(settings(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_a_kernel_has_otherwise_is_told_and_set() {
        let target = Target::between(&[], "").with_sysctls(TEXT);
        let has = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut kernel = Kernel::default();
        // Of what is not there nothing is said.
        assert!(target.unset(&kernel).is_empty());
        kernel.sysctls = [
            has("net/ipv4/conf/vmbr0.7/rp_filter", "2"),
            has("net/ipv4/udp_l3mdev_accept", "0"),
            has("net/ipv4/conf/all/rp_filter", "0"),
        ]
        .into();
        let told: Vec<String> = target.unset(&kernel).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "`vmbr0.7` has rp_filter 2, where 0 is wanted",
                "`net/ipv4/udp_l3mdev_accept` is 0, where 1 is wanted"
            ]
        );
        let steps = target.steps(&kernel).after;
        assert_eq!(steps, target.amend(&kernel, &[]));
        let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            steps,
            ["set net/ipv4/conf/vmbr0.7/rp_filter to 0", "set net/ipv4/udp_l3mdev_accept to 1"]
        );
        // A kernel that does not take one is no reason to undo an apply.
        assert!(target.verify(&kernel, &[]).is_empty());
    }
}
