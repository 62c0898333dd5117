//! `ops-meta completion`

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use super::failed::Failed;
use super::output::Out;
use crate::args::Typed;

/// A script that lets a shell complete what is typed
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  ops-meta completion bash > ~/.local/share/bash-completion/completions/ops-meta\n  \
                        ops-meta completion zsh > \"${fpath[1]}/_ops-meta\"\n  \
                        ops-meta completion fish > ~/.config/fish/completions/ops-meta.fish"
)]
pub struct Args {
    shell: Named,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Named {
    Bash,
    Zsh,
    Fish,
}

pub fn run(args: &Args) -> Result<(), Failed> {
    let shell = match args.shell {
        Named::Bash => Shell::Bash,
        Named::Zsh => Shell::Zsh,
        Named::Fish => Shell::Fish,
    };
    // It panics where it cannot write: nobody may be there to read it.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Typed::command(), "ops-meta", &mut script);
    let script = String::from_utf8_lossy(&script);
    // In bash's, clap_complete takes the hyphen for the place between two verbs.
    let script = script.replace("ops__subcmd__meta", "ops__meta");
    let mut out = Out::new();
    out.line(script.trim_end())?;
    out.flush()
}
