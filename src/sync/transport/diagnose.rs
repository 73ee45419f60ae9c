//! What went wrong on the way to a server, by name.
//!
//! libgit2 has few classes of errors and puts the rest into sentences, and those of
//! the system and of libssh2 with them. The version of libgit2 is fixed, and a test
//! brings each of these errors about.

use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef};

use super::network::{ELSEWHERE, Seen};
use super::{SERVER_TIMEOUT, failure};
use crate::sync::origin::Origin;
use crate::sync::protocol::{Failure, FailureCode, Fetch};
use crate::sync::remote::Scheme;

/// The failure that an error of libgit2 is.
pub(super) fn diagnose(error: &git2::Error, seen: &Seen, fetch: &Fetch) -> Failure {
    let text = error.message();
    if text == "the SSL certificate is invalid" || text == "hostname does not match certificate" {
        let certificate = seen.certificate.borrow();
        let certificate = certificate.as_deref().and_then(|der| X509::from_der(der).ok());
        return certificate_failure(text, certificate.as_deref(), fetch);
    }
    // Of all ports the kernel refuses those that are not the remote's.
    if text.starts_with("failed to connect to ") && text.ends_with("Permission denied") {
        return Failure::new(FailureCode::RedirectRefused, ELSEWHERE);
    }
    if let Some(status) = text.strip_prefix("unexpected http status code: ") {
        return status_failure(status, fetch);
    }
    let (code, what) = classify(text, seen, fetch);
    failure(code, what, error)
}

/// A server's word that it does not serve, as a number of HTTP.
fn status_failure(status: &str, fetch: &Fetch) -> Failure {
    let (code, what) = match status {
        "401" | "403" if fetch.access.login.is_none() => {
            (FailureCode::LoginRequired, "the server lets nobody in without a login")
        }
        "401" | "403" => (FailureCode::LoginDenied, "the server denies the credential"),
        "404" | "410" => (FailureCode::Absent, "the server has no repository at that place"),
        "408" | "429" => (FailureCode::Unavailable, "the server cannot serve now"),
        _ if status.starts_with('5') => (FailureCode::Unavailable, "the server cannot serve now"),
        _ if status.starts_with('3') => {
            (FailureCode::RedirectRefused, "the server sends us elsewhere")
        }
        _ => (FailureCode::NotAGitServer, "the answer is not one of a git server"),
    };
    Failure::new(code, format!("{what} (HTTP status {status})"))
}

fn classify(text: &str, seen: &Seen, fetch: &Fetch) -> (FailureCode, &'static str) {
    use FailureCode as Code;

    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let ssh = fetch.url.scheme() == Scheme::Ssh;
    if has(&["failed to resolve address"]) {
        return (Code::Unresolved, "the name of the host cannot be resolved");
    }
    if has(&["Connection refused"]) {
        return (Code::Refused, "nobody listens at that port");
    }
    if has(&["No route to host", "Network is unreachable", "Host is down"]) {
        return (Code::Unreachable, "there is no way to the host");
    }
    if has(&["timed out", "Timed out", "timeout", "Resource temporarily unavailable"])
        || seen.heard.get().elapsed() >= SERVER_TIMEOUT
    {
        return (Code::NoAnswer, "the host does not answer in time");
    }
    if has(&[
        "cannot redirect",
        "unexpected redirect",
        "redirect without location",
        "too many redirects",
    ]) {
        return (Code::RedirectRefused, "the server sends us elsewhere, and this is not followed");
    }
    if has(&["authentication required", "unexpected authentication failure"]) {
        return (Code::LoginDenied, "the server denies the credential");
    }
    if has(&["failed to authenticate SSH session", "Unable to extract public key"]) {
        return (Code::CredentialUnusable, "the key cannot be used, or its passphrase is wrong");
    }
    if has(&[
        "could not find appropriate mechanism for credentials",
        "unsupported credentials type",
        "that we do not support",
    ]) {
        return (Code::LoginDenied, "the server wants another kind of login");
    }
    if has(&[
        "content-type",
        "http parser error",
        "invalid packet line",
        "bad packet length",
        "invalid response",
        "invalid hex digit",
        "PKT-LINE",
        "pkt-line",
        "wrong version number",
        "unknown protocol",
        "packet length too long",
        "http request",
        "getting banner",
    ]) {
        return (Code::NotAGitServer, "what answers is not a git server");
    }
    if ssh
        && has(&[
            "does not appear to be a git repository",
            "not found",
            "No such file",
            "does not exist",
        ])
    {
        return (Code::Absent, "the server has no repository at that place");
    }
    if has(&["unknown remote object format", "object format"]) {
        return (
            Code::Sha256,
            "the repository has object ids of another kind; weft reads SHA-1 repositories only",
        );
    }
    if has(&[
        "early EOF",
        "unexpected EOF",
        "unexpected eof",
        "could not read",
        "Connection reset",
        "Broken pipe",
        "incomplete",
        "trailer",
        "socket disconnect",
        "disconnected",
        "wrong pack",
        "closed",
    ]) {
        return (Code::Truncated, "the answer ended before it was complete");
    }
    if has(&["SSL error"]) {
        return (Code::TlsFailed, "no encryption could be agreed");
    }
    if has(&["too many objects", "overly large object", "too large"]) {
        return (Code::TooLarge, "the fetch brings more than it may");
    }
    (Code::Failed, "the fetch failed")
}

