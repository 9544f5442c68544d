//! Prints completions for a shell, and manual pages.

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{CommandError, print};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to print them for.
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Prints the page of this command, instead of the page that lists the commands.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints a script that completes this command line.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<bool, CommandError> {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(String::from_utf8_lossy(&script))?;
    Ok(true)
}

/// Prints a manual page.
pub(crate) fn man(args: &ManArgs, mut command: Command) -> Result<bool, CommandError> {
    // This gives the subcommands their full names and the options that they inherit.
    command.build();
    let command = match &args.command {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                return Err(CommandError(format!("there is no command {name:?}: see `linger-probe help`")));
            }
        },
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    print(String::from_utf8_lossy(&page))?;
    Ok(true)
}
