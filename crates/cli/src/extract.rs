//! `moorline extract`: take members out of a backup.

use std::{io, path::PathBuf, process::ExitCode};

use clap::Args;

use super::{Context, key::KeyArguments, output, progress::Shown};
use engine::backup::{self, Output};
use seqbac_header::RelPath;
use volume::{
    Volume,
    error::{Error, Result},
};

/// Take members out of a backup into a folder, or onto stdout
#[derive(Debug, Args)]
pub struct Extract {
    /// The backup
    file: PathBuf,
    /// Members, with all below them [default: everything]
    members: Vec<PathBuf>,
    /// The folder they go into; - writes their content to stdout, one after the other
    #[arg(short, long, value_name = "DIR|-")]
    output: PathBuf,
    #[command(flatten)]
    key: KeyArguments,
}

impl Extract {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = Volume::open_if_there(&context.storage)?;
        let key = self.key.get(context, volume.as_ref())?;
        let names = self.members.iter().map(|name| {
            RelPath::new(name).map_err(|_| Error::usage(format!("{} is not the name of a member", name.display())))
        });
        let names = names.collect::<Result<Vec<_>>>()?;
        let mut stdout = io::stdout().lock();
        let stream = self.output.as_os_str() == "-";
        let mut output = if stream { Output::Stream(&mut stdout) } else { Output::Folder(&self.output) };
        let count = backup::extract(&self.file, &key, &names, &mut output, &mut Shown::new())?;
        drop(stdout);
        if !stream {
            output::answer(&format!("{count} members extracted into {}", self.output.display()));
        }
        Ok(ExitCode::SUCCESS)
    }
}
