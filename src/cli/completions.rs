//! `bursar completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::exit::{Exit, Outcome};
use super::output::Output;

/// Print a shell's completions
///
/// For bash: bursar completions bash > /usr/share/bash-completion/completions/bursar
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, out: &Output) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "bursar", &mut script);
        out.text(&String::from_utf8_lossy(&script));
        Ok(Exit::Ok)
    }
}
