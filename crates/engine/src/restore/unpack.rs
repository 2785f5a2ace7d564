//! The commands of the profile that make what a capture wrote usable: `unpack` turns a file into the replaced folder, and
//! `prepare` works on this folder. They run on the staged copy, before anything on the volume changes.
//!
//! Only the profile names these commands, never the backup. Their working directory is the staged folder.

use std::{
    fs::File,
    os::unix::fs::{PermissionsExt, lchown},
    process::Stdio,
};

use nix::unistd::Uid;

use super::{Request, mounts::Mounts, set::RestoreSet};
use crate::{
    backup::{CapturedPaths, Manifest, Progress},
    command::Setting,
    prelude::*,
};
use process::User;
use profile::{Capture, capture::STAGE};

/// Runs the commands for each capture of the backup.
pub fn run(
    volume: &Volume,
    set: &RestoreSet,
    profile: &Profile,
    manifest: &Manifest,
    request: &Request,
    mounts: &Mounts,
    progress: &mut dyn Progress,
) -> Result<()> {
    for captured in manifest.captures.iter().filter(|captured| captured.unpack.is_some() || captured.prepare) {
        let failed = |error: Error| error.context(format!("cannot restore the capture {:?}", captured.name));
        let capture = of_profile(profile, captured).map_err(failed)?;
        let Some(folder) = capture.folder.as_ref().filter(|folder| request.takes(folder)) else { continue };
        let done = if mounts.covers(folder) {
            remove_file(set, captured)
        } else {
            progress.begin(&format!("unpacking the capture {:?}", captured.name), 0);
            make_usable(volume, set, (captured, capture, folder), request, progress)
        };
        done.map_err(failed)?;
        progress.end();
    }
    Ok(())
}

/// The capture of the profile that knows what to do with the captured file.
fn of_profile<'a>(profile: &'a Profile, captured: &CapturedPaths) -> Result<&'a Capture> {
    let is_known = |capture: &&Capture| {
        capture.name == captured.name
            && capture.replaces == captured.replaces
            && capture.unpack.is_empty() == captured.unpack.is_none()
            && capture.prepare.is_empty() != captured.prepare
    };
    profile.captures.iter().find(is_known).ok_or_else(|| {
        let what = "the profile does not have this capture with its `unpack` and `prepare`, which turn it into files of the server";
        Error::usage(what).hint("name the profile with which the backup was taken in --profile")
    })
}

fn make_usable(
    volume: &Volume,
    set: &RestoreSet,
    (captured, capture, folder): (&CapturedPaths, &Capture, &RelPath),
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<()> {
    let stage = folder.under(&set.stage());
    let setting = Setting::of(capture, volume.root(), &request.own_variables, request.owner)?;
    let setting = Setting { folder: &stage, ..setting };
    let_reach(volume, set, &setting.user)?;
    let words = |words: &[String]| words.iter().map(|word| word.replace(STAGE, ".")).collect::<Vec<_>>();
    if let Some(file) = &captured.unpack {
        let path = file.under(&set.stage());
        let file = File::open(&path).on("open", &path)?;
        setting.run(&words(&capture.unpack), file.into(), &mut || progress.check())?;
        remove_file(set, captured)?;
    }
    if !capture.prepare.is_empty() {
        setting.run(&words(&capture.prepare), Stdio::null(), &mut || progress.check())?;
    }
    for needed in &capture.contains {
        if presence::entry(&needed.under(&stage))?.is_none() {
            let what = format!("the commands ended with exit code 0, but {folder} does not contain {needed}");
            return Err(Error::new(Code::Unexpected, what).hint("restore another backup; nothing was changed"));
        }
    }
    Ok(())
}

/// Lets the commands' user reach the staged folder by its path, because some programs look up the path of their working
/// directory. The user cannot list the folders above it.
fn let_reach(volume: &Volume, set: &RestoreSet, user: &User) -> Result<()> {
    if user.uid() == Uid::effective().as_raw() {
        return Ok(());
    }
    volume.let_traverse(user.uid(), user.gid())?;
    for folder in [volume.restores(), set.folder().to_owned(), set.stage()] {
        // The owner of the storage root could lead the change elsewhere with a link.
        if !presence::entry(&folder)?.is_some_and(|meta| meta.is_dir()) {
            return Err(Error::new(Code::Unexpected, format!("{} is not a folder", folder.display())));
        }
        lchown(&folder, None, Some(user.gid())).on("change the group of", &folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o710)).on("change the mode of", &folder)?;
    }
    Ok(())
}

fn remove_file(set: &RestoreSet, captured: &CapturedPaths) -> Result<()> {
    let Some(file) = &captured.unpack else { return Ok(()) };
    durable::remove_file(&file.under(&set.stage()))
}
