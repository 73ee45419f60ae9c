//! Why a remote gave nothing, by name.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($variant:ident $id:literal $retry:literal $title:literal $help:literal;)*) => {
        /// The classes of failures of a fetch. Their names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum FailureCode {
            $(#[doc = $title] #[serde(rename = $id)] $variant,)*
        }

        impl FailureCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name, as it is in JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// Whether the same request may succeed later, although nobody changes the
            /// node's settings, its files or the repository's place.
            pub const fn retry_helps(self) -> bool {
                match self { $(Self::$variant => $retry,)* }
            }

            /// What it says, in one sentence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do about it.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

codes! {
    BadRequest "bad-request" false
        "The request makes no sense."
        "Read the message; it is a branch or a path of the node's settings, or a fault of weft.";
    SchemeRefused "scheme-refused" false
        "The remote is reached in a way that the node's settings do not allow."
        "Use https or ssh; for a directory of this machine set `allow-file: true`.";
    Absent "absent" true
        "There is no repository at that place, or whoever logs in may not see it."
        "Look at the path of the URL, and whether the credential may read the repository: many servers say \"not found\" for \"not allowed\".";
    NotARepository "not-a-repository" false
        "What is there is no git repository."
        "Correct the path of the URL.";
    NotAGitServer "not-a-git-server" true
        "What answers is not a git server: a web page, another protocol, or another port."
        "Correct host, port and path of the URL; try it with `git ls-remote`.";
    Sha256 "sha256" false
        "The repository has SHA-256 object ids."
        "Make the repository with `git init --object-format=sha1`.";
    NoBranch "no-branch" true
        "The repository has no such branch; an empty one has none at all."
        "Push the branch, or name another one with `branch:` in the node's settings.";
    DamagedRemote "damaged-remote" true
        "The repository lacks objects of the branch, or they cannot be read."
        "Run `git fsck` in the repository of the remote.";
    Permission "permission" false
        "This machine does not allow it."
        "Look at owner and mode of the file or directory that the message names.";
    TooLarge "fetch-too-large" false
        "More was sent than a fetch may bring, or more memory was needed than there is."
        "Keep large files out of the repository's history.";
    DiskFull "disk-full" true
        "The disk of the cache is full."
        "Make room below `/var/cache/weft`; the cache itself may be deleted.";
    ForeignCache "foreign-cache" false
        "The directory of the cache holds something that weft did not put there."
        "Move it away.";
    DamagedCache "damaged-cache" true
        "The cache cannot be used, and to fetch it anew did not help."
        "Delete `/var/cache/weft`, and look at the disk.";
    AuthoritiesUnusable "ca-unusable" false
        "The file of `ca:` cannot be used."
        "Put the PEM certificates of the authority into a regular file that only root may write.";
    CertificateUnknown "certificate-unknown" true
        "No authority that this node trusts vouches for the server's certificate."
        "If the server is the right one, name its authority with `ca:`; the message says who signed the certificate.";
    CertificateExpired "certificate-expired" true
        "The server's certificate is out of date, or this node's clock is wrong."
        "Have the certificate renewed; look at the clock with `timedatectl`.";
    CertificateName "certificate-name" true
        "The server's certificate is for another host."
        "Use a name of the certificate in the URL, or have the certificate made for this name; an address must be in it as an IP address.";
    TlsFailed "tls-failed" true
        "No encryption could be agreed with the server."
        "Look at the versions of TLS and the algorithms that the server offers.";
    KnownHostsUnusable "known-hosts-unusable" false
        "The file of `known-hosts:` cannot be used."
        "Correct the line that the message names; `ssh-keyscan` writes such lines, to be compared with the server's own.";
    HostKeyUnknown "host-key-unknown" true
        "The keys of this host are not in the file of `known-hosts:`; a key that was never pinned is never trusted."
        "Compare the fingerprint with the server's own (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` there), and add the key.";
    HostKeyChanged "host-key-changed" true
        "The host shows another key than those that are pinned: it was installed anew, or somebody is in between."
        "Ask the server's administrator; pin every key of the host, for which one is shown is decided with the server.";
    HostKeyRevoked "host-key-revoked" true
        "The host shows a key that is `@revoked` in the file of `known-hosts:`."
        "Let the server have a new key, and pin that one.";
    LoginRequired "login-required" true
        "The server wants a login, and none is bound to this remote."
        "Name a credential with `credential:`, and bind it to the server's origin below `credentials:`.";
    LoginDenied "login-denied" true
        "The server knows the credential not or no longer, or does not let it read."
        "Renew the token or key in its file, which is read anew for each fetch, or give it the right to read the repository.";
    CredentialUnusable "credential-unusable" false
        "The file of a credential cannot be used."
        "It must be a regular file that others may not read (`chmod 600`), holding one token, password or private key.";
    OriginRefused "origin-refused" true
        "The credential was asked for by another server than the one that it is bound to."
        "Nothing was sent. Write the place where the repository really is into the URL and into `origin:`.";
    RedirectRefused "redirect-refused" true
        "The server sends us elsewhere, and weft does not follow."
        "Write the place where the repository really is into the URL.";
    Unresolved "unresolved" true
        "The name of the host cannot be resolved."
        "Look at the name and at the node's name servers, or use an address.";
    Refused "connection-refused" true
        "Nobody listens at that port."
        "Look at the server and at the port of the URL.";
    Unreachable "unreachable" true
        "There is no way to the host."
        "Look at the node's routes and at firewalls in between.";
    NoAnswer "no-answer" true
        "The host does not answer in time."
        "Look at the server, and at firewalls in between that drop what they do not let through.";
    Unavailable "unavailable" true
        "The server is there and says that it cannot serve now."
        "Nothing on this node; the next turn tries again.";
    Truncated "truncated" true
        "The answer ended before it was complete, or came garbled."
        "Nothing on this node; the next turn tries again. If it stays so, look at proxies in between.";
    Moved "branch-moved" true
        "Somebody else published first."
        "Nothing; it is tried again on top of what is there now.";
    Declined "push-declined" true
        "The server does not take what this node publishes."
        "Let the key that logs in push this branch, and look at the hooks of the repository.";
    Failed "fetch-failed" true
        "The fetch failed in a way that has no name of its own."
        "Read the message; try the same with `git ls-remote`.";
}
