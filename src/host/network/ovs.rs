//! Ports of Open vSwitch, which its own program makes (ovs-vsctl(8)).

use super::{Call, call};
use crate::value::IfName;

/// A port is deleted, where it is there.
pub(super) fn delete(port: &IfName) -> Call {
    let words = ["--timeout=8", "--if-exists", "del-port", port.as_str()];
    call("ovs-vsctl", words.map(str::to_owned).to_vec())
}

/// The MTU of a port: one that is set by the kernel Open vSwitch takes back
/// (`mtu_request` of ovs-vswitchd.conf.db(5)).
pub(super) fn set_mtu(port: &IfName, mtu: u32) -> Call {
    let request = format!("mtu_request={mtu}");
    let words = ["--timeout=8", "set", "interface", port.as_str(), request.as_str()];
    call("ovs-vsctl", words.map(str::to_owned).to_vec())
}

/// A port that is an interface of the node is made where it is not there, and its columns are
/// set. What an option must be where one is not.
pub(super) fn set(port: &IfName, bridge: &IfName, options: &[String]) -> Result<Call, String> {
    if let Some(option) = options.iter().find(|option| !is_option(option)) {
        return Err(format!("`{}` is no column with a value", option.escape_debug()));
    }
    let (port, bridge) = (port.as_str(), bridge.as_str());
    let mut words = vec!["--timeout=8", "--may-exist", "add-port", bridge, port];
    words.extend(["--", "set", "interface", port, "type=internal"]);
    // What an option set before that is not asked for any more.
    words.extend(["--", "clear", "port", port]);
    words.extend(["tag", "trunks", "vlan_mode", "cvlans", "other_config"]);
    if !options.is_empty() {
        words.extend(["--", "set", "port", port]);
        words.extend(options.iter().map(String::as_str));
    }
    Ok(call("ovs-vsctl", words.into_iter().map(str::to_owned).collect()))
}

/// Whether it is `COLUMN=VALUE` or `COLUMN:KEY=VALUE`, with nothing that quotes or separates.
fn is_option(option: &str) -> bool {
    let Some((column, value)) = option.split_once('=') else { return false };
    let is_word = |word: &str, others: &str| {
        let is_fit = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
        word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(is_fit)
    };
    let (column, key) = column.split_once(':').unwrap_or((column, "key"));
    is_word(column, "_") && is_word(key, "_-") && is_word(value, "_-.,")
}

#[cfg(test)]
mod tests {
    use super::{set, set_mtu};

    fn words(options: &[&str]) -> Result<String, String> {
        let options: Vec<String> = options.iter().map(ToString::to_string).collect();
        let (port, bridge) = ("ln_v".parse().expect("a name"), "vmbr0".parse().expect("a name"));
        set(&port, &bridge, &options).map(|call| call.arguments.join(" "))
    }

    #[test]
    fn a_port_is_made_and_its_columns_set() {
        let made = "--timeout=8 --may-exist add-port vmbr0 ln_v -- set interface ln_v type=internal \
            -- clear port ln_v tag trunks vlan_mode cvlans other_config";
        assert_eq!(words(&[]).as_deref(), Ok(made));
        let options = ["vlan_mode=dot1q-tunnel", "other_config:qinq-ethtype=802.1q", "tag=5"];
        let set = format!("{made} -- set port ln_v {}", options.join(" "));
        assert_eq!(words(&options), Ok(set));
    }

    #[test]
    fn an_mtu_is_asked_for_where_it_is_kept() {
        let call = set_mtu(&"ln_v".parse().expect("a name"), 1450);
        assert_eq!(call.arguments.join(" "), "--timeout=8 set interface ln_v mtu_request=1450");
    }

    #[test]
    fn what_is_no_column_is_refused() {
        for option in
            ["--", "--db=x", "tag", "=5", "tag=", "tag=5 -- del-br vmbr0", "t:=5", "tag=\"5\""]
        {
            assert!(words(&[option]).is_err(), "{option}");
        }
    }
}
