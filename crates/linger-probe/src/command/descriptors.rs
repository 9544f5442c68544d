//! Raises the process's limit of open files to what a command's sockets need.

use super::CommandError;

/// Raises the soft limit of open files if it is lower than what the command needs: `each` sockets for each
/// unit of `option`, whose value is `number`. The hard limit stays.
///
/// # Errors
/// The hard limit is lower. The line names it, the limit that is needed, and `option`.
#[cfg(unix)]
pub(crate) fn ensure(number: u32, each: u32, option: &str) -> Result<(), CommandError> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let needed = u64::from(number) * u64::from(each) + OTHERS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= needed {
        return Ok(());
    }
    if hard >= needed {
        return Ok(setrlimit(Resource::RLIMIT_NOFILE, needed, hard)?);
    }
    let fewer = match hard.saturating_sub(OTHERS) / u64::from(each.max(1)) {
        0 => String::new(),
        most => format!(", or at most {most} {option}"),
    };
    Err(CommandError(format!(
        "{option} {number} needs {needed} open files, and this process may have {hard} (RLIMIT_NOFILE, hard \
         limit): `ulimit -n {needed}` in the shell as root{fewer}"
    )))
}

/// On other systems, sockets do not count as open files.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the same signature everywhere")]
pub(crate) fn ensure(_number: u32, _each: u32, _option: &str) -> Result<(), CommandError> {
    Ok(())
}

/// Open files that are not connections: those of the runtimes and their threads, standard streams,
/// certificates, reports.
#[cfg(unix)]
const OTHERS: u64 = 64;
