//! `moorline` and `moorline-engine`: one missing, the two of different versions, and what each answers about itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use crate::support::{ENGINE, MOORLINE, TestVolume};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn settled() -> TestVolume {
    TestVolume::in_use().settle()
}

fn output(program: impl AsRef<Path>, arguments: &[&str]) -> Output {
    Command::new(program.as_ref()).args(arguments).env_clear().env("PATH", "/usr/bin:/bin").output().expect("starts")
}

fn answer(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = output(program, arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// A script in the engine's place, beside a `moorline`.
fn engine_that_is(volume: &TestVolume, text: &str) -> std::path::PathBuf {
    let program = volume.without_engine();
    let engine = program.with_file_name("moorline-engine");
    fs::write(&engine, text).expect("writes");
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).expect("changes");
    program
}

#[test]
fn a_command_of_a_missing_engine_names_both_programs_and_what_to_copy() {
    let volume = settled();
    let program = volume.without_engine();
    for command in [&["list"][..], &["backup"], &["help"], &["run", "--help"], &["serve"]] {
        let end = volume.moorline(command).program(program.clone()).wait();
        assert_eq!((end.code, end.out.as_str()), (127, ""), "{command:?}: {end}");
        let beside = program.with_file_name("moorline-engine");
        for word in
            [&*program.to_string_lossy(), &*beside.to_string_lossy(), VERSION, "COPY --from=", "--check-install"]
        {
            assert!(end.err.contains(word), "{command:?} lacks {word}: {end}");
        }
    }
    assert_eq!(answer(&program, &["--version"]), format!("moorline {VERSION}\n"));
}

#[test]
fn a_settled_volume_starts_its_server_without_an_engine_and_warns_at_each_start() {
    let volume = settled();
    for flags in [&[][..], &["--supervise"], &[]] {
        let arguments = ["run"].iter().chain(flags).chain(&["--", "/bin/echo", "up"]);
        let end = volume.moorline(arguments).program(volume.without_engine()).wait();
        assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{flags:?}: {end}");
        let warnings: Vec<&str> = end.err.lines().filter(|line| line.contains("moorline-engine is missing")).collect();
        assert!(warnings.len() == 1 && warnings[0].contains("no backups"), "{flags:?}: {end}");
        assert!(end.err.contains("moorline: hint: copy both programs into the image: COPY "), "{flags:?}: {end}");
    }
}

type Prepare = fn(&TestVolume);

#[test]
fn a_start_that_needs_the_engine_starts_no_server_without_it() {
    let reasons: [(&str, Prepare); 5] = [
        ("the first start", |volume| fs::remove_file(volume.path(".moorline/instance.json")).expect("removes")),
        ("init script a.sh", |volume| volume.script("a.sh", "seqsvr backup")),
        ("init script b.sh", |volume| volume.seqinit("b.sh", "seqsvr backup")),
        ("interrupted restore", |volume| volume.write(".moorline/restores/one/journal.json", "{\"state\":\"commit\"}")),
        ("apps have to be", |volume| {
            volume.write(".moorline/quarantine.json", "{\"format\":1,\"pending\":true,\"steps\":[]}");
        }),
    ];
    for (reason, prepare) in reasons {
        for command in [&["run", "--", "/bin/echo", "up"][..], &["init"]] {
            let volume = settled();
            prepare(&volume);
            let scripts = volume.scripts();
            let end = volume.moorline(command).program(volume.without_engine()).wait();
            assert_eq!((end.code, end.out.as_str()), (127, ""), "{command:?}: {end}");
            assert!(end.err.contains(reason) && end.err.contains("moorline-engine is missing"), "{reason}: {end}");
            assert_eq!(volume.scripts(), scripts, "nothing has changed");
        }
    }
    for command in [&["run", "--", "/bin/echo", "up"][..], &["init"]] {
        let empty = TestVolume::new();
        let end = empty.moorline(command).program(empty.without_engine()).wait();
        assert_eq!((end.code, end.out.as_str()), (127, ""), "{end}");
        let names: Vec<_> = std::fs::read_dir(empty.root()).expect("a folder").flatten().collect();
        assert!(names.len() == 1 && empty.scripts().is_empty(), "nothing was written: {names:?}");
    }
}

#[test]
fn without_an_engine_there_is_no_console() {
    let volume = settled();
    let end = volume.moorline(["run"]).without("MOORLINE_NO_SERVE").program(volume.without_engine()).wait();
    assert_eq!(end.code, 127, "{end}");
    assert!(end.err.contains("cannot start the server: moorline-engine is missing"), "{end}");
}

#[test]
fn an_engine_refuses_to_work_for_another_version() {
    let volume = settled();
    let mut engine = Command::new(ENGINE);
    engine.args(["list", "--storage"]).arg(volume.root()).env("MOORLINE_STARTED_BY", "9.9.9 /x/moorline");
    let refused = engine.output().expect("starts");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), b"".as_slice()), "{said}");
    for word in [ENGINE, VERSION, "/x/moorline", "9.9.9", "same release"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let own = engine.env("MOORLINE_STARTED_BY", format!("{VERSION} /x/moorline")).output().expect("starts");
    assert!(own.status.success(), "{own:?}");
    let alone = engine.env_remove("MOORLINE_STARTED_BY").output().expect("starts");
    assert!(alone.status.success(), "an engine that a person starts: {alone:?}");
}

