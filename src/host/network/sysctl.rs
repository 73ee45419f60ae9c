//! Values of the kernel, as files below `/proc/sys`.

use std::fs;
use std::io;

use camino::Utf8PathBuf;

use super::HostError;

/// Sets a value by its name with `/`, in which a `.` is one, as names of interfaces have.
pub(super) fn set(name: &str, value: &str) -> Result<(), HostError> {
    let path = Utf8PathBuf::from(format!("/proc/sys/{name}"));
    let is_legal = name.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !name.contains('\0')
        && !value.contains(['\n', '\0']);
    if !is_legal {
        let source = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(HostError::of("set", &path, source));
    }
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
        .map_err(|source| HostError::of("set", &path, source))
}

#[cfg(test)]
mod tests {
    use super::set;

    #[test]
    fn a_name_leads_to_nothing_else() {
        for name in ["../version", "net/../../version", "/etc/passwd", "", "net//ipv4", "net/./x"] {
            let error = set(name, "1").expect_err(name);
            let source = std::error::Error::source(&error).expect("a source").to_string();
            assert!(source.contains("invalid"), "{name}: {source}");
        }
        assert!(set("net/ipv4/ip_forward", "1\n0").is_err());
        assert!(set("net/ipv4/conf/no.such.one/forwarding", "0").expect_err("it").is_missing());
    }
}
