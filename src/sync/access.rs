//! What a fetch needs beside the URL: whom to believe, and how to log in.
//!
//! Contents, not paths: the fetch process reads no file of the node's settings, and
//! may run as a user who could not.

use serde::{Deserialize, Serialize};

use crate::value::Secret;

/// Whom to believe at the other end, and how to log in there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The certificate authorities that may vouch for an https server, as PEM; no
    /// other may. The system's own when `None`.
    pub authorities: Option<String>,
    /// The keys of ssh servers, as in a file `known_hosts`. A server that is not
    /// named there is not talked to.
    pub known_hosts: Option<String>,
    /// How to log in; `None` where everybody may read.
    pub login: Option<Login>,
}

/// How to log in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Login {
    /// A name and a password or a token, for https.
    Password {
        /// The name.
        user: String,
        /// The password or token.
        #[serde(with = "exposed")]
        secret: Secret,
    },
    /// A private key, for ssh.
    Key {
        /// The name, where the URL has none.
        user: Option<String>,
        /// The key, in the format of OpenSSH or as PEM.
        #[serde(with = "exposed")]
        key: Secret,
        /// What opens the key.
        #[serde(with = "exposed_if_any", default)]
        passphrase: Option<Secret>,
    },
}

/// The text of a secret, for the pipe between the agent and the fetch process only.
mod exposed {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::value::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}

/// The same of a secret that may be absent.
mod exposed_if_any {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::value::Secret;

    #[expect(clippy::ref_option, reason = "serde asks for this signature")]
    pub(super) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        secret.as_ref().map(Secret::expose).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Secret>, D::Error> {
        Option::<String>::deserialize(from).map(|text| text.map(Secret::new))
    }
}
