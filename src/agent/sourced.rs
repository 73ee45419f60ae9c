//! Whether the machine's own start reads the interfaces that weft writes.

use camino::Utf8Path;

use super::doctor::read::sources;
use super::settings::Settings;
use crate::host::Host;
use crate::plan::Engine;

const FILE: &str = "/etc/network/interfaces";
const MAX_BYTES: u64 = 1 << 20;

/// What it means that `/etc/network/interfaces` does not read weft's file, where that is so. A
/// node without the file is `weft doctor`'s to speak of.
pub fn left_out(host: &impl Host, settings: &Settings) -> Option<String> {
    let file = host.read(Utf8Path::new(FILE), MAX_BYTES).ok().flatten()?;
    if sources(&String::from_utf8_lossy(&file.bytes)).read_own_file() {
        return None;
    }
    let means = match settings.engine() {
        Engine::Native => {
            "weft brings up what is in it all the same, but ifupdown2 does not, neither when the machine starts nor with `ifreload -a`"
        }
        Engine::Ifupdown2 => "ifupdown2 brings up nothing of it",
    };
    Some(format!(
        "`{FILE}` has no `source` line that reads `/etc/network/interfaces.d/sdn`: {means} (`echo 'source /etc/network/interfaces.d/*' >>{FILE}`)"
    ))
}
