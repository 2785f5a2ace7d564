//! The rules of the house that no compiler checks: what the documents promise is there, and no room reaches above itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use volume::error::Code;

#[test]
fn no_room_reaches_into_one_above_it() {
    let rooms = rooms();
    assert!(rooms.len() > 8, "the map in lib.rs was not understood: {rooms:?}");
    let mut offences = Vec::new();
    for file in sources() {
        let Some(at) = rooms.iter().position(|room| room_of(&file) == *room) else { continue };
        for used in rooms_used(&code_of(&file)) {
            if rooms.iter().position(|room| *room == used).is_some_and(|other| other < at) {
                offences.push(format!("{} uses crate::{used}", file.display()));
            }
        }
    }
    assert!(offences.is_empty(), "{offences:#?}");
}

#[test]
fn the_map_names_every_file() {
    let map = read("src/lib.rs");
    let verbs = help(&[]);
    let verbs: Vec<String> =
        first_words(&verbs, "Commands:").map(|verb| format!("{}.rs", verb.replace('-', "_"))).collect();
    for file in sources() {
        let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
        let is_room = file.parent() == Some(root().join("src").as_path());
        let is_verb = file.starts_with(root().join("src/cli")) && verbs.contains(&name);
        let is_test = code_of(&file).is_empty() || name == "fuzz.rs";
        assert!(
            is_room || is_verb || is_test || map.contains(&name),
            "src/lib.rs does not say what {} is",
            file.display()
        );
    }
}

#[test]
fn one_place_alone_syncs_and_renames() {
    must_stand_only_in(&["fs::rename", "renameat", ".sync_all(", ".sync_data(", "fsync("], &["src/volume/durable.rs"]);
}

#[test]
fn the_command_line_alone_reads_the_environment_and_prints() {
    must_stand_only_in(
        &["env::var(", "env::var_os(", "env::vars", "io::stdout()"],
        &["src/cli", "src/cli.rs", "src/main.rs"],
    );
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
fn the_contract_lists_every_verb_and_every_flag() {
    let contract = read("docs/cli.md");
    let verbs = help(&[]);
    let verbs: Vec<_> = first_words(&verbs, "Commands:").collect();
    assert!(verbs.contains(&"show-key"), "the help was not understood: {verbs:?}");
    for verb in verbs {
        assert!(contract.contains(&format!("`{verb}")), "docs/cli.md lacks {verb}");
        for flag in help(&[verb]).split_whitespace().filter_map(long_flag) {
            assert!(contract.contains(flag), "docs/cli.md lacks {flag} of {verb}");
        }
    }
}

#[test]
fn the_documents_lead_nowhere_that_is_not_there() {
    for document in ["README.md", "docs/cli.md", "docs/pid1.md", "docs/profiles.md", "docs/console.md"] {
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

fn sources() -> Vec<PathBuf> {
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
    let mut found = Vec::new();
    collect(&root().join("src"), &mut found);
    found
}

/// A source without its comments and its unit tests.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("readable");
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The rooms in the order of the map in `lib.rs`.
fn rooms() -> Vec<String> {
    let map = read("src/lib.rs");
    let room = |line: &str| Some(line.strip_prefix("//! [`")?.split('`').next()?.trim_start_matches("mod@").to_owned());
    map.lines().filter_map(room).collect()
}

fn room_of(file: &Path) -> String {
    let below = file.strip_prefix(root().join("src")).expect("a source");
    let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// What follows `crate::`, and in `crate::{…}` each name that is not inside another brace.
fn rooms_used(code: &str) -> Vec<String> {
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

fn help(verb: &[&str]) -> String {
    let output = Command::new(env!("MOORLINE_PROGRAM")).arg("help").args(verb).output().expect("moorline starts");
    assert!(output.status.success(), "help {verb:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The first words of the indented lines of one section of a help text.
fn first_words<'text>(help: &'text str, section: &str) -> impl Iterator<Item = &'text str> {
    let lines = help.lines().skip_while(move |line| *line != section).skip(1);
    lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next())
}

fn long_flag(word: &str) -> Option<&str> {
    let flag = word.split(['=', ',', '`', '.', ';', ')']).next()?;
    (flag.len() > 4 && flag.starts_with("--")).then_some(flag)
}