/// Why a certificate is refused. OpenSSL refused it; what is read from it here only
/// says why.
fn certificate_failure(
    text: &str,
    certificate: Option<&openssl::x509::X509Ref>,
    fetch: &Fetch,
) -> Failure {
    let Some(certificate) = certificate else {
        return Failure::new(
            FailureCode::CertificateUnknown,
            "the server shows no certificate that can be read",
        );
    };
    let issuer = common_name(certificate.issuer_name());
    let days_from = |day: &openssl::asn1::Asn1TimeRef| {
        let now = openssl::asn1::Asn1Time::days_from_now(0).ok()?;
        now.diff(day).ok().map(|left| i64::from(left.days) * 86_400 + i64::from(left.secs))
    };
    if text == "hostname does not match certificate" {
        let host =
            Origin::of(&fetch.url).map(|origin| origin.host().to_owned()).unwrap_or_default();
        let message =
            format!("the server's certificate is not for {host}, but for {}", names(certificate));
        return Failure::new(FailureCode::CertificateName, message);
    }
    if days_from(certificate.not_after()).is_some_and(|left| left < 0) {
        let message = format!("the server's certificate ended at {}", certificate.not_after());
        return Failure::new(FailureCode::CertificateExpired, message);
    }
    if days_from(certificate.not_before()).is_some_and(|left| left > 0) {
        let message = format!("the server's certificate begins at {}", certificate.not_before());
        return Failure::new(FailureCode::CertificateExpired, message);
    }
    let trusted = match &fetch.access.authorities {
        None => "the authorities of this machine do not vouch for it".to_owned(),
        Some(pem) => {
            let stack = X509::stack_from_pem(pem.as_bytes()).unwrap_or_default();
            let held: Vec<_> =
                stack.iter().take(4).map(|held| common_name(held.subject_name())).collect();
            format!("`ca:` holds {}, which does not vouch for it", held.join(", "))
        }
    };
    let message = format!("the server's certificate is signed by {issuer}; {trusted}");
    Failure::new(FailureCode::CertificateUnknown, message)
}

fn common_name(name: &X509NameRef) -> String {
    let entry = name.entries_by_nid(Nid::COMMONNAME).last().or_else(|| name.entries().last());
    let text = entry.and_then(|entry| entry.data().to_string().ok());
    text.map_or_else(
        || "nobody".to_owned(),
        |text| format!("`{}`", text.chars().take(80).collect::<String>().escape_debug()),
    )
}

/// The hosts that a certificate is for.
fn names(certificate: &openssl::x509::X509Ref) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten().take(8) {
        if let Some(host) = name.dnsname() {
            names.push(format!("`{}`", host.chars().take(80).collect::<String>().escape_debug()));
        } else if let Some(bytes) = name.ipaddress() {
            let address = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
            let address =
                address.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
            names.extend(address.map(|address| format!("`{address}`")));
        }
    }
    if names.is_empty() { common_name(certificate.subject_name()) } else { names.join(", ") }
}
