//! The person at the machine.

use nix::unistd::{Uid, User, geteuid};

/// Where Linux keeps who logged in, whoever they became since (`pam_loginuid(8)`).
const LOGIN: &str = "/proc/self/loginuid";

/// The name of the user who logged in; of the user of this process where nobody did.
pub fn operator() -> String {
    let login = std::fs::read_to_string(LOGIN).ok().and_then(|text| text.trim().parse().ok());
    let user = login.filter(|user| *user != u32::MAX).map_or_else(geteuid, Uid::from_raw);
    match User::from_uid(user) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("user {user}"),
    }
}
