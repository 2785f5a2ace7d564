//! Steps on nodes of JSON files.
//!
//! ```text
//! files of the glob → nodes of the pointer → those whose members match `where` → `set`, in memory
//! commit: each changed file once, atomically
//! ```
//! A draft is the future content of a file; several steps may edit the same one. Every byte that no step touches stays the
//! same: order, spelling of numbers, indentation, line ends, byte order mark. Release restores the original spelling, so
//! that a file that only quarantine changed is identical afterwards.
//!
//! A node is identified by its `key` member among all nodes of the pointer, wherever it is by then; without a key, by its
//! pointer. A changed file keeps its owner and mode, but not its access lists and extended attributes.

mod condition;
mod edit;
mod identify;
mod pointer;
mod text;

use std::collections::{BTreeMap, HashSet};

use self::{
    edit::{Old, Undone},
    identify::{Index, KnownNodes, key_of},
    pointer::{DuplicateName, FoundNode, Pointer, duplicate_name},
    text::{Shape, document},
};
use super::{AppRecord, Outcome, paths};
use crate::prelude::*;
use profile::step::Nodes;

/// A node that was switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The file that contains it.
    pub file: RelPath,
    pointer: String,
    /// The source text of its `key` member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// The previous members, in the order in which they were set.
    members: Vec<OldMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct OldMember {
    name: String,
    was: Old,
    /// The JSON that quarantine wrote; `None` if it removed the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrote: Option<String>,
}

/// Edited files. Nothing is written before [`Self::commit`].
#[derive(Debug, Default)]
pub struct Drafts {
    drafts: BTreeMap<RelPath, Draft>,
}

struct Draft {
    bytes: Vec<u8>,
    changed: bool,
    first: bool,
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes, changed: {}", self.bytes.len(), self.changed)
    }
}

/// A range of a file, and the text that replaces it.
struct Splice {
    start: usize,
    end: usize,
    new: String,
}

impl Drafts {
    /// Switches off, in the drafts, everything that the step finds on. Returns all apps of the step: those in `before`,
    /// unchanged, and new ones.
    pub fn switch_off(
        &mut self,
        root: &Path,
        step: &str,
        nodes: &Nodes,
        optional: bool,
        before: Vec<AppRecord>,
    ) -> Result<Vec<AppRecord>> {
        let files = paths::files(root, &nodes.files)?;
        if files.is_empty() && !optional {
            return Err(paths::missing(&nodes.files));
        }
        let mut known = KnownNodes::new(before);
        for file in &files {
            let draft = self.open(root, file)?.ok_or_else(|| paths::missing(&nodes.files))?;
            let in_file = |error: Error| error.context(file);
            let (found, splices) = switch_off_nodes(&draft.bytes, file, nodes).map_err(in_file)?;
            draft.apply(splices).map_err(in_file)?;
            let shown = (files.len() > 1).then_some(file);
            found.into_iter().for_each(|node| known.add(step, shown, node));
        }
        Ok(known.kept)
    }

    /// The ids of the apps that the step would switch off. Missing files are not an error here.
    pub fn inspect(root: &Path, step: &str, nodes: &Nodes) -> Result<Vec<String>> {
        let kept = Self::default().switch_off(root, step, nodes, true, Vec::new())?;
        Ok(kept.into_iter().map(|kept| kept.id).collect())
    }

    /// Restores the nodes in the drafts. Returns the outcome of each, in their order.
    pub fn put_back(&mut self, root: &Path, nodes: &Nodes, apps: &[&Node]) -> Result<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::Released; apps.len()];
        let mut by_file: BTreeMap<&RelPath, Vec<usize>> = BTreeMap::new();
        for (index, node) in (0..).zip(apps) {
            by_file.entry(&node.file).or_default().push(index);
        }
        for (file, indices) in by_file {
            let Some(draft) = self.open(root, file)? else {
                for index in indices {
                    outcomes[index] = Outcome::Left(format!("{file} is gone"));
                }
                continue;
            };
            let in_file = |error: Error| error.context(file);
            let chosen: Vec<&Node> = indices.iter().map(|&index| apps[index]).collect();
            let (of_file, splices) = restore_nodes(&draft.bytes, nodes, &chosen).map_err(in_file)?;
            draft.apply(splices).map_err(in_file)?;
            for (index, outcome) in indices.into_iter().zip(of_file) {
                outcomes[index] = outcome;
            }
        }
        Ok(outcomes)
    }

    /// The files that [`Self::commit`] will write.
    pub fn changed(&self) -> impl Iterator<Item = &RelPath> {
        self.drafts.iter().filter(|(_, draft)| draft.changed).map(|(file, _)| file)
    }

    /// Writes the changed files, each atomically.
    pub fn commit(&mut self, root: &Path) -> Result<()> {
        let mut changed: Vec<_> = self.drafts.iter_mut().filter(|(_, draft)| draft.changed).collect();
        changed.sort_by_key(|(_, draft)| !draft.first);
        for (file, draft) in changed {
            durable::replace(&file.under(root), &draft.bytes)?;
            draft.changed = false;
        }
        Ok(())
    }

    /// Makes [`Self::commit`] write the files that have changed so far before all others.
    pub fn write_changed_first(&mut self) {
        self.drafts.values_mut().for_each(|draft| draft.first = draft.changed);
    }

    /// The draft of a file; `None` if the file does not exist.
    fn open(&mut self, root: &Path, file: &RelPath) -> Result<Option<&mut Draft>> {
        if !self.drafts.contains_key(file) {
            let full = file.under(root);
            if !paths::is_reached(root, file)? || !presence::entry(&full)?.is_some_and(|meta| meta.is_file()) {
                return Ok(None);
            }
            let bytes = fs::read(&full).on("read", &full)?;
            self.drafts.insert(file.clone(), Draft { bytes, changed: false, first: false });
        }
        Ok(self.drafts.get_mut(file))
    }
}

