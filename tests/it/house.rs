//! The rules of the house that no compiler checks: the documents are complete and true, a module of a layered crate never
//! imports from one above it, and what must be in one place only is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use moorline::command::options;
use volume::error::Code;

const DOCUMENTS: [&str; 8] = [
    "README.md",
    "docs/cli.md",
    "docs/console.md",
    "docs/glossary.md",
    "docs/performance.md",
    "docs/pid1.md",
    "docs/profiles.md",
    "docs/seqbac.md",
];

/// The sentence with which a crate promises that its list of modules is a list of layers.
const LAYERED: &str = "A module never imports from one above it in this list.";

#[test]
fn no_module_of_a_layered_crate_imports_from_one_above_it() {
    let layered: Vec<Package> = packages().into_iter().filter(|package| package.map().contains(LAYERED)).collect();
    assert!(!layered.is_empty(), "crates/engine at least has layers");
    let mut offences = Vec::new();
    for package in layered {
        let layers = package.layers();
        assert!(layers.len() > 5, "the list in {} was not understood: {layers:?}", package.map_file().display());
        for file in package.sources() {
            let own = package.module_of(&file);
            let Some(at) = layers.iter().position(|layer| *layer == own) else { continue };
            for used in modules_used(&code_of(&file)) {
                if layers.iter().position(|layer| *layer == used).is_some_and(|other| other < at) {
                    offences.push(format!("{} uses crate::{used}", file.display()));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn each_crate_says_what_each_of_its_files_is_for() {
    let commands = help(&[]);
    let commands: BTreeSet<String> =
        first_words(&commands, "Commands:").map(|command| command.replace('-', "_")).collect();
    let mut missing = Vec::new();
    for package in packages() {
        let map = package.map();
        for file in package.sources() {
            let stem = file.file_stem().and_then(|name| name.to_str()).expect("UTF-8");
            // "a file per command" names these.
            let is_command = package.name == "cli" && commands.contains(stem);
            let is_test = code_of(&file).is_empty() || stem == "fuzz";
            // A file, a module, or the folder that the file is in.
            let folder = file.parent().and_then(Path::file_name).and_then(|name| name.to_str()).expect("UTF-8");
            let names =
                [format!("{stem}.rs"), format!("[`{stem}`]"), format!("[`mod@{stem}`]"), format!("`{folder}/`")];
            let is_root = ["lib", "main"].contains(&stem) && folder == "src";
            if !is_root && !is_command && !is_test && !names.iter().any(|name| map.contains(name)) {
                missing.push(format!("{} lacks {}", package.map_file().display(), file.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn one_file_alone_syncs_and_renames() {
    must_stand_only_in(
        &["fs::rename", "renameat", ".sync_all(", ".sync_data(", "fsync(", "syncfs("],
        &["crates/volume/src/durable.rs"],
    );
}

#[test]
fn the_command_lines_alone_read_the_environment_and_print() {
    must_stand_only_in(
        &["env::var(", "env::var_os(", "env::vars", "io::stdout()"],
        &["src/command", "src/command.rs", "src/main.rs", "crates/cli/src"],
    );
}

#[test]
fn unsafe_code_is_in_one_crate_and_rare() {
    must_stand_only_in(&["unsafe ", "allow(unsafe_code"], &["crates/process/src"]);
    let blocks: usize = sources().iter().map(|file| code_of(file).matches("unsafe {").count()).sum();
    assert!((1..=50).contains(&blocks), "{blocks} unsafe blocks");
}

#[test]
fn the_contract_lists_every_exit_code() {
    let contract = read("docs/cli.md");
    for exit in 0..=u8::MAX {
        if let Some(code) = Code::from_exit(exit) {
            assert!(contract.contains(&format!("\n| {exit} | {code} |")), "docs/cli.md lacks {exit} {code}");
        }
    }
}

#[test]
fn the_contract_lists_every_setting() {
    let contract = read("docs/cli.md");
    for file in sources() {
        for name in settings_in(&code_of(&file)) {
            assert!(contract.contains(&name), "{} has {name}, and docs/cli.md lacks it", file.display());
        }
    }
}

#[test]
fn the_contract_lists_every_command_and_every_flag() {
    let contract = read("docs/cli.md");
    let commands = help(&[]);
    let commands: Vec<_> = first_words(&commands, "Commands:").collect();
    assert!(commands.contains(&"show-key") && commands.contains(&"run"), "the help was not understood: {commands:?}");
    for command in commands {
        assert!(contract.contains(&format!("`{command}")), "docs/cli.md lacks {command}");
        for flag in help(&[command]).split_whitespace().filter_map(long_flag) {
            assert!(contract.contains(flag), "docs/cli.md lacks {flag} of {command}");
        }
    }
}

#[test]
fn moorline_knows_which_commands_are_the_engines() {
    let shown = help(&[]);
    let shown: BTreeSet<&str> = first_words(&shown, "Commands:").collect();
    let of_engine: BTreeSet<&str> = options::OF_ENGINE.iter().copied().collect();
    let own = |command: &&str| options::COMMANDS.iter().any(|own| own.name == *command);
    let unknown: Vec<_> = shown.iter().filter(|command| !own(command) && !of_engine.contains(*command)).collect();
    assert!(unknown.is_empty(), "moorline would take these for programs: {unknown:?}");
    // The hidden ones have a help too; a unit test of crates/cli knows of each that is missing here.
    for command in of_engine {
        assert!(help(&[command]).contains("Usage: moorline"), "{command}");
    }
}

#[test]
fn the_documents_lead_nowhere_that_is_not_there() {
    for document in DOCUMENTS {
        let text = read(document);
        let folder = root().join(document).parent().expect("in a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            let elsewhere = target.is_empty() || target.contains("://");
            assert!(elsewhere || folder.join(target).exists(), "{document} leads to {target}");
        }
    }
}

#[test]
fn every_profile_in_the_documents_makes_sense() {
    let text = read("docs/profiles.md");
    let profiles: Vec<String> =
        blocks(&text).into_iter().filter(|block| block.contains("\n[[q") || block.contains("\n[s")).collect();
    assert!(profiles.len() > 15, "docs/profiles.md was not understood: {profiles:#?}");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = folder.path().join("profile.toml");
    for profile in profiles {
        let is_named = profile.trim_start().starts_with("name");
        let mut whole = if is_named { profile.clone() } else { format!("name = \"documented\"\n{profile}") };
        if whole.contains("\n[[quarantine]]") {
            // A step may need one beside it.
            whole += "\n[[quarantine]]\nname = \"another\"\nargs = [\"--off\"]\n";
        }
        fs::write(&file, whole).expect("written");
        let mut moorline = Command::new(env!("MOORLINE_PROGRAM"));
        let output = moorline.args(["profile", "check"]).arg(&file).output().expect("moorline starts");
        assert!(output.status.success(), "{profile}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_test_that_the_comparison_names_is_there() {
    let text = read("docs/pid1.md");
    let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect();
    assert!(named.len() > 60, "docs/pid1.md was not understood: {named:?}");
    for name in named {
        let (module, test) = name.rsplit_once("::").expect("has two parts");
        let file = root().join("tests/it").join(module.replace("::", "/")).with_extension("rs");
        let code = fs::read_to_string(&file).unwrap_or_default();
        assert!(code.contains(&format!("\nfn {test}() {{")), "docs/pid1.md names {name}, which is no test");
    }
}

#[test]
fn every_row_of_the_comparison_says_which_and_names_a_test() {
    let text = read("docs/pid1.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2);
    let rows: Vec<Vec<&str>> = rows.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect()).collect();
    assert!(rows.len() > 40, "docs/pid1.md was not understood: {rows:?}");
    for row in rows.iter().filter(|row| !row[1].is_empty() && !row[0].starts_with("---")) {
        let has_test = row[2].contains("::");
        match row[1] {
            "same" | "different on purpose" => assert!(has_test, "without a test: {row:?}"),
            "no such feature" => assert!(!row[2].is_empty(), "without a reason: {row:?}"),
            other => panic!("{other:?} is no verdict: {row:?}"),
        }
    }
}

/// What stands indented in a document, each block with an empty line before it.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match (line.strip_prefix("    "), blocks.last_mut()) {
            (Some(code), Some(block)) => *block += &format!("\n{code}"),
            (None, Some(block)) if line.is_empty() => *block += "\n",
            _ => blocks.push(String::new()),
        }
    }
    blocks
}

fn must_stand_only_in(words: &[&str], places: &[&str]) {
    for file in sources() {
        if places.iter().any(|place| file.starts_with(root().join(place))) {
            continue;
        }
        let code = code_of(&file);
        for word in words {
            assert!(!code.contains(word), "{} has {word}, which only {places:?} may", file.display());
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("MOORLINE_REPOSITORY"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("readable")
}

/// A crate of the workspace, but for the tests.
struct Package {
    name: String,
    folder: PathBuf,
}

fn packages() -> Vec<Package> {
    let entries = fs::read_dir(root().join("crates")).expect("a folder");
    let crates = entries.map(|entry| entry.expect("an entry").path()).map(|folder| {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        Package { name, folder }
    });
    let mut packages: Vec<Package> = crates.collect();
    packages.push(Package { name: "moorline".into(), folder: root().into() });
    assert!(packages.len() > 8, "the crates were not found");
    packages
}

impl Package {
    fn map_file(&self) -> PathBuf {
        self.folder.join("src/lib.rs")
    }

    /// The documentation of its `lib.rs`.
    fn map(&self) -> String {
        let text = fs::read_to_string(self.map_file()).expect("readable");
        text.lines().filter(|line| line.starts_with("//!")).map(|line| format!("{line}\n")).collect()
    }

    /// The modules of its list, from the top.
    fn layers(&self) -> Vec<String> {
        let module = |line: &str| {
            let bullet = line.strip_prefix("//! - ")?;
            let name = bullet.strip_prefix("[`").or_else(|| bullet.strip_prefix('`'))?;
            Some(name.split('`').next()?.trim_start_matches("mod@").trim_end_matches(".rs").to_owned())
        };
        self.map().lines().filter_map(module).collect()
    }

    fn sources(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.folder.join("src"), &mut found);
        found
    }

    /// The module of the crate's root that a file belongs to.
    fn module_of(&self, file: &Path) -> String {
        let below = file.strip_prefix(self.folder.join("src")).expect("a source");
        let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<PathBuf> {
    packages().iter().flat_map(Package::sources).collect()
}

/// A source without its comments and its unit tests.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("readable");
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// What follows `crate::`, and in `crate::{…}` each name that is not inside another brace.
fn modules_used(code: &str) -> Vec<String> {
    code.split("crate::").skip(1).flat_map(names_at_the_top).collect()
}

fn names_at_the_top(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else { return vec![identifier(rest)] };
    let mut depth = 0;
    let mut top = String::new();
    for char in group.chars() {
        match char {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 => top.push(char),
            _ => {}
        }
    }
    top.split(',').map(|part| identifier(part.trim_start())).collect()
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

/// Names that open a string and are settings of ours or Seq's.
fn settings_in(code: &str) -> Vec<String> {
    let found = |prefix: &'static str| {
        let quoted = code.split(&format!("\"{prefix}")).skip(1).map(identifier).collect::<Vec<_>>();
        quoted.into_iter().map(move |rest| format!("{prefix}{rest}"))
    };
    found("MOORLINE_").chain(found("SEQ_")).collect()
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("MOORLINE_PROGRAM")).arg("help").args(command).output().expect("moorline starts");
    assert!(output.status.success(), "help {command:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The first words of the indented lines of one section of a help text.
fn first_words<'text>(help: &'text str, section: &str) -> impl Iterator<Item = &'text str> {
    let lines = help.lines().skip_while(move |line| *line != section).skip(1);
    lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next())
}

fn long_flag(word: &str) -> Option<&str> {
    let flag = word.split(['=', '[', ',', '`', '.', ';', ')']).next()?;
    (flag.len() > 4 && flag.starts_with("--")).then_some(flag)
}