#[test]
fn the_installation_is_checked_at_build_time() {
    let volume = TestVolume::new();
    let good = answer(MOORLINE, &["--check-install"]);
    assert_eq!(good, format!("moorline {VERSION}: {MOORLINE} and {ENGINE}\n"));
    let missing = output(volume.without_engine(), &["--check-install"]);
    assert_eq!((missing.status.code(), missing.stdout.as_slice()), (Some(127), b"".as_slice()), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("moorline-engine is missing"), "{missing:?}");
    for engine in ["#!/bin/sh\necho moorline 9.9.9\n", "#!/bin/sh\necho broken >&2; exit 3\n", "#!/no/such/shell\n"] {
        let program = engine_that_is(&volume, engine);
        let other = output(&program, &["--check-install"]);
        assert_eq!((other.status.code(), other.stdout.as_slice()), (Some(1), b"".as_slice()), "{engine}: {other:?}");
        let said = String::from_utf8_lossy(&other.stderr);
        assert!(said.contains(&*program.with_file_name("moorline-engine").to_string_lossy()), "{engine}: {said}");
    }
    let program = engine_that_is(&volume, "#!/bin/sh\necho moorline 9.9.9\n");
    let said = String::from_utf8_lossy(&output(&program, &["--check-install"]).stderr).into_owned();
    for word in ["9.9.9", VERSION, &*program.to_string_lossy(), "same release"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_link_to_moorline_finds_the_engine_beside_the_program_itself() {
    let volume = TestVolume::new();
    let link = volume.beside("seqsvr");
    std::os::unix::fs::symlink(MOORLINE, &link).expect("a link");
    assert_eq!(answer(&link, &["--check-install"]), format!("moorline {VERSION}: {MOORLINE} and {ENGINE}\n"));
}

#[test]
fn the_command_line_shows_no_second_program() {
    assert_eq!(answer(MOORLINE, &["--version"]), format!("moorline {VERSION}\n"));
    assert_eq!(answer(MOORLINE, &["-V"]), format!("moorline {VERSION}\n"));
    let help = answer(MOORLINE, &["help"]);
    assert_eq!(help, answer(MOORLINE, &["--help"]));
    for command in ["run", "init", "health", "shell", "serve", "backup", "restore", "show-key", "help"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}: {help}");
    }
    assert!(help.contains("Usage: moorline ") && !help.contains("moorline-engine"), "{help}");
    assert!(answer(MOORLINE, &["help", "--help"]).contains("Usage: moorline"));
    let run = answer(MOORLINE, &["run", "--help"]);
    for word in ["Usage: moorline run", "--supervise", "--storage", "COMMAND"] {
        assert!(run.contains(word), "{word}: {run}");
    }
    assert_eq!(run, answer(MOORLINE, &["help", "run"]));
}

#[test]
fn completions_and_man_pages_know_the_commands_of_both_programs() {
    let volume = TestVolume::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = answer(MOORLINE, &["completions", shell]);
        for word in ["supervise", "dry-run", "moorline"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
        assert!(!script.contains("moorline-engine"), "{shell}");
        let file = volume.beside(shell);
        fs::write(&file, script).expect("writes");
        if shell == "bash" {
            let parsed = Command::new("bash").arg("-n").arg(&file).output().expect("bash starts");
            assert!(parsed.status.success() && parsed.stderr.is_empty(), "{parsed:?}");
        }
    }
    let folder = volume.beside("man");
    assert_eq!(answer(MOORLINE, &["man", &folder.to_string_lossy()]), "");
    for page in ["moorline.1", "moorline-run.1", "moorline-restore.1", "moorline-health.1"] {
        let text = fs::read_to_string(folder.join(page)).unwrap_or_else(|cause| panic!("{page}: {cause}"));
        assert!(text.contains(".TH"), "{page}: {text}");
    }
}

#[test]
fn install_copies_what_an_image_needs() {
    let volume = TestVolume::in_use();
    let folder = volume.beside("shared/bin");
    for _ in 0..2 {
        let end = volume.moorline(["install", folder.to_str().expect("UTF-8")]).wait();
        assert_eq!(end.code, 0, "{end}");
    }
    let end = volume.run(["/bin/echo", "server"]).program(folder.join("seqsvr")).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
    let end = volume.moorline(["backup"]).program(folder.join("moorline")).wait();
    assert_eq!(end.code, 0, "the engine is there, too: {end}");
    let end = volume.moorline(["install"]).wait();
    assert_eq!(end.code, 2, "{end}");
}