impl Node {
    /// The pointer of each member that was set.
    pub fn places(&self) -> impl Iterator<Item = String> {
        self.members.iter().map(|member| format!("{}/{}", self.pointer, pointer::escaped(&member.name)))
    }
}

impl std::fmt::Display for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without a key, the id of the app already contains the pointer.
        match self.key.is_none() {
            true => self.file.fmt(f),
            false => write!(f, "{} in {}", self.pointer, self.file),
        }
    }
}

impl Draft {
    fn apply(&mut self, splices: Vec<Splice>) -> Result<()> {
        if splices.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        for splice in splices {
            bytes.extend_from_slice(self.bytes.get(at..splice.start).unwrap_or_default());
            bytes.extend_from_slice(splice.new.as_bytes());
            at = splice.end;
        }
        bytes.extend_from_slice(self.bytes.get(at..).unwrap_or_default());
        // The server reads this next, so we validate it like the text that we read.
        document(&bytes).map_err(|error| error.with_code(Code::Bug).context("the edited text"))?;
        (self.bytes, self.changed) = (bytes, true);
        Ok(())
    }
}

/// The nodes that are on, and the edits that switch them off.
fn switch_off_nodes(bytes: &[u8], file: &RelPath, nodes: &Nodes) -> Result<(Vec<Node>, Vec<Splice>)> {
    let (mut found, mut splices) = (Vec::new(), Vec::new());
    for node in Pointer::new(&nodes.each)?.nodes(document(bytes)?)? {
        if !condition::holds(&nodes.filter, node.value, &node.pointer)? {
            continue;
        }
        if node.value.shape() != Shape::Object {
            return Err(not_an_object(&node.pointer));
        }
        let (new, members) = set_all(&node, nodes)?;
        if !members.is_empty() {
            let key = key_of(&node, nodes)?.map(|key| key.source().to_owned());
            splices.push(Splice { start: node.value.start, end: node.value.end, new });
            found.push(Node { file: file.clone(), pointer: node.pointer, key, members });
        }
    }
    Ok((found, splices))
}

fn set_all(node: &FoundNode<'_>, nodes: &Nodes) -> Result<(String, Vec<OldMember>)> {
    let mut object = node.value.source().to_owned();
    let mut members = Vec::new();
    for (name, value) in &nodes.set {
        let set =
            edit::set(&object, name, value.as_ref()).map_err(|DuplicateName| duplicate_name(name, &node.pointer))?;
        if let Some((changed, was)) = set {
            object = changed;
            members.push(OldMember { name: name.clone(), was, wrote: value.as_ref().map(ToString::to_string) });
        }
    }
    Ok((object, members))
}

fn restore_nodes(bytes: &[u8], nodes: &Nodes, chosen: &[&Node]) -> Result<(Vec<Outcome>, Vec<Splice>)> {
    let there = Pointer::new(&nodes.each)?.nodes(document(bytes)?)?;
    let index = Index::of(&there, nodes)?;
    let (mut outcomes, mut splices) = (Vec::with_capacity(chosen.len()), Vec::new());
    let mut met = HashSet::new();
    for old in chosen {
        let found = match index.find(old) {
            // Two nodes have become one, so we cannot tell which of the two previous values it should get.
            Ok(at) if !met.insert(at) => Err("it can no longer be distinguished from another app".to_owned()),
            other => other,
        };
        let node = match found {
            Ok(at) => &there[at],
            Err(why) => {
                outcomes.push(Outcome::Left(why));
                continue;
            }
        };
        let (new, outcome) = put_back(node, &old.members)?;
        outcomes.push(outcome);
        if new != node.value.source() {
            splices.push(Splice { start: node.value.start, end: node.value.end, new });
        }
    }
    splices.sort_by_key(|splice| splice.start);
    Ok((outcomes, splices))
}

fn put_back(node: &FoundNode<'_>, members: &[OldMember]) -> Result<(String, Outcome)> {
    let mut object = node.value.source().to_owned();
    let mut changed = Vec::new();
    for OldMember { name, was, wrote } in members.iter().rev() {
        was.check()?;
        if node.value.shape() != Shape::Object {
            changed.push(format!("{name:?}"));
            continue;
        }
        let wrote = wrote.as_deref().map(serde_json::from_str).transpose().map_err(|_| edit::damaged())?;
        let back = edit::put_back(&object, name, wrote.as_ref(), was)
            .map_err(|DuplicateName| duplicate_name(name, &node.pointer))?;
        match back {
            Undone::Done(text) => object = text,
            Undone::Already => {}
            Undone::Changed => changed.push(format!("{name:?}")),
        }
    }
    let outcome = match changed.is_empty() {
        true => Outcome::Released,
        false => Outcome::Left(format!("its {} is no longer what quarantine wrote", changed.join(" and "))),
    };
    Ok((object, outcome))
}

fn not_an_object(pointer: &str) -> Error {
    let place = if pointer.is_empty() { "the document" } else { pointer };
    Error::new(Code::AppsUnknown, format!("{place} is not an object, so nothing can be set in it"))
        .hint("in the step, let `each` match objects only, or exclude other values with `where`")
}
