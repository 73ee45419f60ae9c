//! What a server is told that asks for a login.

use git2::{Cred, CredentialType};

use super::failure;
use crate::sync::access::Login;
use crate::sync::origin::Origin;
use crate::sync::protocol::{Failure, FailureCode};
use crate::value::Secret;

/// Answers each kind of question for a login at most once: whoever asks again has
/// refused the answer.
pub(super) struct Answers<'a> {
    login: Option<&'a Login>,
    origin: Option<Origin>,
    answered: CredentialType,
}

impl<'a> Answers<'a> {
    /// Answers for this login, and to this server only.
    pub(super) fn new(login: Option<&'a Login>, origin: Option<Origin>) -> Self {
        Self { login, origin, answered: CredentialType::empty() }
    }

    /// What is sent to the server of a URL.
    pub(super) fn answer(
        &mut self,
        url: &str,
        user: Option<&str>,
        allowed: CredentialType,
    ) -> Result<Cred, Failure> {
        let refuse = |code, message: &str| Failure::new(code, message);
        // libgit2 follows a server to another port of the same host.
        if !self.origin.as_ref().is_some_and(|origin| is_at(url, origin)) {
            let message =
                "another server than the one of the URL asks for the login; nothing was sent";
            return Err(refuse(FailureCode::OriginRefused, message));
        }
        let Some(login) = self.login else {
            let message = "the server wants a login, and the remote names no credential";
            return Err(refuse(FailureCode::LoginRequired, message));
        };
        let made = |kind, cred: Result<Cred, git2::Error>, answered: &mut CredentialType| {
            if answered.contains(kind) {
                return Err(refuse(FailureCode::LoginDenied, "the server denies the credential"));
            }
            *answered |= kind;
            cred.map_err(|e| {
                failure(FailureCode::CredentialUnusable, "the credential cannot be used", &e)
            })
        };
        let answered = &mut self.answered;
        match login {
            Login::Password { user, secret }
                if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) =>
            {
                let cred = Cred::userpass_plaintext(user, secret.expose());
                made(CredentialType::USER_PASS_PLAINTEXT, cred, answered)
            }
            Login::Key { user: named, .. } if allowed.contains(CredentialType::USERNAME) => {
                let cred = Cred::username(named.as_deref().unwrap_or("git"));
                made(CredentialType::USERNAME, cred, answered)
            }
            Login::Key { user: named, key, passphrase }
                if allowed.contains(CredentialType::SSH_MEMORY) =>
            {
                let user = user.or(named.as_deref()).unwrap_or("git");
                let passphrase = passphrase.as_ref().map(Secret::expose);
                let cred = Cred::ssh_key_from_memory(user, None, key.expose(), passphrase);
                made(CredentialType::SSH_MEMORY, cred, answered)
            }
            Login::Password { .. } => {
                Err(refuse(FailureCode::LoginDenied, "the server takes neither password nor token"))
            }
            Login::Key { .. } => Err(refuse(FailureCode::LoginDenied, "the server takes no key")),
        }
    }
}

/// Whether a URL, as libgit2 spells it, is at an origin. It writes addresses of IPv6
/// without brackets; it has made sure before that a redirect leads to no other host.
fn is_at(url: &str, origin: &Origin) -> bool {
    if url.parse().is_ok_and(|url| Origin::of(&url).as_ref() == Some(origin)) {
        return true;
    }
    let bare = origin.to_string().replace(['[', ']'], "");
    origin.host().contains(':') && url.to_ascii_lowercase().starts_with(&format!("{bare}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_one_origin() {
        for (url, origin, expected) in [
            ("https://git.example.org/a", "https://git.example.org", true),
            ("https://GIT.example.org:443/a", "https://git.example.org", true),
            ("https://git.example.org:8443/a", "https://git.example.org", false),
            ("https://git.example.org@evil.example/a", "https://git.example.org", false),
            ("https://git.example.org.evil.example/a", "https://git.example.org", false),
            ("http://git.example.org/a", "https://git.example.org", false),
            ("https://2001:DB8::1/a", "https://[2001:db8::1]", true),
            ("https://2001:db8::1:8443/a", "https://[2001:db8::1]:8443", true),
            ("https://2001:db8::1:8443/a", "https://[2001:db8::1]", false),
            ("ssh://git@host:2222/a", "ssh://host:2222", true),
            ("ssh://git@host/a", "ssh://host:2222", false),
        ] {
            let origin = origin.parse().unwrap();
            assert_eq!(is_at(url, &origin), expected, "{url} {origin}");
        }
    }
}
