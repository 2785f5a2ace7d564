//! `moorline extract`: writes members of a backup into a folder or to stdout.

use std::{io, path::PathBuf};

use clap::Args;

use super::{Context, key::KeyArguments, output, owners::OwnerArguments, progress::ProgressReporter};
use engine::{
    backup::{self, Output},
    store::Owners,
};
use seqbac_header::RelPath;
use volume::{
    Volume,
    error::{Error, Result},
};

/// Extract members of a backup into a folder, or to stdout
#[derive(Args)]
pub struct Extract {
    /// Backup file
    file: PathBuf,
    /// Members to extract, as paths in the backup; a folder includes everything below it [default: everything]
    members: Vec<PathBuf>,
    /// Folder to extract into; - writes the content of the members to stdout, one after the other
    #[arg(short, long, value_name = "DIR|-")]
    output: PathBuf,
    #[command(flatten)]
    owners: OwnerArguments,
    #[command(flatten)]
    key: KeyArguments,
}

impl Extract {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = Volume::open_in_if_there(&context.storage, &context.environment.places()?)?;
        let key = self.key.get(context, volume.as_ref())?;
        let names = self.members.iter().map(|name| {
            RelPath::new(name).map_err(|_| {
                Error::usage(format!("{} is not a valid member name", name.display()))
                    .hint("name a relative path without . and ..; `moorline inspect` lists the members")
            })
        });
        let names = names.collect::<Result<Vec<_>>>()?;
        let mut stdout = io::stdout().lock();
        let stream = self.output.as_os_str() == "-";
        let mut output = if stream { Output::Stream(&mut stdout) } else { Output::Folder(&self.output) };
        let owners = Owners { requested: self.owners.owner, map: self.owners.map()?, ..Owners::default() };
        let extracted = backup::extract(&self.file, &key, &names, owners, &mut output, &mut ProgressReporter::new())?;
        drop(stdout);
        extracted.notes.iter().for_each(|note| log::warn!("{note}"));
        if !stream {
            let count = extracted.members;
            output::answer(&format!("extracted {count} members into {}", self.output.display()));
        }
        Ok(())
    }
}
