//! The identity of nodes: when quarantine is entered again, and at release.
//!
//! A node is identified by its `key` member, a string or a number, wherever it is. If several nodes have the same key,
//! we prefer the one with the same parent, and among those the one with the same pointer. A node without a key is
//! identified by its pointer.

use std::collections::{HashMap, HashSet};

use super::{
    Node,
    pointer::{DuplicateName, FoundNode, duplicate_name, member},
    text::{RawValue, Shape},
};
use crate::{
    prelude::*,
    quarantine::{AppRecord, Before},
};
use profile::step::Nodes;

pub struct Index<'a> {
    there: &'a [FoundNode<'a>],
    by_key: HashMap<String, Vec<usize>>,
    by_pointer: HashMap<&'a str, usize>,
}

impl<'a> Index<'a> {
    pub fn of(there: &'a [FoundNode<'a>], nodes: &Nodes) -> Result<Self> {
        let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, node) in (0..).zip(there) {
            if let Some(key) = key_of(node, nodes)? {
                by_key.entry(plain_key(key)).or_default().push(at);
            }
        }
        let by_pointer = (0..).zip(there).map(|(at, node)| (node.pointer.as_str(), at)).collect();
        Ok(Self { there, by_key, by_pointer })
    }

    /// Where a recorded node is now, or why we cannot say.
    pub fn find(&self, old: &Node) -> Result<usize, String> {
        let gone = || "it is gone".to_owned();
        let Some(key) = &old.key else {
            return self.by_pointer.get(old.pointer.as_str()).copied().ok_or_else(gone);
        };
        let candidates = self.by_key.get(&plain_key(RawValue::whole(key))).map_or(&[][..], Vec::as_slice);
        let only = |is_it: &dyn Fn(&str) -> bool| {
            let mut those = candidates.iter().copied().filter(|&at| is_it(&self.there[at].pointer));
            those.next().filter(|_| those.next().is_none())
        };
        // Keys may be unique only among siblings.
        only(&|_| true)
            .or_else(|| only(&|pointer| parent(pointer) == parent(&old.pointer)))
            .or_else(|| only(&|pointer| pointer == old.pointer))
            .ok_or_else(|| if candidates.is_empty() { gone() } else { "several nodes have its key".to_owned() })
    }
}

fn parent(pointer: &str) -> &str {
    pointer.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The apps of one step, each with a unique id.
pub struct KnownNodes {
    pub kept: Vec<AppRecord>,
    ids: HashSet<String>,
    /// Nodes of an earlier quarantine: the position of each in `kept`.
    before: HashMap<(RelPath, String), Vec<usize>>,
}

impl KnownNodes {
    pub fn new(kept: Vec<AppRecord>) -> Self {
        let ids = kept.iter().map(|kept| kept.id.clone()).collect();
        let mut before: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, kept) in (0..).zip(&kept) {
            if let Before::Node(node) = &kept.was {
                before.entry(node.place()).or_default().push(at);
            }
        }
        Self { kept, ids, before }
    }

    /// Adds a node that was switched off now. `file` is shown if the step has several files.
    pub fn add(&mut self, step: &str, file: Option<&RelPath>, node: Node) {
        match self.remembered(&node) {
            Some(known) => {
                for new in node.members {
                    match known.members.iter_mut().find(|old| old.name == new.name) {
                        Some(old) => old.wrote = new.wrote,
                        None => known.members.push(new),
                    }
                }
            }
            None => {
                let id = self.new_id(step, file, &node);
                self.kept.push(AppRecord { id, was: Before::Node(node) });
            }
        }
    }

    /// The entry of an earlier quarantine for this node, whose previous values stay.
    fn remembered(&mut self, node: &Node) -> Option<&mut Node> {
        let candidates = self.before.get_mut(&node.place())?;
        let is_there = |&at: &usize| matches!(&self.kept[at].was, Before::Node(known) if known.pointer == node.pointer);
        // Of several with the same key, the one with the same pointer.
        let chosen = candidates.iter().position(is_there).unwrap_or_default();
        let at = (chosen < candidates.len()).then(|| candidates.remove(chosen))?;
        match &mut self.kept[at].was {
            Before::Node(known) => Some(known),
            _ => None,
        }
    }

    fn new_id(&mut self, step: &str, file: Option<&RelPath>, node: &Node) -> String {
        let key = node.key.as_deref().map_or_else(|| node.pointer.clone(), |key| plain_key(RawValue::whole(key)));
        // A document as a whole is identified by the name of its file.
        let file = file.filter(|_| !key.is_empty()).map(|file| format!("{file} ")).unwrap_or_default();
        let key = if key.is_empty() { node.file.to_string() } else { key };
        let mut id = format!("{step} {file}{key}");
        while !self.ids.insert(id.clone()) {
            id = format!("{id} {}", node.pointer);
        }
        id
    }
}

impl Node {
    fn place(&self) -> (RelPath, String) {
        let key = self.key.as_deref().map(|key| plain_key(RawValue::whole(key)));
        let parent = parent(&self.pointer);
        (self.file.clone(), key.map_or_else(|| self.pointer.clone(), |key| format!("{parent}\n{key}")))
    }
}

/// The key of a node, if it is a string or a number.
pub fn key_of<'a>(node: &FoundNode<'a>, nodes: &Nodes) -> Result<Option<RawValue<'a>>> {
    let Some(name) = &nodes.key else { return Ok(None) };
    let key = member(node.value, name).map_err(|DuplicateName| duplicate_name(name, &node.pointer))?;
    let key = key.map(|member| member.value);
    Ok(key.filter(|key| matches!(key.shape(), Shape::Text | Shape::Number)))
}

/// A key as a user would type it, independent of its spelling in the file.
fn plain_key(key: RawValue<'_>) -> String {
    let said = key.decoded().and_then(|said| String::from_utf8(said.into_owned()).ok());
    let plain = said.filter(|said| !said.is_empty() && !said.chars().any(char::is_control));
    plain.unwrap_or_else(|| key.source().to_owned())
}
