//! Capture files of what the demo's clients and servers send.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use linger_probe::target::Target;
use linger_wire::Recording;

use crate::command::CommandError;

/// Checks that packets may be seen, and makes the folder.
pub(super) fn prepare(folder: &Path) -> Result<(), CommandError> {
    linger_wire::check_permission()
        .map_err(|error| CommandError(format!("--wire needs root or CAP_NET_RAW to see packets: {error}")))?;
    std::fs::create_dir_all(folder).map_err(|error| CommandError(format!("{}: {error}", folder.display())))
}

/// Records the connections of a server from now on, in a file that is named after it. A file of an earlier
/// demo is overwritten.
pub(super) fn start(folder: &Path, target: &Target) -> Result<Recording<BufWriter<File>>, CommandError> {
    let name = target.name.replace(", ", "-").to_lowercase();
    let path = folder.join(format!("{name}.pcapng"));
    let trouble = |error| CommandError(format!("{}: {error}", path.display()));
    let file = BufWriter::new(File::create(&path).map_err(trouble)?);
    Recording::start_cut_of_port(file, BYTES, target.address.port()).map_err(trouble)
}

/// Ends a recording when everything is in it.
pub(super) fn finish(recording: Recording<BufWriter<File>>) -> Result<(), CommandError> {
    let trouble = |error| CommandError(format!("--wire: {error}"));
    recording.finish().and_then(|mut file| file.flush()).map_err(trouble)
}

/// More than the TLS handshakes and alerts of the demo take.
const BYTES: u32 = 2000;
